import { lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock, readMetrics } from "@outpost/protocol/testing";
import * as fc from "fast-check";
import { pino } from "pino";
import { describe, expect, test, vi } from "vitest";
import { agentMetrics, type AgentReading } from "./agent-metrics.ts";
import { exposition } from "./exposition.ts";
import { Textfile } from "./textfile.ts";

const reading: AgentReading = {
  name: "web1",
  startedAt: 1_000_000,
  connection: {
    state: "waiting",
    since: 2_000_500,
    attempts: 7,
    established: 2,
    clockOffsetMs: -1_500,
  },
  jobs: [{ state: "running" }, { state: "running" }, { state: "failed" }],
  jobBytes: 4096,
  freeBytes: 1 << 30,
  sessions: [{ state: "opened" }],
  certificateExpiresAt: 3_000_000,
  residentBytes: 60 << 20,
};

const values = (text: string): Record<string, number> =>
  Object.fromEntries([...readMetrics(text).values()].flatMap(({ samples }) => [...samples]));

describe("the text", () => {
  test("has what an agent has to tell, in base units", () => {
    expect(values(exposition(agentMetrics(reading)))).toMatchObject({
      outpost_agent_start_time_seconds: 1_000,
      outpost_agent_connected: 0,
      'outpost_agent_connection_state{state="waiting"}': 1,
      'outpost_agent_connection_state{state="connected"}': 0,
      outpost_agent_connection_since_seconds: 2_000.5,
      outpost_agent_connection_attempts_total: 7,
      outpost_agent_connections_established_total: 2,
      outpost_agent_clock_offset_seconds: -1.5,
      'outpost_agent_jobs{state="running"}': 2,
      'outpost_agent_jobs{state="failed"}': 1,
      'outpost_agent_jobs{state="completed"}': 0,
      outpost_agent_job_bytes: 4096,
      'outpost_agent_sessions{state="opened"}': 1,
      outpost_agent_certificate_expiry_timestamp_seconds: 3_000,
    });
  });

  test("leaves out what is not known, rather than calling it 0", () => {
    const { connection } = reading;
    const found = values(
      exposition(
        agentMetrics({
          ...reading,
          connection: { ...connection, clockOffsetMs: undefined },
          sessions: undefined,
          jobBytes: undefined,
        }),
      ),
    );
    const names = Object.keys(found).join(" ");
    for (const name of ["clock_offset", "sessions", "job_bytes"])
      expect(names).not.toContain(`agent_${name}`);
  });

  test("whatever a label or a help holds, it is read back as one sample", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), fc.double(), (label, help, value) => {
        const metric = {
          name: "x",
          type: "gauge",
          help,
          samples: [{ labels: { a: label }, value }],
        } as const;
        const [family] = [...readMetrics(exposition([metric])).values()];
        expect([...family!.samples.values()]).toEqual([value === 0 ? 0 : value]);
        const [series] = [...family!.samples.keys()];
        const quoted = /^x\{a="([^]*)"\}$/.exec(series!)![1]!;
        expect(quoted.replaceAll(/\\(.)/g, (_, one: string) => (one === "n" ? "\n" : one))).toBe(label);
      }),
    );
  });
});

describe("the file", () => {
  async function inFolder(use: (file: string, folder: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "outpost-textfile-"));
    try {
      await use(join(folder, "outpost.prom"), folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  const log = pino({ level: "silent" });

  test("is whole at every moment, readable by others, written anew, and goes with the agent", () =>
    inFolder(async (file, folder) => {
      const clock = new FakeClock();
      let attempts = 0;
      await using textfile = new Textfile({
        file,
        clock,
        log,
        metrics: () =>
          agentMetrics({ ...reading, connection: { ...reading.connection, attempts: ++attempts } }),
      });
      const written = (): Promise<number | undefined> =>
        readFile(file, "utf8").then(
          (text) => values(text)["outpost_agent_connection_attempts_total"],
          () => undefined,
        );
      await vi.waitUntil(async () => (await written()) === 1);
      expect((await stat(file)).mode & 0o777).toBe(0o644);
      expect(await readdir(folder)).toEqual(["outpost.prom"]);
      await vi.waitUntil(async () => {
        await clock.advance(15_000);
        return (await written())! >= 3;
      });
      const before = attempts;
      textfile.refresh();
      textfile.refresh();
      await vi.waitUntil(async () => (await written()) === before + 2);
      expect(clock.pending).toBe(1);
      await textfile[Symbol.asyncDispose]();
      expect(await readdir(folder)).toEqual([]);
      expect(clock.pending).toBe(0);
    }));

  test("is written through no link that somebody has put there", () =>
    inFolder(async (file, folder) => {
      const secret = join(folder, "secret");
      await writeFile(secret, "as it was", { mode: 0o600 });
      await symlink(secret, `${file}.new`);
      await symlink(secret, file);
      await using _textfile = new Textfile({
        file,
        clock: new FakeClock(),
        log,
        metrics: () => agentMetrics(reading),
      });
      await vi.waitUntil(async () => (await lstat(file)).isFile());
      expect(await readFile(secret, "utf8")).toBe("as it was");
      expect((await stat(secret)).mode & 0o777).toBe(0o600);
    }));

  test("where it cannot be written that is said once, and tried until it can", () =>
    inFolder(async (_file, folder) => {
      const clock = new FakeClock();
      const warnings: string[] = [];
      const file = join(folder, "later", "outpost.prom");
      const told = { ...log, warn: (_about: object, text: string) => warnings.push(text) };
      let tries = 0;
      await using _textfile = new Textfile({
        file,
        clock,
        log: told as never,
        metrics: () => (tries++, agentMetrics(reading)),
      });
      await vi.waitUntil(async () => {
        await clock.advance(15_000);
        return tries > 3;
      });
      expect(warnings).toEqual(["the metrics cannot be written; trying again"]);
    }));
});
