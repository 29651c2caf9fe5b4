import { expect, test, vi } from "vitest";
import { Heartbeat } from "./heartbeat.ts";
import { heartbeatIntervalMs, heartbeatTimeoutMs, writeDeadlineMs } from "./limits.ts";
import { FakeClock } from "./testing.ts";

function start() {
  const clock = new FakeClock();
  const state = { unsent: false };
  const events = { probe: vi.fn(), dead: vi.fn(), stuck: vi.fn(), hasUnsent: () => state.unsent };
  return { clock, events, state, heartbeat: new Heartbeat(clock, events) };
}

test("a silent peer is probed, then dead, once, and nothing ticks on", async () => {
  const { clock, events } = start();
  await clock.advance(heartbeatIntervalMs - 1);
  expect(events.probe).not.toHaveBeenCalled();
  await clock.advance(1);
  expect(events.probe).toHaveBeenCalled();
  await clock.advance(heartbeatTimeoutMs - heartbeatIntervalMs - 1);
  expect(events.dead).not.toHaveBeenCalled();
  await clock.advance(1);
  expect(events.dead).toHaveBeenCalledOnce();
  expect(clock.pending).toBe(0);
});

test("a peer that says something now and then lives for ever", async () => {
  const { clock, events, heartbeat } = start();
  for (let minute = 0; minute < 60; minute++) {
    await clock.advance(20_000);
    heartbeat.heard();
  }
  expect(events.dead).not.toHaveBeenCalled();
});

test("a process that slept for an hour does not kill its peer", async () => {
  const { clock, events, heartbeat } = start();
  await clock.sleep(3_600_000);
  expect(events.dead).not.toHaveBeenCalled();
  heartbeat.heard();
  await clock.advance(heartbeatTimeoutMs - 2_500);
  expect(events.dead).not.toHaveBeenCalled();
});

test("a peer that is silent after we woke up is dead all the same", async () => {
  const { clock, events } = start();
  await clock.sleep(3_600_000);
  await clock.advance(heartbeatTimeoutMs);
  expect(events.dead).toHaveBeenCalledOnce();
});

test("stepping the host's time does nothing", async () => {
  const { clock, events } = start();
  clock.step(10 * 365 * 86_400_000);
  await clock.advance(5_000);
  clock.step(-20 * 365 * 86_400_000);
  await clock.advance(4_000);
  expect(events.probe).not.toHaveBeenCalled();
});

test("unsent bytes that do not move end it; bytes that move, however slowly, do not", async () => {
  const { clock, events, state, heartbeat } = start();
  state.unsent = true;
  for (let round = 0; round < 10; round++) {
    await clock.advance(20_000);
    heartbeat.heard();
    heartbeat.sent();
  }
  expect(events.stuck).not.toHaveBeenCalled();
  for (let waited = 0; waited < writeDeadlineMs; waited += 10_000) {
    await clock.advance(10_000);
    heartbeat.heard();
  }
  expect(events.stuck).toHaveBeenCalledOnce();
  expect(clock.pending).toBe(0);
});

test("a queue that was empty in between starts anew, and sleep does not count", async () => {
  const { clock, events, state, heartbeat } = start();
  state.unsent = true;
  await clock.advance(20_000);
  heartbeat.heard();
  state.unsent = false;
  await clock.advance(2_500);
  state.unsent = true;
  await clock.sleep(3_600_000);
  heartbeat.heard();
  await clock.advance(20_000);
  expect(events.stuck).not.toHaveBeenCalled();
});

test("stopped within its own probe, it stays stopped", async () => {
  const { clock, events, heartbeat } = start();
  events.probe.mockImplementation(() => heartbeat.stop());
  await clock.advance(60_000);
  expect(events.probe).toHaveBeenCalledOnce();
  expect(clock.pending).toBe(0);
});
