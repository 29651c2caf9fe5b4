import { type Clock, ErrorCode, type HelloResult, OutpostError } from "@outpost/protocol";
import { expect, test } from "vitest";
import { AgentReport } from "./agent-report.ts";

test("since when it is connected or not, and why not until it is", () => {
  let now = 1000;
  const clock: Pick<Clock, "now"> = { now: () => now };
  const report = new AgentReport(clock);
  const controller: HelloResult = {
    version: 2,
    software: "controller",
    maxMessageBytes: 65_536,
    name: "web1",
    time: 0,
  };
  const error = new OutpostError(ErrorCode.denied, "this host was removed", { data: { rule: "secret" } });
  const said = { code: "denied", message: "this host was removed" };

  expect(report.status).toMatchObject({ pid: process.pid, startedAt: 1000 });
  expect(report.status.connection).toEqual({ state: "dialing", since: 1000 });
  now = 2000;
  report.entered({ name: "reporting", controller });
  expect(report.status.connection).toEqual({ state: "reporting", since: 1000 });
  report.entered({ name: "connected", controller });
  expect(report.status.connection).toEqual({ state: "connected", since: 2000 });
  now = 3000;
  report.entered({ name: "waiting", delayMs: 5, error });
  expect(report.status.connection).toEqual({ state: "waiting", since: 3000, error: said });
  now = 4000;
  report.entered({ name: "dialing" });
  expect(report.status.connection, "while it tries again").toEqual({
    state: "dialing",
    since: 3000,
    error: said,
  });
  now = 5000;
  report.entered({ name: "connected", controller });
  expect(report.status.connection).toEqual({ state: "connected", since: 5000 });
  expect(report.measured).toEqual({
    startedAt: 1000,
    state: "connected",
    since: 5000,
    // The first was under way before anybody could listen.
    attempts: 2,
    established: 2,
    // At the only hello that it was told of.
    clockOffsetMs: -2000,
  });
});
