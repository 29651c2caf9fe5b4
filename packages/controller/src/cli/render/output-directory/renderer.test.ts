import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HostName, JobId } from "@outpost/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { JobEvent } from "../../../client/index.ts";
import { summarise } from "../../../client/summary.ts";
import { rendererFor } from "../renderer-for.ts";
import { type Recorded, recorded } from "../testing/recorded.ts";
import { names, syntheticEvents, syntheticJobId, type SyntheticAnswer } from "../testing/synthetic.ts";

let directory: string;
beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), "outpost-output-"))));
afterEach(() => rm(directory, { recursive: true }));

const read = (name: string): Promise<string> => readFile(join(directory, name), "latin1");

async function write(events: Iterable<JobEvent>, isInterrupted = false): Promise<Recorded> {
  const renderer = await rendererFor({ format: "stream", timestamps: false, outputDirectory: directory });
  return recorded(async () => {
    for (const event of events) await renderer.event(event);
    await (isInterrupted ? renderer.interrupted() : renderer.finish());
    expect(renderer.unwritten("web1", "stdout")).toBe(0);
  });
}

const host = "web1" as HostName;
const plan = (job = syntheticJobId): JobEvent => ({
  type: "plan",
  job,
  hosts: [{ host, state: "connected" }],
});
const out = (offset: number, text: string): JobEvent => {
  return { type: "out", job: syntheticJobId, host, stream: "stdout", offset, bytes: Buffer.from(text) };
};

test("a file for each host and stream, lists of who came out how, and a document; nothing on stdout", async () => {
  const answers: Readonly<Record<string, SyntheticAnswer>> = {
    web1: { stdout: "one\n", stderr: "err\n" },
    web2: { stdout: "two\n", end: 3 },
    web3: { end: "timed out" },
    web4: { end: "unreachable" },
    web5: {},
  };
  const events = syntheticEvents({
    seed: 3,
    hosts: Object.keys(answers),
    answer: (name) => answers[name]!,
    maxChunkBytes: 2,
  });
  const { stdout, stderr } = await write(events);
  expect(stdout).toBe("");
  expect(stderr).toContain(
    "outpost: 5 hosts: 2 succeeded; 1 failed with exit code 3 (web2); 1 timed out (web3); 1 unreachable (web4)\n",
  );
  expect((await readdir(directory)).toSorted()).toEqual([
    "hosts.failed",
    "hosts.ok",
    "hosts.unreachable",
    "summary.json",
    "web1.stderr",
    "web1.stdout",
    "web2.stdout",
  ]);
  expect([await read("web1.stdout"), await read("web1.stderr"), await read("web2.stdout")]).toEqual([
    "one\n",
    "err\n",
    "two\n",
  ]);
  expect([await read("hosts.ok"), await read("hosts.failed"), await read("hosts.unreachable")]).toEqual([
    "web1\nweb5\n",
    "web2\nweb3\n",
    "web4\n",
  ]);
  const document = JSON.parse(await read("summary.json")) as { hosts: { host: string }[] };
  expect(document).toMatchObject({
    outpost: "output-dir",
    job: syntheticJobId,
    state: "ended",
    exitCode: 254,
  });
  expect(document.hosts.find((each) => each.host === "web2")).toMatchObject({
    outcome: "failed",
    exit: { code: 3 },
    stdout: { base: 0, size: 4, gaps: [] },
  });
});

test("more hosts than files may be open", async () => {
  const hosts = names("web", 400);
  const answer = (name: string): SyntheticAnswer => ({ stdout: `${name}\n`.repeat(20) });
  await write(syntheticEvents({ seed: 5, hosts, answer, maxChunkBytes: 40 }));
  for (const name of hosts) expect(await read(`${name}.stdout`)).toBe(`${name}\n`.repeat(20));
});

test("a directory that is somebody else's is refused; another job's is made anew", async () => {
  await writeFile(join(directory, "notes"), "mine");
  await expect(write([plan()])).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringMatching(/neither empty/),
  });
  await rm(join(directory, "notes"));
  await write([plan(), out(0, "old")], true);
  await writeFile(join(directory, "notes"), "mine");
  await write([plan("ba9876543210" as JobId)], true);
  expect((await readdir(directory)).toSorted()).toEqual([
    "hosts.failed",
    "hosts.ok",
    "hosts.running",
    "hosts.unreachable",
    "notes",
    "summary.json",
  ]);
});

test("the same job goes on where it was, also when what was written comes again", async () => {
  await write([plan(), out(100, "abc")], true);
  expect(JSON.parse(await read("summary.json"))).toMatchObject({ state: "interrupted" });
  const exit: JobEvent = { type: "exit", job: syntheticJobId, host, ended: true, state: "completed" };
  await write([plan(), out(102, "cde"), exit, summarise(syntheticJobId, [exit])]);
  expect(await read("web1.stdout")).toBe("abcde");
  await write([plan(), out(0, `${"x".repeat(100)}ab`), out(102, "cde")], true);
  expect(await read("web1.stdout")).toBe(`${"x".repeat(100)}abcde`);
});

test("a run that was killed has left no extents, and the next goes on all the same", async () => {
  await write([plan(), out(0, "abc")], true);
  await writeFile(
    join(directory, "summary.json"),
    JSON.stringify({ outpost: "output-dir", job: syntheticJobId, state: "running" }),
  );
  await write([plan(), out(2, "cde")], true);
  expect(await read("web1.stdout")).toBe("abcde");
});

test("missing bytes are a hole, and told", async () => {
  const gap = (from: number, to: number): JobEvent => {
    return { type: "gap", job: syntheticJobId, host, stream: "stdout", from, to, reason: "evicted" };
  };
  const { stderr } = await write([plan(), gap(0, 5), out(5, "ab"), gap(7, 9), out(9, "c")], true);
  expect(await read("web1.stdout")).toBe("ab\0\0c");
  expect(stderr).toContain("web1: 2 bytes of stdout (7 to 9) are missing");
  const document = JSON.parse(await read("summary.json")) as { hosts: object[] };
  expect(document.hosts[0]).toMatchObject({
    stdout: { base: 5, size: 5, gaps: [{ from: 7, to: 9, reason: "evicted" }] },
  });
});

test("no name and no link leads out of it", async () => {
  const elsewhere = `${directory}-elsewhere`;
  const evil = "../evil" as HostName;
  await expect(write([plan(), { ...out(0, "x"), host: evil } as JobEvent])).rejects.toMatchObject({
    code: "protocol_error",
  });
  await symlink(elsewhere, join(directory, "web1.stdout"));
  await expect(write([plan(), out(0, "x")])).rejects.toThrow();
  await expect(readFile(elsewhere)).rejects.toThrow();
});
