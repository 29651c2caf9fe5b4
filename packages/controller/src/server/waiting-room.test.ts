import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WaitingRoom } from "./waiting-room.ts";

class FakeSocket extends EventEmitter {
  readonly remoteAddress: string;
  readonly label: string;
  isDestroyed = false;

  constructor(remoteAddress: string, label: string) {
    super();
    this.remoteAddress = remoteAddress;
    this.label = label;
  }

  destroy(): void {
    this.isDestroyed = true;
    this.emit("close");
  }
}

class Room {
  places = 0;
  readonly entered: string[] = [];
  readonly expired: string[] = [];
  readonly sockets = new Map<string, FakeSocket>();
  readonly room = new WaitingRoom({
    maxWaiting: 6,
    maxWaitingPerNetwork: 4,
    waitTimeoutMs: 1_000,
    enter: (socket) => {
      if (this.places === 0) return false;
      this.places--;
      this.entered.push((socket as unknown as FakeSocket).label);
      return true;
    },
    expired: (socket) => this.expired.push((socket as unknown as FakeSocket).label),
  });

  /** @param label of `a1` the network is `a` */
  take(label: string): boolean {
    const socket = new FakeSocket(label[0]!, label);
    this.sockets.set(label, socket);
    return this.room.take(socket as unknown as Socket);
  }

  async free(places: number): Promise<void> {
    this.places += places;
    this.room.call();
    await nextTurn();
    await nextTurn();
  }
}

let it: Room;
beforeEach(() => {
  it = new Room();
});
afterEach(() => it.room.clear());

describe("a waiting room", () => {
  test("lets networks in by turns, and of each the newest first", async () => {
    for (const label of ["a1", "a2", "a3", "b1", "b2", "c1"]) expect(it.take(label)).toBe(true);
    await it.free(4);
    expect(it.entered).toEqual(["a3", "b2", "c1", "a2"]);
    await it.free(9);
    expect(it.entered).toEqual(["a3", "b2", "c1", "a2", "b1", "a1"]);
    expect(it.room.waiting).toBe(0);
  });

  test("holds so many, and so many of one network", () => {
    expect(["a1", "a2", "a3", "a4", "a5"].map((label) => it.take(label))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(["b1", "b2", "b3"].map((label) => it.take(label))).toEqual([true, true, false]);
  });

  test("forgets those who went, and closes those who stayed too long", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      for (const label of ["a1", "a2", "b1"]) it.take(label);
      it.sockets.get("a2")!.destroy();
      await it.free(1);
      expect(it.entered).toEqual(["a1"]);
      vi.advanceTimersByTime(1_000);
      expect(it.expired).toEqual(["b1"]);
      await it.free(1);
      expect([it.entered, it.room.waiting]).toEqual([["a1"], 0]);
    } finally {
      vi.useRealTimers();
    }
  });

  test("closes all in the end", () => {
    it.take("a1");
    it.take("b1");
    it.room.clear();
    expect([...it.sockets.values()].every(({ isDestroyed }) => isDestroyed)).toBe(true);
    expect(it.room.waiting).toBe(0);
  });

  test("whatever comes, goes and is let in: nobody is lost, nobody enters twice, and a free place stays free only when nobody waits", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("come" as const), network: fc.constantFrom("a", "b", "c") }),
      fc.record({ kind: fc.constant("go" as const), at: fc.nat({ max: 5 }) }),
      fc.record({ kind: fc.constant("free" as const), places: fc.integer({ min: 1, max: 3 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const room = new Room();
        const waiting = new Set<string>();
        for (const [index, each] of steps.entries()) {
          if (each.kind === "come") {
            const label = `${each.network}${String(index)}`;
            if (room.take(label)) waiting.add(label);
          } else if (each.kind === "go") {
            const label = [...waiting][each.at];
            if (label !== undefined) room.sockets.get(label)!.destroy();
            if (label !== undefined) waiting.delete(label);
          } else {
            const before = room.entered.length;
            await room.free(each.places);
            for (const label of room.entered.slice(before)) expect(waiting.delete(label)).toBe(true);
            expect(room.places === 0 || waiting.size === 0).toBe(true);
            room.places = 0;
          }
          expect(room.room.waiting).toBe(waiting.size);
        }
        room.room.clear();
      }),
    );
  });
});
