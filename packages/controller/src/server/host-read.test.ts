import { ErrorCode, type Gap, newJobId } from "@outpost/protocol";
import { expect, test } from "vitest";
import type { HostLink } from "./bus.ts";
import { readJob, type ReadTarget } from "./host-read.ts";

test("a host that tells of gaps without end is not passed on without end: they need no credit", async () => {
  let told = 0;
  const target = {
    position: 0,
    allowance: 1_000,
    opened() {},
    chunk: () => true,
    gap(_gap: Gap) {
      told++;
    },
  } satisfies ReadTarget;
  const request = (_method: string, _params: unknown, { onEvent }: { onEvent: (event: unknown) => void }) => {
    const gap = { from: 0, to: 0, reason: "removed" };
    for (let at = 0; at < 5_000; at++) onEvent({ event: "read.gap", params: { name: "stdout", gap } });
    return Promise.reject(new Error("it went on"));
  };
  const link = { request: async (...args: Parameters<typeof request>) => request(...args) };
  await expect(
    readJob(link as unknown as HostLink, newJobId(), new Map([["stdout", target]]), {
      follow: true,
      signal: new AbortController().signal,
    }),
  ).rejects.toMatchObject({ code: ErrorCode.protocolError });
  expect(told).toBe(1_000);
});
