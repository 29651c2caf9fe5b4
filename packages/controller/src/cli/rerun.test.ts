/** `--rerun`: on which hosts, and with what. */
import {
  type EndReason,
  type FanOutSpecResult,
  HostName,
  type JobInfo,
  type JobSpec,
  newJobId,
} from "@outpost/protocol";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import type { Client } from "../client/index.ts";
import { type GivenStart, type RerunKind, rerunKinds } from "./rerun-options.ts";
import { resolved } from "./rerun.ts";

const job = newJobId();
const output = { stdout: { written: 0, received: 0 }, stderr: { written: 0, received: 0 } };

function info(
  host: string,
  state: JobInfo["status"]["state"],
  more: Partial<JobInfo> = {},
  code?: EndReason["code"],
): JobInfo {
  const reason = code === undefined ? {} : { reason: { code, message: "…" } };
  return { host: v.parse(HostName, host), status: { job, state, output, ...reason }, ...more };
}

const jobs: readonly JobInfo[] = [
  info("ok1", "completed"),
  info("sick1", "completed"),
  info("bad1", "failed"),
  info("bad2", "failed", {}, "start_failed"),
  info("slow1", "failed", {}, "timed_out"),
  info("gone1", "failed", {}, "host_unreachable"),
  info("gone2", "failed", {}, "expired"),
  info("away1", "running", { unreachableSince: 1 }),
  info("stop1", "stopped", {}, "stopped"),
  info("skip1", "stopped", {}, "skipped"),
  info("next1", "stopped", {}, "not_begun"),
  info("lost1", "lost", {}, "host_rebooted"),
  info("busy1", "running"),
];

const spec: JobSpec = {
  command: { kind: "shell", text: "upgrade" },
  env: { A: "1", B: "2" },
  cwd: "/srv",
  timeoutMs: 1_000,
  input: { kind: "none" },
};

interface Earlier {
  readonly spec?: Partial<JobSpec>;
  readonly hadSecrets?: boolean;
}

function clientWith({ spec: more, hadSecrets = false }: Earlier = {}): Client {
  const answer: FanOutSpecResult = { spec: { ...spec, ...more }, mode: "keep", hadSecrets };
  const found = {
    id: job,
    show: () => Promise.resolve({ fanout: { job, rollout: { failures: 1 } }, jobs }),
    failedChecks: () => Promise.resolve([{ host: "sick1", state: "failed" }]),
  };
  return {
    job: () => Promise.resolve(found),
    spec: () => Promise.resolve(answer),
    hosts: (targets: string) =>
      Promise.resolve(
        jobs.filter(({ host }) => host.startsWith(targets.slice(0, 2))).map(({ host }) => ({ name: host })),
      ),
  } as unknown as Client;
}

function again(
  kinds: readonly RerunKind[],
  given: Partial<GivenStart> = {},
  earlier?: Earlier,
): ReturnType<typeof resolved> {
  return resolved(
    clientWith(earlier),
    { targets: undefined, command: undefined, ...given },
    { job: "4k7m", kinds: new Set(kinds) },
  );
}

describe("on which hosts", () => {
  test.each<[RerunKind, string]>([
    ["failed", "bad[1-2],sick1"],
    ["timed-out", "slow1"],
    // On away1 it may still run.
    ["unreachable", "gone[1-2]"],
    ["stopped", "stop1"],
    ["lost", "lost1"],
    ["not-begun", "next1"],
    ["skipped", "skip1"],
  ])("%s: %s", async (kind, expected) => {
    expect((await again([kind])).targets).toBe(expected);
  });

  test("every kind is one of those, and all of them are all that have ended", async () => {
    const every = new Set<string>();
    for (const kind of rerunKinds) {
      const { targets } = await again([kind]);
      for (const name of targets!.split(",")) every.add(name);
    }
    expect((await again(["all"])).targets!.split(",").toSorted()).toEqual(
      [...every].filter((name) => name !== "").toSorted(),
    );
    expect(every).not.toContain("busy1");
  });

  test("several kinds, and only those of them that targets select", async () => {
    expect((await again(["lost", "stopped"])).targets).toBe("lost1,stop1");
    expect((await again(["failed", "lost"], { targets: "ba*" })).targets).toBe("bad[1-2]");
    await expect(again(["failed"], { targets: "lo*" })).rejects.toThrow(
      "4k7m is failed on no host among lo*: there is nothing to run again",
    );
  });
});

describe("with what", () => {
  test("what it was started with, and what is given before that", async () => {
    expect(await again(["failed"])).toMatchObject({
      command: spec.command,
      env: spec.env,
      cwd: "/srv",
      timeoutMs: 1_000,
    });
    const other = await again(["failed"], { env: { B: "3" }, timeoutMs: 5, user: "shop" });
    expect(other).toMatchObject({ env: { A: "1", B: "3" }, timeoutMs: 5, user: "shop", cwd: "/srv" });
  });

  test("another command takes nothing of it but the hosts", async () => {
    const command = { kind: "exec" as const, argv: ["true"] };
    const start = await again(["failed"], { command }, { hadSecrets: true });
    expect(start).toMatchObject({ command, targets: "bad[1-2],sick1" });
    expect(start.env).toBeUndefined();
  });

  test("the same input if that is known, in the same sessions", async () => {
    const bytes = Buffer.from("x");
    expect((await again(["failed"], {}, { spec: { input: { kind: "inline", bytes } } })).input).toBe(bytes);
    const session = { ids: ["s1" as never], busy: "fail" as const };
    expect(await again(["failed"], {}, { spec: { session } })).toMatchObject({
      sessions: ["s1"],
      busy: "fail",
    });
  });

  test("what is kept nowhere has to be given again", async () => {
    await expect(again(["failed"], {}, { hadSecrets: true })).rejects.toThrow(
      /give them again with --env-secret/,
    );
    const secrets = { env: { TOKEN: "t" } };
    expect(await again(["failed"], { secrets }, { hadSecrets: true })).toMatchObject({ secrets });
    const streamed: Earlier = { spec: { input: { kind: "stream" } } };
    await expect(again(["failed"], {}, streamed)).rejects.toThrow(/give it again with --stdin/);
    const input = Buffer.from("y");
    expect((await again(["failed"], { input }, streamed)).input).toBe(input);
  });

  test("files are copied by another command", async () => {
    const command = { kind: "get" as const, paths: ["/etc/hosts"] };
    await expect(again(["failed"], {}, { spec: { command } })).rejects.toThrow(/outpost copy/);
  });
});
