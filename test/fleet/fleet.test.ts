/** A controller with two hundred hosts, over TLS: what shows only when there are many. */
import { limits } from "@outpost/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../kit/wait.ts";
import { EmulatedFleet } from "./emulated-fleet.ts";

const count = 200;
let fleet: EmulatedFleet;

beforeAll(async () => {
  fleet = await EmulatedFleet.create(count, { store: "memory" });
}, 120_000);

afterAll(() => fleet[Symbol.asyncDispose]());

const invoke = (...args: string[]) => fleet.playground.outpost(["invoke", ...args]);

async function all<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

test("every host answers, each for itself", async () => {
  const { exitCode, stdout } = await invoke("*", "--output", "ndjson", "--", "hostname");
  expect(exitCode).toBe(0);
  const lines = stdout.toString().trim().split("\n");
  const events = lines.map((line) => JSON.parse(line) as { type: string; host?: string; text?: string });
  const exits = events.filter(({ type }) => type === "exit").map(({ host }) => host);
  expect(new Set(exits).size).toBe(count);
  const outputs = events.filter(({ type }) => type === "out");
  expect(outputs).toHaveLength(count);
  for (const { host, text } of outputs) expect(text).toBe(`${host!}\n`);
});

test("hosts that fail are told from those that do not", async () => {
  const { exitCode, stderr } = await invoke("*", "--", "failing", "host7,host199");
  expect(exitCode).toBe(1);
  expect(stderr).toContain("198 succeeded");
  expect(stderr).toContain("host[7,199]");
});

test("what two hundred hosts say alike is printed once, and those that differ are named", async () => {
  const same = await invoke("*", "--output", "group", "--", "echo", "the", "same");
  expect(same.exitCode).toBe(0);
  expect(same.stdout.toString().match(/^the same$/gm)).toHaveLength(1);
  expect(same.stdout.toString()).toContain("host[1-200]");
  const other = await invoke("*", "--output", "group", "--", "failing", "host7,host199");
  expect(other.exitCode).toBe(1);
  expect(other.stdout.toString() + other.stderr).toContain("host[7,199]");
});

test("a roll-out comes to its hosts stage by stage, and ends where too many have failed", async () => {
  const whole = await invoke("*", "--canary", "1", "--batch", "50", "--concurrency", "20", "--", "true");
  expect(whole.stderr).toContain("200 succeeded");
  expect(whole.exitCode).toBe(0);
  // The hosts are in order: the third batch holds the one that fails, and of the fourth nothing is begun.
  const stopped = await invoke("*", "--batch", "50", "--max-failures", "0", "--", "failing", "host120");
  expect(stopped.exitCode).not.toBe(0);
  expect(stopped.stderr).toContain("149 succeeded");
  expect(stopped.stderr).toContain("host120");
  expect(stopped.stderr).toContain("host[151-200]");
});

test("a reader that reads one host slowly keeps none of the others waiting", async () => {
  await using client = await fleet.playground.client();
  const bytes = 4 * limits.defaultWindowBytes;
  const job = await client.start({
    targets: "*",
    command: { kind: "exec", argv: ["fill", String(bytes), "own"] },
    receiving: true,
  });
  // Nobody takes what host1 sends while the others are read to their ends.
  const slow = job.receive({ hosts: ["host1"], follow: true, keep: true });
  expect((await slow.next()).value).toMatchObject({ type: "plan" });
  const others = job.hosts.map(({ host }) => host).filter((host) => host !== "host1");
  const received = new Map<string, number>();
  for await (const event of job.receive({ hosts: others, follow: true })) {
    if (event.type === "out")
      received.set(event.host, (received.get(event.host) ?? 0) + event.bytes.byteLength);
  }
  expect(received.size).toBe(count - 1);
  expect([...received.values()].every((size) => size === bytes)).toBe(true);
  let size = 0;
  for await (const event of slow) if (event.type === "out") size += event.bytes.byteLength;
  expect(size).toBe(bytes);
});

test("after a restart of the controller all come back, and nothing of what runs is lost", async () => {
  await using client = await fleet.playground.client();
  const job = await client.start({
    targets: "*",
    command: { kind: "exec", argv: ["sleep", "8", "hostname"] },
  });
  const { controller } = fleet.playground;
  await controller.signal("SIGKILL");
  controller.start();
  const receiving = all(job.receive({ follow: true }));
  await eventually(async () => (await fleet.look()).connected === count, {
    withinMs: 45_000,
    what: "the herd",
  });
  const events = await receiving;
  const outputs = events.filter((event) => event.type === "out");
  expect(new Set(outputs.map(({ host }) => host)).size).toBe(count);
  expect(events.at(-1)).toMatchObject({ type: "summary", exitCode: 0 });
});
