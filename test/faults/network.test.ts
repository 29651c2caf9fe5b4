/** What a bad network can do between agent and controller, done by a proxy that holds bytes back and cuts. */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newJobId, type JobId } from "@outpost/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Playground } from "../kit/playground.ts";
import { eventually } from "../kit/wait.ts";

let playground: Playground;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "outpost-network-"));
  playground = await Playground.create({ hosts: ["web1"], proxied: true });
}, 60_000);

afterAll(async () => {
  await playground?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

function jobFile(job: JobId, name: string): string {
  return join(playground.agentDirectory("web1"), "jobs", job, name);
}

test("a start whose answer is lost is retried, and one process runs", async () => {
  await using client = await playground.client();
  const runs = join(scratch, "runs");
  const job = newJobId();
  playground.proxy.hold("toTarget");
  const handle = await client.start({
    job,
    targets: "web1",
    command: { kind: "shell", text: `echo $$ >> ${runs}; sleep 0.2; echo ran` },
  });
  await eventually(() => existsSync(runs), { what: "the job's process" });
  playground.proxy.partition();
  await eventually(async () => (await client.hosts())[0]?.state === "disconnected");
  playground.proxy.heal();
  await playground.connected();
  // The same request once more, as a caller would who never saw the answer either.
  await client.start({
    job,
    targets: "web1",
    command: { kind: "shell", text: `echo $$ >> ${runs}; sleep 0.2; echo ran` },
  });
  await handle.wait();
  let text = "";
  for await (const event of handle.receive({ follow: true }))
    if (event.type === "out") text += Buffer.from(event.bytes).toString();
  expect(text).toBe("ran\n");
  expect((await readFile(runs, "utf8")).trim().split("\n")).toHaveLength(1);
});

test("an unreachable host is said to be so since when, and its job goes on", async () => {
  await using client = await playground.client();
  const go = join(scratch, "go");
  const handle = await client.start({
    targets: "web1",
    command: { kind: "shell", text: `while [ ! -e ${go} ]; do sleep 0.05; done; echo went` },
  });
  await eventually(async () => (await handle.show()).jobs[0]?.status.state === "running");
  const before = Date.now();
  playground.proxy.partition();
  const info = await eventually(async () => {
    const [job] = (await handle.show()).jobs;
    return job?.unreachableSince !== undefined && job;
  });
  expect(info.unreachableSince).toBeGreaterThanOrEqual(before - 1000);
  expect(info.status.state).toBe("running");
  expect((await handle.show()).fanout.state).toBe("disconnected");
  await writeFile(go, "");
  await eventually(async () => (await readFile(jobFile(handle.id, "exit"), "utf8")).includes("\n"), {
    what: "the job's end on its host",
  });
  playground.proxy.heal();
  const seen: string[] = [];
  for await (const event of handle.receive({ follow: true }))
    if (event.type === "out") seen.push(Buffer.from(event.bytes).toString());
  expect(seen.join("")).toBe("went\n");
});

test("a stop for an unreachable host is delivered when it is back", async () => {
  await using client = await playground.client();
  const handle = await client.start({ targets: "web1", command: { kind: "exec", argv: ["sleep", "600"] } });
  await eventually(async () => (await handle.show()).jobs[0]?.status.state === "running");
  playground.proxy.partition();
  await eventually(async () => (await handle.show()).jobs[0]?.unreachableSince !== undefined);
  await handle.stop();
  expect((await handle.show()).jobs[0]?.waiting).toBe("stop");
  playground.proxy.heal();
  await handle.wait({ timeoutMs: 20_000 });
  expect((await handle.show()).jobs[0]?.status).toMatchObject({
    state: "stopped",
    reason: { code: "stopped" },
  });
  await handle.remove();
});

test("a receive that is cut again and again gets every byte once", async () => {
  await using client = await playground.client();
  const size = 60_000_000;
  const handle = await client.start({
    targets: "web1",
    command: { kind: "shell", text: `head -c ${String(size)} /dev/zero | tr '\\0' x` },
  });
  let received = 0;
  let cuts = 0;
  for await (const event of handle.receive({ follow: true })) {
    if (event.type !== "out") continue;
    expect(event.offset).toBe(received);
    received += event.bytes.length;
    if (cuts < 4 && received > (cuts + 1) * 10_000_000) {
      cuts++;
      playground.proxy.cut();
    }
  }
  expect(received).toBe(size);
  expect(cuts).toBe(4);
});

test("an agent restarted after a job's exit and before its receive neither runs it again nor loses it", async () => {
  await using client = await playground.client();
  const runs = join(scratch, "runs-once");
  const handle = await client.start({
    targets: "web1",
    command: { kind: "shell", text: `echo run >> ${runs}; echo output; exit 3` },
  });
  await handle.wait();
  await playground.agent("web1").signal("SIGKILL");
  playground.agent("web1").start();
  await playground.connected();
  let text = "";
  for await (const event of handle.receive({ follow: true }))
    if (event.type === "out") text += Buffer.from(event.bytes).toString();
  expect(text).toBe("output\n");
  expect(await readFile(runs, "utf8")).toBe("run\n");
});

test("a slow reader slows neither the job nor another reader, and memory stays flat", async () => {
  await using client = await playground.client();
  const size = 300_000_000;
  const handle = await client.start({
    targets: "web1",
    command: { kind: "shell", text: `head -c ${String(size)} /dev/zero` },
  });
  const slow = handle.receive({ follow: true, keep: true })[Symbol.asyncIterator]();
  while ((await slow.next()).value?.type !== "out") {
    // Up to the first bytes; from here on nobody asks any more.
  }
  await handle.wait();
  let fast = 0;
  for await (const event of handle.receive({ follow: true, keep: true }))
    if (event.type === "out") fast += event.bytes.length;
  expect(fast).toBe(size);
  for (const program of [playground.controller, playground.agent("web1")]) {
    const rollup = await readFile(`/proc/${String(program.pid)}/smaps_rollup`, "utf8");
    const kilobytes = Number(/^Rss:\s+(\d+)/m.exec(rollup)?.[1]);
    expect(kilobytes, `RSS of ${program.name}`).toBeLessThan(250_000);
  }
  await slow.return?.();
  await handle.remove();
});
