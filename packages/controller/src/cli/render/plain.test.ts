import type { HostName, JobId } from "@outpost/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { JobEvent } from "../../client/index.ts";
import { bytesAsJson, eventLine, withIsoTimes } from "./plain.ts";

const job = "0123456789ab" as JobId;
const host = "web1" as HostName;

test("output is text where it is UTF-8, and base64 where it is not", () => {
  const event = { type: "out", job, host, stream: "stdout", offset: 0 } as const;
  expect(eventLine({ ...event, bytes: Buffer.from("hé\n"), time: 0.5 })).toBe(
    '{"type":"out","job":"0123456789ab","host":"web1","stream":"stdout","offset":0,"time":"1970-01-01T00:00:00.000Z","text":"hé\\n"}\n',
  );
  expect(eventLine({ ...event, bytes: Buffer.of(0xff) })).toContain('"base64":"/w=="');
});

test("bytes survive", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const json = bytesAsJson(bytes);
      const back = "text" in json ? Buffer.from(json.text) : Buffer.from(json.base64, "base64");
      expect([...back]).toEqual([...bytes]);
    }),
  );
});

test("every event is one line", () => {
  const events: JobEvent[] = [
    { type: "plan", job, hosts: [{ host, state: "connected" }] },
    { type: "gap", job, host, stream: "stderr", from: 0, to: 5, reason: "evicted" },
    { type: "out", job, host, stream: "stdout", offset: 0, bytes: Buffer.from("\n\r\u2028") },
  ];
  for (const event of events) expect(eventLine(event).trimEnd()).not.toContain("\n");
});

test("times become ISO 8601, wherever they are; numbers do not", () => {
  expect(withIsoTimes({ createdAt: 0, jobs: [{ status: { endedAt: 1_000, offset: 0 } }] })).toEqual({
    createdAt: "1970-01-01T00:00:00.000Z",
    jobs: [{ status: { endedAt: "1970-01-01T00:00:01.000Z", offset: 0 } }],
  });
});
