import { expect, test } from "vitest";
import { parseMoment } from "./moment.ts";

const now = Date.UTC(2026, 2, 1, 12);

test("a duration is that long ago", () => {
  expect(parseMoment("2h", now)).toBe(now - 7_200_000);
});

test("a time with a zone is that time", () => {
  expect(parseMoment("2026-03-01T12:00:00Z", now)).toBe(now);
  expect(parseMoment("2026-03-01T14:00+02:00", now)).toBe(now);
});

test("a date is midnight here, and a time without a zone is one of here", () => {
  expect(parseMoment("2026-03-01", now)).toBe(new Date(2026, 2, 1).getTime());
  expect(parseMoment("2026-03-01T07:30", now)).toBe(new Date(2026, 2, 1, 7, 30).getTime());
});

test.each(["", "yesterday", "2026", "2026-13-01", "2026-03-01 12:00", "5 m", "12"])(
  "%j is no moment",
  (text) => {
    expect(() => parseMoment(text, now)).toThrow(/duration|time/);
  },
);
