/** What tests of configurations share: users that are there for a test, an agent's directory with configurations, jobs on it. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "@outpost/protocol";
import { pino } from "pino";
import type { TestContext } from "vitest";
import { Configurations } from "../configurations/index.ts";
import { agentPaths, type AgentPaths } from "../directory.ts";
import { defaultJobSettings, Jobs, type JobSettings } from "../jobs/index.ts";
import type { SessionShells } from "../jobs/session-shells.ts";
import { type Account, findAccount } from "../platform/index.ts";
import { until } from "./job-store.ts";

/** Skips a test where users cannot be made. */
export function needsRoot(context: TestContext): void {
  if (process.getuid?.() !== 0) context.skip("it makes users of the system, for which it must be root");
}

export interface TestUser extends Account, Disposable {}

/** A user with a home directory, gone with all that it runs when it is disposed of. */
export function makeUser(...groups: readonly string[]): TestUser {
  const name = `outpost-${randomBytes(4).toString("hex")}`;
  const others = groups.length === 0 ? [] : ["--groups", groups.join(",")];
  run("useradd", ["--create-home", "--shell", "/bin/bash", ...others, name]);
  const account = findAccount(name)!;
  return {
    ...account,
    [Symbol.dispose]() {
      run("userdel", ["--remove", "--force", name]);
    },
  };
}

/** A group, gone when it is disposed of. */
export function makeGroup(): { readonly name: string } & Disposable {
  const name = `outpost-${randomBytes(4).toString("hex")}`;
  run("groupadd", [name]);
  return { name, [Symbol.dispose]: () => run("groupdel", [name]) };
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0 && !stderr.includes("mail spool")) throw new Error(`${program}: ${stderr}`);
}

export interface TestHome extends AsyncDisposable {
  readonly paths: AgentPaths;
  readonly configurations: Configurations;
  readonly jobs: Jobs;
  /** Writes a configuration. */
  configure(name: string, yaml: string): void;
  /** Disposes of the jobs' object as it stands, and opens another one. */
  reopen(): Promise<Jobs>;
}

export interface TestHomeOptions {
  readonly settings?: Partial<JobSettings>;
  readonly sessions?: (paths: AgentPaths, configurations: Configurations) => SessionShells;
}

export async function openHome({ settings, sessions }: TestHomeOptions = {}): Promise<TestHome> {
  const directory = mkdtempSync(join(realpathSync(tmpdir()), "outpost-home-"));
  const paths = agentPaths(directory);
  const configurations = new Configurations(paths.configurations);
  const shells = sessions?.(paths, configurations);
  const open = (): Promise<Jobs> =>
    Jobs.open({
      directory: paths.jobs,
      hostName: "web1",
      settings: { ...defaultJobSettings, minFreeBytes: 0, ...settings },
      clock: systemClock,
      log: pino({ level: "silent" }),
      configurations,
      handed: paths.handed,
      ...(shells === undefined ? {} : { sessions: shells }),
    });
  let jobs = await open();
  return {
    paths,
    configurations,
    get jobs() {
      return jobs;
    },
    configure(name, yaml) {
      const file = configurations.path(name);
      mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
      chmodSync(dirname(file), 0o755);
      writeFileSync(file, yaml, { mode: 0o644 });
      chmodSync(file, 0o644);
    },
    async reopen() {
      await jobs[Symbol.asyncDispose]();
      return (jobs = await open());
    },
    async [Symbol.asyncDispose]() {
      const live = (): boolean => jobs.list().some(({ state }) => state === "pending" || state === "running");
      for (const { job } of jobs.list()) await jobs.stop({ job, operator: "the test", graceMs: 0 });
      await until(() => !live(), "the end of all jobs");
      await jobs[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
