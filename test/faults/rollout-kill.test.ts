/**
 * kill -9 of the controller at random moments of a roll-out: it goes on where it was. Every host runs its job and its check once,
 * in its stage, and never more at a time than were asked for. `OUTPOST_FAULT_SEEDS=100` for more than the few that every run takes.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "@outpost/controller/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Playground } from "../kit/playground.ts";
import { random } from "../kit/random.ts";
import { eventually } from "../kit/wait.ts";

const seeds = Number(process.env["OUTPOST_FAULT_SEEDS"] ?? 2);
const hosts = ["web1", "web2", "web3", "web4", "web5", "web6"];
/** As `canary: 1, batch: 3` makes them. */
const stages = [["web1"], ["web2", "web3", "web4"], ["web5", "web6"]];
const concurrency = 2;
const kills = 3;

let playground: Playground;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "outpost-rollout-"));
  playground = await Playground.create({ hosts });
}, 120_000);

afterAll(async () => {
  await playground?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Hosts of a playground share their machine: all of them append to one file, a line at a time. */
const says = (what: string, log: string): string => `echo "${what} $OUTPOST_HOST" >> '${log}'`;

interface Said {
  readonly what: string;
  readonly host: string;
}

async function said(log: string): Promise<Said[]> {
  const text = await readFile(log, "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({ what: line.split(" ")[0]!, host: line.split(" ")[1]! }));
}

async function start(client: Client, log: string): Promise<string> {
  const { id } = await client.start({
    targets: hosts.join(","),
    command: { kind: "shell", text: `${says("begins", log)}; sleep 0.3; ${says("ends", log)}` },
    rollout: { canary: { hosts: 1 }, batch: { hosts: 3 }, concurrency: { hosts: concurrency }, pauseMs: 100 },
    check: { command: { kind: "shell", text: says("checks", log) } },
  });
  return id;
}

test.each(Array.from({ length: seeds }, (_, index) => index))(
  "seed %i",
  { timeout: 180_000 },
  async (seed) => {
    const next = random(seed * 7919 + 3);
    const log = join(scratch, `log-${String(seed)}`);
    // The last test's kills may have left agents waiting before they dial again.
    await playground.connected(hosts, 60_000);
    const client = await playground.client();
    const id = await start(client, log);
    await client[Symbol.asyncDispose]();
    for (let killed = 0; killed < kills; killed++) {
      // Random moments are what this test is about; each is within the roll-out, which goes on in between.
      const before = (await said(log)).length;
      await pause(next() * 800);
      await playground.controller.signal("SIGKILL");
      await pause(next() * 300);
      playground.controller.start();
      const isOver = await eventually(
        async () => {
          const { length } = await said(log);
          return length > before || length === 3 * hosts.length
            ? { value: length === 3 * hosts.length }
            : undefined;
        },
        { what: "the roll-out to go on", withinMs: 60_000 },
      );
      if (isOver.value) break;
    }
    const again = await eventually(() => playground.client(), { what: "the controller" });
    const job = await again.job(id);
    const rollout = await eventually(
      async () => {
        const { fanout } = await job.show();
        return fanout.rollout?.state === "running" || fanout.rollout?.state === "waiting"
          ? undefined
          : fanout.rollout;
      },
      { what: "the end of the roll-out", withinMs: 90_000 },
    );
    expect(rollout).toMatchObject({ state: "done", begun: 6, waiting: 0, failures: 0, stage: 3, stages: 3 });
    expect((await job.show()).jobs.map(({ status }) => status.state)).toEqual(hosts.map(() => "completed"));
    await again[Symbol.asyncDispose]();

    const lines = await said(log);
    for (const what of ["begins", "ends", "checks"]) {
      const named = lines.filter((line) => line.what === what).map(({ host }) => host);
      expect([...named].sort(), `every host ${what} once`).toEqual(hosts);
      // In the order of the stages.
      const byStage = named.map((host) => stages.findIndex((stage) => stage.includes(host)));
      expect(byStage, `${what} in its stage`).toEqual([0, 1, 1, 1, 2, 2]);
    }
    let running = 0;
    for (const [index, { what, host }] of lines.entries()) {
      if (what === "begins") running++;
      if (what === "ends") running--;
      expect(running, "the window").toBeLessThanOrEqual(concurrency);
      if (what !== "begins") continue;
      const stage = stages.findIndex((each) => each.includes(host));
      const checked = lines.slice(0, index).filter((line) => line.what === "checks").length;
      expect(checked, "the stages before are checked").toBe(stages.slice(0, stage).flat().length);
    }
  },
);
