/**
 * kill -9 of the agent, the controller, both or the CLI at random moments while a job writes 50 MB/s: the received
 * bytes are those of a run without a fault. `OUTPOST_FAULT_SEEDS=100` for more than the few that every run takes.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noiseDigest } from "../fixtures/noise.ts";
import { Playground } from "../kit/playground.ts";
import { random } from "../kit/random.ts";
import { eventually } from "../kit/wait.ts";

const seeds = Number(process.env["OUTPOST_FAULT_SEEDS"] ?? 3);
const jobBytes = 100_000_000;
const bytesPerSecond = 50_000_000;
const noiseProgram = join(import.meta.dirname, "../fixtures/noise.ts");

let playground: Playground;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "outpost-faults-"));
  playground = await Playground.create({ hosts: ["web1"] });
}, 60_000);

afterAll(async () => {
  await playground?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function startNoise(seed: string): Promise<string> {
  // The last test's kills may have left the agent waiting before it dials again.
  await playground.connected(["web1"], 60_000);
  const command = [process.execPath, noiseProgram, seed, String(jobBytes), String(bytesPerSecond)];
  const result = await playground.outpost(["job", "start", "web1", "--output", "json", "--", ...command]);
  return (JSON.parse(result.stdout.toString()) as { job: string }).job;
}

interface Receiver {
  kill(): Promise<void>;
  readonly done: Promise<number | null>;
}

function receive(job: string, file: string, ...options: string[]): Receiver {
  const argv = playground.argv("job", "receive", job, "--follow", ...options);
  const out = openSync(file, "w");
  const log = openSync(`${file}.log`, "w");
  const child = spawn(argv[0]!, argv.slice(1), { env: playground.env(), stdio: ["ignore", out, log] });
  closeSync(out);
  closeSync(log);
  const done = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  return {
    done,
    async kill() {
      child.kill("SIGKILL");
      await done;
    },
  };
}

async function expectWhole(file: string, seed: string): Promise<void> {
  const bytes = await readFile(file);
  expect(bytes.length).toBe(jobBytes);
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(noiseDigest(seed, jobBytes));
}

const victims = {
  agent: () => [playground.agent("web1")],
  controller: () => [playground.controller],
  "agent and controller": () => [playground.agent("web1"), playground.controller],
};

describe.each(Object.entries(victims))("kill -9 of %s", (name, programs) => {
  test.each(Array.from({ length: seeds }, (_, index) => index))(
    "seed %i",
    { timeout: 120_000 },
    async (seed) => {
      const next = random(seed * 7919 + name.length);
      const noiseSeed = `${name}-${String(seed)}`;
      const job = await startNoise(noiseSeed);
      const file = join(scratch, "received");
      const receiver = receive(job, file);
      // A receive whose first connection is refused ends with an error; one that has begun goes on.
      await eventually(async () => (await stat(file)).size > 0, { what: "the first output" });
      for (let kills = 0; kills < 2; kills++) {
        // Random moments are what this test is about.
        await pause(next() * 1200);
        await Promise.all(programs().map((program) => program.signal("SIGKILL")));
        await pause(next() * 400);
        for (const program of programs()) program.start();
      }
      expect(await receiver.done, await readFile(`${file}.log`, "utf8")).toBe(0);
      await expectWhole(file, noiseSeed);
    },
  );
});

interface OutEvent {
  readonly type: string;
  readonly offset: number;
  readonly base64?: string;
  readonly text?: string;
}

/** What a killed receiver wrote: whole lines only, the last may be cut. */
function outEvents(ndjson: Buffer): OutEvent[] {
  const lines = ndjson.toString().split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as OutEvent).filter(({ type }) => type === "out");
}

describe("kill -9 of the CLI", () => {
  test.each(Array.from({ length: seeds }, (_, index) => index))(
    "seed %i",
    { timeout: 120_000 },
    async (seed) => {
      const next = random(seed + 1);
      const noiseSeed = `cli-${String(seed)}`;
      const job = await startNoise(noiseSeed);
      const files = [0, 1, 2, 3].map((index) => join(scratch, `part-${String(index)}`));
      for (const file of files.slice(0, -1)) {
        const receiver = receive(job, file, "--output", "ndjson");
        await pause(300 + next() * 500);
        await receiver.kill();
      }
      expect(await receive(job, files.at(-1)!, "--output", "ndjson").done).toBe(0);
      // A killed reader may have written what it could not acknowledge any more: that much may come again, none may be missing.
      const whole = Buffer.alloc(jobBytes);
      let end = 0;
      for (const file of files) {
        for (const { offset, base64, text } of outEvents(await readFile(file))) {
          expect(offset).toBeLessThanOrEqual(end);
          const bytes = base64 === undefined ? Buffer.from(text ?? "") : Buffer.from(base64, "base64");
          bytes.copy(whole, offset);
          end = Math.max(end, offset + bytes.length);
        }
      }
      expect(end).toBe(jobBytes);
      expect(createHash("sha256").update(whole).digest("hex")).toBe(noiseDigest(noiseSeed, jobBytes));
    },
  );
});
