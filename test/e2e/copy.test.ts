/** Files to hosts and from hosts, with real processes: what is there afterwards, whatever was cut or killed meanwhile. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  createWriteStream,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  type WriteStream,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Playground, type RunResult } from "../kit/playground.ts";
import { eventually } from "../kit/wait.ts";

const hosts = ["web1", "web2", "web3", "web4", "web5"];
const megabyte = 1024 * 1024;

let playground: Playground;
let scratch: string;
const started: ChildProcess[] = [];

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "outpost-copy-"));
  playground = await Playground.create({ hosts, proxied: true });
  for (const host of hosts) {
    mkdirSync(home(host));
    const configurations = join(playground.agentDirectory(host), "configurations");
    mkdirSync(configurations, { recursive: true, mode: 0o755 });
    writeFileSync(join(configurations, "default.yaml"), `cwd: ${home(host)}\n`, { mode: 0o644 });
  }
  // A user of the system is needed to run as one of them; nobody is everywhere.
  chmodSync(scratch, 0o755);
}, 90_000);

afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

afterAll(async () => {
  await playground?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

/** Where relative paths begin on a host: all of them are this machine. */
function home(host: string): string {
  return join(scratch, `home-${host}`);
}

function copy(...args: string[]): Promise<RunResult> {
  return playground.outpost(["copy", ...args]);
}

interface Ran {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly stderr: () => string;
}

/** One that goes on while something is done to it. */
function begin(...args: string[]): Ran {
  const argv = playground.argv("copy", ...args);
  const child = spawn(argv[0]!, argv.slice(1), {
    env: playground.env(),
    stdio: ["ignore", "ignore", "pipe"],
  });
  started.push(child);
  let text = "";
  child.stderr.on("data", (bytes: Buffer) => void (text += bytes.toString()));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, ended, stderr: () => text };
}

function file(name: string, bytes: number): { readonly path: string; readonly digest: string } {
  const path = join(scratch, name);
  const content = randomBytes(bytes);
  writeFileSync(path, content);
  return { path, digest: digestOf(content) };
}

function digestOf(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function digestAt(path: string): string {
  return digestOf(readFileSync(path));
}

/** How much of files that are not whole yet there is below a folder. */
function partialBytes(folder: string): number {
  if (!existsSync(folder)) return 0;
  const names = readdirSync(folder).filter((name) => /\.outpost-[0-9a-f]{8}$/.test(name));
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** A source that is written while it is read: what comes of it can be held back. */
class Pipe {
  readonly path: string;
  readonly #content: Buffer;
  #writing: WriteStream | undefined;

  constructor(name: string, bytes: number) {
    this.path = join(scratch, name);
    this.#content = randomBytes(bytes);
    spawnSync("mkfifo", [this.path]);
  }

  get digest(): string {
    return digestOf(this.#content);
  }

  /** Resolves when somebody has read it. */
  async writeHalf(): Promise<void> {
    this.#writing = createWriteStream(this.path);
    await new Promise((resolve) =>
      this.#writing!.write(this.#content.subarray(0, this.#content.length / 2), resolve),
    );
  }

  writeRest(): void {
    this.#writing!.end(this.#content.subarray(this.#content.length / 2));
  }
}

function describeTree(folder: string): unknown[] {
  return readdirSync(folder)
    .toSorted()
    .map((name) => {
      const path = join(folder, name);
      const stats = lstatSync(path);
      if (stats.isSymbolicLink()) return [name, readlinkSync(path)];
      const own = [name, stats.mode & 0o7777, Math.round(stats.mtimeMs)];
      return stats.isDirectory() ? [...own, describeTree(path)] : [...own, digestAt(path)];
    });
}

function makeSite(folder: string): string {
  mkdirSync(join(folder, "css/empty"), { recursive: true });
  writeFileSync(join(folder, "index.html"), "<p>hello</p>\n");
  writeFileSync(join(folder, "css/run me.sh"), "#!/bin/sh\n");
  chmodSync(join(folder, "css/run me.sh"), 0o750);
  writeFileSync(join(folder, "large"), randomBytes(3 * megabyte));
  symlinkSync("index.html", join(folder, "start"));
  symlinkSync("../index.html", join(folder, "css/up"));
  for (const name of ["index.html", "css/run me.sh", "large", "css/empty", "css", "."]) {
    utimesSync(join(folder, name), 1_500_000_000.123, 1_500_000_000.123);
  }
  return folder;
}

describe("a copy", () => {
  test("to several hosts and back is the same, with modes, times and links", async () => {
    const site = makeSite(join(scratch, "site"));
    const there = await copy(site, "web[1-3]:", "--into");
    expect(there.stderr).toMatch(/copied 3 files \(3\.1 MB\) each to web\[1-3\]/);
    expect(there.stderr.trim().split("\n").at(-1)).toContain("3 hosts: 3 succeeded");
    expect(there.exitCode).toBe(0);
    const back = await copy("web[1-3]:site", join(scratch, "back"));
    expect(back.exitCode).toBe(0);
    expect(readdirSync(join(scratch, "back")).toSorted()).toEqual(["web1", "web2", "web3"]);
    for (const host of ["web1", "web2", "web3"]) {
      expect(describeTree(join(home(host), "site"))).toEqual(describeTree(site));
      expect(describeTree(join(scratch, "back", host, "site"))).toEqual(describeTree(site));
    }
    // Everything was written, so the hosts have forgotten it.
    await eventually(
      () => readdirSync(join(playground.agentDirectory("web1"), "jobs")).every((name) => name.includes(".")),
      {
        what: "an empty job store on web1",
      },
    );
  });

  test("goes to a name, into a directory that is there, into one that is made; a file that is there is replaced", async () => {
    const { path, digest } = file("conf", 10);
    await copy(path, "web1:a.conf");
    expect(digestAt(join(home("web1"), "a.conf"))).toBe(digest);
    mkdirSync(join(home("web1"), "etc"));
    await copy(path, "web1:etc");
    expect(digestAt(join(home("web1"), "etc/conf"))).toBe(digest);
    await copy(path, "web1:new/one/");
    expect(digestAt(join(home("web1"), "new/one/conf"))).toBe(digest);
    const other = file("other", 20);
    await copy(other.path, "web1:a.conf");
    expect(digestAt(join(home("web1"), "a.conf"))).toBe(other.digest);
  });

  test("reads what it copies once, however many hosts there are", async () => {
    // Whoever reads a pipe a second time waits for ever.
    const pipe = new Pipe("once", 8 * megabyte);
    const run = begin(pipe.path, "web[1-5]:once");
    await pipe.writeHalf();
    pipe.writeRest();
    expect(await run.ended).toBe(0);
    for (const host of hosts) expect(digestAt(join(home(host), "once"))).toBe(pipe.digest);
  });

  test("says for each host what is wrong there, and for patterns that nothing matches", async () => {
    writeFileSync(join(home("web1"), "in-the-way"), "a file");
    mkdirSync(join(home("web2"), "in-the-way"));
    const { path } = file("x", 10);
    const { stderr, exitCode } = await copy(path, "web1,web2:in-the-way/");
    expect(stderr).toMatch(/web1: in-the-way\/ is not a directory/);
    expect(stderr).toMatch(/2 hosts: 1 succeeded; 1 failed with exit code 1 \(web1\)/);
    expect(exitCode).toBe(1);
    expect(existsSync(join(home("web2"), "in-the-way/x"))).toBe(true);
    writeFileSync(join(home("web2"), "there.log"), "log");
    const logs = await copy("web1,web2:*.log", join(scratch, "logs"));
    expect(logs.stderr).toContain("web1: *.log: nothing matches that");
    expect(logs.exitCode).toBe(1);
    expect(readFileSync(join(scratch, "logs/web2/there.log"), "utf8")).toBe("log");
  });

  test("starts nothing when a file here is missing, a host is unknown, or both sides are the same", async () => {
    const jobs = async (): Promise<string> =>
      (await playground.outpost(["job", "list", "--output", "json"])).stdout.toString();
    const before = JSON.parse(await jobs()) as { fanouts: unknown[] };
    expect((await copy(join(scratch, "no-such-file"), "web1:x")).stderr).toContain("there is no such file");
    expect((await copy(file("y", 1).path, "web9:x")).stderr).toContain("web9");
    expect(await copy("a", "b")).toMatchObject({ exitCode: 251 });
    expect(await copy("web1:a", "web2:b")).toMatchObject({ exitCode: 251 });
    expect((JSON.parse(await jobs()) as { fanouts: unknown[] }).fanouts).toHaveLength(before.fanouts.length);
  });

  test("tells programs in JSON and event by event", async () => {
    const { path, digest } = file("told", 1000);
    const json = JSON.parse((await copy(path, "web1:told", "--output", "json")).stdout.toString()) as unknown;
    expect(json).toMatchObject({
      exitCode: 0,
      hosts: [{ host: "web1", state: "completed", files: 1, bytes: 1000 }],
    });
    const { stdout } = await copy("web1:told", join(scratch, "told-back"), "--output", "ndjson");
    const events = stdout
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ type }) => type)).toEqual(["plan", "file", "exit", "summary"]);
    expect(events[1]).toMatchObject({ host: "web1", path: "told", bytes: 1000, sha256: digest });
  });

  test("links of a host that lead outside are not made, unless they are wanted", async () => {
    mkdirSync(join(home("web1"), "linked"));
    symlinkSync("/etc/passwd", join(home("web1"), "linked/out"));
    symlinkSync("in", join(home("web1"), "linked/ok"));
    const { stderr, exitCode } = await copy("web1:linked", join(scratch, "linked"));
    expect(stderr).toContain("is a link that leads outside, to /etc/passwd; it is not made");
    expect(exitCode).toBe(1);
    expect(readdirSync(join(scratch, "linked/web1/linked"))).toEqual(["ok"]);
    expect((await copy("web1:linked", join(scratch, "linked"), "--all-links")).exitCode).toBe(0);
    expect(readlinkSync(join(scratch, "linked/web1/linked/out"))).toBe("/etc/passwd");
  });
});

describe("in the middle of a copy to a host", () => {
  const half = async (name: string): Promise<{ pipe: Pipe; run: Ran; target: string }> => {
    const pipe = new Pipe(name, 24 * megabyte);
    const run = begin(pipe.path, `web1:${name}`);
    await pipe.writeHalf();
    const target = join(home("web1"), name);
    // Not all of it: some is still on its way, and what is cut is lost.
    await eventually(() => partialBytes(home("web1")) > 4 * megabyte, { what: "the first bytes on web1" });
    expect(existsSync(target)).toBe(false);
    return { pipe, run, target };
  };

  test("its connection is cut: it goes on where it was", async () => {
    const { pipe, run, target } = await half("cut");
    playground.proxy.cut();
    pipe.writeRest();
    expect(await run.ended).toBe(0);
    expect(digestAt(target)).toBe(pipe.digest);
  });

  test("the controller is killed: it goes on when that is back", async () => {
    const { pipe, run, target } = await half("controller");
    await playground.controller.signal("SIGKILL");
    playground.controller.start();
    pipe.writeRest();
    expect(await run.ended).toBe(0);
    expect(digestAt(target)).toBe(pipe.digest);
  });

  test("the agent is killed: the job goes on without it, and is fed by the next one", async () => {
    const { pipe, run, target } = await half("agent");
    await playground.agent("web1").signal("SIGKILL");
    pipe.writeRest();
    playground.agent("web1").start();
    expect(await run.ended).toBe(0);
    expect(digestAt(target)).toBe(pipe.digest);
  });

  test("Ctrl-C stops it, and nothing is left", async () => {
    const { run, target } = await half("interrupted");
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(130);
    expect(existsSync(target)).toBe(false);
    expect(partialBytes(home("web1"))).toBe(0);
  });
});

async function newestJob(): Promise<string> {
  const { stdout } = await playground.outpost(["job", "list", "--output", "json"]);
  const { fanouts } = JSON.parse(stdout.toString()) as { fanouts: { job: string }[] };
  return fanouts[0]!.job;
}

describe("in the middle of a copy from hosts", () => {
  /** More than what may be on its way when nobody reads. */
  const large = 64 * megabyte;

  /** Stopped when the first bytes are here, so that the rest cannot be. */
  const half = async (
    name: string,
  ): Promise<{ run: Ran; here: (host: string) => string; digest: string; directory: string }> => {
    const { path, digest } = file(`${name}.source`, large);
    const directory = join(scratch, name);
    const run = begin(`web1,web2:${path}`, directory);
    await eventually(() => ["web1", "web2"].every((host) => partialBytes(join(directory, host)) > 0), {
      what: "the first bytes",
    });
    run.child.kill("SIGSTOP");
    const here = (host: string): string => join(directory, host, `${name}.source`);
    expect(existsSync(here("web1")) && existsSync(here("web2"))).toBe(false);
    return { run, here, digest, directory };
  };

  test("connections are cut: it goes on where it was", async () => {
    const { run, here, digest } = await half("down-cut");
    playground.proxy.cut();
    run.child.kill("SIGCONT");
    expect(await run.ended).toBe(0);
    for (const host of ["web1", "web2"]) expect(digestAt(here(host))).toBe(digest);
  });

  test("the controller is killed: it goes on when that is back", async () => {
    const { run, here, digest } = await half("down-controller");
    await playground.controller.signal("SIGKILL");
    playground.controller.start();
    run.child.kill("SIGCONT");
    expect(await run.ended).toBe(0);
    for (const host of ["web1", "web2"]) expect(digestAt(here(host))).toBe(digest);
  });

  test("outpost is ended: what was under way is removed, and --resume has all of it", async () => {
    const { run, here, digest, directory } = await half("down-ended");
    run.child.kill("SIGTERM");
    run.child.kill("SIGCONT");
    await run.ended;
    expect(run.child.signalCode).toBe("SIGTERM");
    const job = await newestJob();
    expect(run.stderr()).toContain(`outpost copy --resume ${job} ${directory}`);
    for (const host of ["web1", "web2"]) expect(readdirSync(join(directory, host))).toEqual([]);
    expect((await copy("--resume", job, directory)).exitCode).toBe(0);
    for (const host of ["web1", "web2"]) expect(digestAt(here(host))).toBe(digest);
  });

  test("a host has forgotten what was not received: --resume says so, and has the others", async () => {
    const { run, here, digest, directory } = await half("down-forgotten");
    run.child.kill("SIGKILL");
    await run.ended;
    const job = await newestJob();
    const folder = readdirSync(join(playground.agentDirectory("web1"), "jobs")).find((name) =>
      existsSync(join(playground.agentDirectory("web1"), "jobs", name, "stdout")),
    );
    await eventually(async () => {
      const { exitCode } = await playground.outpostAgent("web1", ["job", "remove", folder!]);
      return exitCode === 0;
    });
    const resumed = await eventually(async () => {
      const result = await copy("--resume", job, directory);
      return result.stderr.includes("web1") && result;
    });
    expect(resumed.stderr).toMatch(/web1: a part of it can no longer be had/);
    expect(resumed.exitCode).not.toBe(0);
    expect(existsSync(here("web1"))).toBe(false);
    expect(digestAt(here("web2"))).toBe(digest);
  });

  test("outpost is killed: --resume has the rest, and then nothing is left", async () => {
    const { run, here, digest, directory } = await half("down-killed");
    run.child.kill("SIGKILL");
    await run.ended;
    const job = await newestJob();
    const resumed = await copy("--resume", job, directory);
    expect(resumed.stderr).toContain("succeeded");
    expect(resumed.exitCode).toBe(0);
    for (const host of ["web1", "web2"]) expect(digestAt(here(host))).toBe(digest);
    const again = await eventually(async () => {
      const result = await copy("--resume", job, directory);
      return result.stderr.includes("nothing is left to copy") && result;
    });
    expect(again.exitCode).toBe(0);
  });
});
