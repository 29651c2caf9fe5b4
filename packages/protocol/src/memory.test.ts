import { describe, expect, test } from "vitest";
import { memoryLink, type MemoryLinkOptions } from "./memory.ts";
import { FakeClock } from "./testing.ts";

function listening(options: MemoryLinkOptions = {}) {
  const link = memoryLink(options);
  const ends = link.sockets.map((socket) => {
    const end = { socket, got: [] as number[], closed: [] as string[], drains: 0 };
    socket.start({
      message: (bytes) => void end.got.push(bytes[0]!),
      drained: () => void end.drains++,
      closed: (reason) => void end.closed.push(reason),
    });
    return end;
  });
  return { left: ends[0]!, right: ends[1]!, cut: link.cut };
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe("the contract of a message socket", () => {
  test("in order, boundaries kept, drained after each", async () => {
    const { left, right } = listening();
    for (const byte of [1, 2, 3]) left.socket.send(Uint8Array.of(byte));
    expect(left.socket.bufferedBytes).toBe(3);
    await turn();
    expect(right.got).toEqual([1, 2, 3]);
    expect([left.drains, left.socket.bufferedBytes]).toEqual([3, 0]);
  });

  test("what is sent belongs to the socket: changing it afterwards changes nothing", async () => {
    const { left, right } = listening();
    const bytes = Uint8Array.of(1);
    left.socket.send(bytes);
    bytes[0] = 9;
    await turn();
    expect(right.got).toEqual([1]);
  });

  test("close delivers what is queued, then ends both with the reason, once", async () => {
    const { left, right } = listening();
    left.socket.send(Uint8Array.of(1));
    left.socket.close("done");
    left.socket.close("again");
    left.socket.send(Uint8Array.of(2));
    await turn();
    expect(right).toMatchObject({ got: [1], closed: ["done"] });
    expect(left.closed).toEqual(["done"]);
  });

  test("abort and cut lose what is on its way", async () => {
    const one = listening();
    one.left.socket.send(Uint8Array.of(1));
    one.left.socket.abort();
    await turn();
    expect([one.right.got, one.left.closed.length, one.right.closed.length]).toEqual([[], 1, 1]);
    const two = listening();
    two.left.socket.send(Uint8Array.of(1));
    two.cut();
    await turn();
    expect([two.right.got, two.left.closed.length, two.right.closed.length]).toEqual([[], 1, 1]);
  });
});

test("latency is the clock's", async () => {
  const clock = new FakeClock();
  const { left, right } = listening({ clock, latencyMs: 100 });
  left.socket.send(Uint8Array.of(1));
  await clock.advance(99);
  expect(right.got).toEqual([]);
  await clock.advance(1);
  expect(right.got).toEqual([1]);
});
