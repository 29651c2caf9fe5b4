import * as v from "valibot";
import { expect, test } from "vitest";
import {
  HostName,
  JobId,
  Labels,
  newHostId,
  newJobId,
  newOperatorId,
  newSessionId,
  newViewerId,
  SessionId,
  SessionName,
  ViewerId,
} from "./ids.ts";

test("new ids are ids, and differ", () => {
  const ids = Array.from({ length: 1000 }, newJobId);
  expect(new Set(ids).size).toBe(1000);
  expect(ids.every((id) => v.is(JobId, id))).toBe(true);
  expect([newHostId(), newOperatorId()].every((id) => v.is(JobId, id))).toBe(true);
  expect(v.is(SessionId, newSessionId())).toBe(true);
  expect(v.is(ViewerId, newViewerId())).toBe(true);
});

// A job's id, and a session's, becomes the name of a directory, so nothing but its own alphabet may pass.
test.each([
  "",
  "short",
  "0123456789abc",
  "0123456789aB",
  "0123456789il",
  "../../../etc",
  "0123456789a/",
  "0123456789a\n",
  5,
])("no id: %j", (id) => {
  for (const schema of [JobId, SessionId, ViewerId]) expect(v.is(schema, id)).toBe(false);
});

test.each(["work", "0", "A.b-C_d", "Upgrade-2026.11", "x".repeat(64)])("a session's name: %s", (name) => {
  expect(v.is(SessionName, name)).toBe(true);
});

// It stands in prompts, in terminal titles and between commas: nothing that means something there.
test.each(["", "-n", ".n", "_n", "a b", "a,b", "a@b", "a\u001b[2J", "a\n", "ä", "a/b", "x".repeat(65), 5])(
  "no session's name: %j",
  (name) => expect(v.is(SessionName, name)).toBe(false),
);

test.each(["web1", "0", "a.b-c_d", "x".repeat(63)])("a host name: %s", (name) => {
  expect(v.is(HostName, name)).toBe(true);
});

test.each([
  "",
  "-web",
  ".web",
  "_web",
  "Web1",
  "web 1",
  "web*",
  "web,db",
  "web=1",
  "wéb",
  "web1\n",
  "x".repeat(64),
])("no host name: %j", (name) => expect(v.is(HostName, name)).toBe(false));

test("labels: keys, values and their number are bounded", () => {
  expect(v.is(Labels, { role: "web", "a.b/c-d_e": "" })).toBe(true);
  expect(v.is(Labels, { Role: "web" })).toBe(false);
  expect(v.is(Labels, { role: "x".repeat(257) })).toBe(false);
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${String(index)}`, ""]));
  expect(v.is(Labels, many(64))).toBe(true);
  expect(v.is(Labels, many(65))).toBe(false);
});
