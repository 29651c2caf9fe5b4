import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  ConfigurationName,
  type JobId,
  type JobStartResult,
  newSessionId,
  type Secrets,
} from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hostPlatform } from "../platform/index.ts";
import { outputOf, request, type StartOptions, until } from "../testing/job-store.ts";
import { makeUser, needsRoot, openHome, type TestHome } from "../testing/run-as.ts";
import { openMemoryFile } from "./memory-file.ts";

const password = "correct horse battery staple";
const key = Buffer.from("-----BEGIN KEY-----\nZm9v\0\xff\n", "latin1");

let home: TestHome;

beforeEach(async () => {
  home = await openHome();
});

afterEach(async () => {
  await home[Symbol.asyncDispose]();
});

function secrets(more: Partial<Secrets> = {}): Secrets {
  return { salt: Buffer.alloc(32), env: { PASSWORD: password }, files: { KEY: key }, ...more };
}

function start(text: string, options: StartOptions = {}, given = secrets()): Promise<JobStartResult> {
  return home.jobs.start({ ...request({ kind: "shell", text }, options), secrets: given });
}

async function say(text: string, options?: StartOptions, given?: Secrets): Promise<string> {
  const { status } = await start(text, options, given);
  const { stdout, stderr } = await outputOf(home.jobs, status.job);
  return stdout + stderr;
}

/** All that is on disk of it. */
function filesOf(job: JobId): string {
  const folder = join(home.paths.jobs, job);
  return readdirSync(folder)
    .filter((name) => !["stdout", "stderr"].includes(name) && statSync(join(folder, name)).isFile())
    .map((name) => readFileSync(join(folder, name), "latin1"))
    .join("\n");
}

function ofJob(job: JobId): number[] {
  const platform = hostPlatform();
  return platform
    .processes()
    .map(({ pid }) => pid)
    .filter((pid) => platform.environment(pid).includes(`OUTPOST_JOB=${job}`));
}

describe.each(["the agent's user", "another user"])("a job of %s", (whose) => {
  let options: StartOptions = {};
  let leave = (): void => {};

  beforeEach((context) => {
    options = {};
    if (whose === "the agent's user") return;
    needsRoot(context);
    const user = makeUser();
    leave = () => user[Symbol.dispose]();
    home.configure("deploy", `user: ${user.name}\n`);
    options = { configuration: v.parse(ConfigurationName, "deploy") };
  });

  afterEach(() => {
    leave();
    leave = () => {};
  });

  test("has secret variables, and secret files at descriptors that can be read again and again", async () => {
    expect(await say('echo "$PASSWORD"', options)).toBe(`${password}\n`);
    const { status } = await start('cat "$KEY"; cat <"$KEY"', options);
    const { stdout } = await outputOf(home.jobs, status.job);
    expect(stdout).toBe(key.toString() + key.toString());
    const names = await say(
      "echo $A $B; cat $A $B",
      options,
      secrets({ files: { A: Buffer.from("a"), B: Buffer.from("b") } }),
    );
    expect(names).toMatch(/^\/dev\/fd\/\d+ \/dev\/fd\/\d+\nab$/);
  });

  test("leaves them in no file and no command line", async () => {
    const { status } = await start('echo begun; read -r _ <&-; sleep 60; : "$PASSWORD"', {
      ...options,
      inlineWaitMs: 0,
    });
    await until(() => readFileSync(join(home.paths.jobs, status.job, "stdout"), "utf8") === "begun\n");
    const found = ofJob(status.job);
    expect(found.length).toBeGreaterThan(1);
    const lines = found.map((pid) => hostPlatform().commandLine(pid)).join("\n");
    for (const text of [lines, filesOf(status.job)]) {
      expect(text).not.toContain("horse");
      expect(text).not.toContain("Zm9v");
    }
    expect(readdirSync("/dev/shm").filter((name) => name.startsWith("outpost-"))).toEqual([]);
  });

  test("and another that is started at the same time has nothing of them", async () => {
    const text = "ls -l /proc/self/fd; env";
    const first = start(text, options);
    const second = home.jobs.start(request({ kind: "shell", text }, options));
    expect((await outputOf(home.jobs, (await first).status.job)).stdout).toContain("(deleted)");
    const { stdout } = await outputOf(home.jobs, (await second).status.job);
    expect(stdout).not.toMatch(/deleted|horse/);
  });

  test("takes large ones, and an empty one", async () => {
    const large = Buffer.alloc(200_000, "x");
    const sizes = await say(
      "wc -c <$LARGE; wc -c <$EMPTY",
      options,
      secrets({ env: {}, files: { LARGE: large, EMPTY: Buffer.alloc(0) } }),
    );
    expect(sizes.split(/\s+/).filter(Boolean)).toEqual(["200000", "0"]);
  });
});

test("agents hold none of a job's secret files once it is started", async () => {
  const before = readdirSync("/proc/self/fd").length;
  await start("true", { inlineWaitMs: 10_000 });
  await until(() => readdirSync("/proc/self/fd").length <= before);
  const open = readdirSync("/proc/self/fd").length;
  expect(open).toBeLessThanOrEqual(before);
});

test("in a session they are refused", async () => {
  const session = { ids: [newSessionId()], busy: "fail" as const };
  await expect(start("true", { session })).rejects.toMatchObject({ code: "invalid_argument" });
});

describe("content in memory", () => {
  test("has no name, and is read only", () => {
    const file = openMemoryFile(Buffer.from("secret"), { pipeFolder: home.paths.directory });
    const info = readFileSync(`/proc/self/fdinfo/${String(file)}`, "utf8");
    expect(readFileSync(file, "utf8")).toBe("secret");
    // O_CLOEXEC: programs that are started meanwhile do not get it.
    expect(Number.parseInt(/flags:\s*(\d+)/.exec(info)![1]!, 8) & 0o2000003).toBe(0o2000000);
    expect(readdirSync(home.paths.directory)).toEqual(["jobs"]);
  });

  test("is in a pipe where there is no file system for it, as far as it fits", () => {
    const where = { pipeFolder: home.paths.directory, memoryFolders: ["/proc", "/none"] };
    for (const content of ["", "secret", "x".repeat(60_000)])
      expect(readFileSync(openMemoryFile(Buffer.from(content), where), "utf8")).toBe(content);
    expect(() => openMemoryFile(Buffer.alloc(1_000_000), where)).toThrow(/more than a pipe holds/);
    expect(readdirSync(home.paths.directory)).toEqual(["jobs"]);
  });
});
