import { expect, test } from "vitest";
import { OutpostError } from "./errors.ts";
import { maxChunkBytes, socketHighWaterBytes } from "./limits.ts";
import { WriteGate } from "./write-gate.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a thousand senders that get room at once queue no more than the mark and one chunk", async () => {
  let buffered = 0;
  let most = 0;
  let sent = 0;
  const gate = new WriteGate(() => buffered);
  const senders = Array.from({ length: 1000 }, async () => {
    await gate.pass();
    buffered += maxChunkBytes;
    sent += 1;
    most = Math.max(most, buffered);
  });
  const all = Promise.all(senders);
  while (sent < 1000) {
    await turn();
    buffered = 0;
    gate.drained();
  }
  await all;
  expect(most).toBeLessThanOrEqual(socketHighWaterBytes + maxChunkBytes);
});

test("first come, first served", async () => {
  let buffered = socketHighWaterBytes;
  const gate = new WriteGate(() => buffered);
  const order: number[] = [];
  const all = Promise.all([1, 2, 3].map((number) => gate.pass().then(() => order.push(number))));
  buffered = 0;
  gate.drained();
  await all;
  expect(order).toEqual([1, 2, 3]);
});

test("senders that passed and then sent nothing hold nobody up", async () => {
  const gate = new WriteGate(() => 0);
  await Promise.all(Array.from({ length: 100 }, () => gate.pass()));
});

test("a signal takes one waiter out and leaves the others", async () => {
  let buffered = socketHighWaterBytes;
  const gate = new WriteGate(() => buffered);
  const controller = new AbortController();
  const gone = gate.pass(controller.signal);
  const stays = gate.pass();
  controller.abort(new OutpostError("cancelled", "enough"));
  await expect(gone).rejects.toThrow("enough");
  buffered = 0;
  gate.drained();
  await stays;
});

test("closing fails those who wait and those who come later", async () => {
  const gate = new WriteGate(() => socketHighWaterBytes);
  const waiting = gate.pass();
  gate.close(new OutpostError("disconnected", "cut"));
  await expect(waiting).rejects.toThrow("cut");
  await expect(gate.pass()).rejects.toThrow("cut");
});
