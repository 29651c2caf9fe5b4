/** The ways of showing an answer, by what they write to pipes. Terminals: test/e2e/screens.test.ts. */
import type { HostName } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import type { JobEvent } from "../../client/index.ts";
import type { Renderer, RendererOptions } from "./renderer.ts";
import { rendererFor } from "./renderer-for.ts";
import { type Recorded, recorded } from "./testing/recorded.ts";
import { syntheticEvents, syntheticJobId as job, type SyntheticAnswer } from "./testing/synthetic.ts";

const plain = { timestamps: false, color: "never" } as const;

async function shown(
  options: Partial<RendererOptions>,
  answers: Readonly<Record<string, SyntheticAnswer>>,
  after?: (renderer: Renderer) => void,
): Promise<Recorded> {
  const renderer = await rendererFor({ ...plain, format: "group", ...options });
  const events = syntheticEvents({
    seed: 7,
    hosts: Object.keys(answers),
    answer: (host) => answers[host]!,
    maxChunkBytes: 3,
  });
  return recorded(async () => {
    for (const event of events) {
      if (event.type === "summary") after?.(renderer);
      await renderer.event(event);
    }
    await renderer.finish();
  });
}

const out = (host: string, offset: number, text: string): JobEvent => {
  return { type: "out", job, host: host as HostName, stream: "stdout", offset, bytes: Buffer.from(text) };
};

describe("groups", () => {
  test("equal answers are one; stdout and stderr each say whose they are", async () => {
    const answers = {
      web3: { stdout: "a\nb\n" },
      web1: { stdout: "a\nb\n" },
      db1: { stdout: "a\nb\n", end: 2 },
      db2: { stderr: "oops", end: 2 },
      db3: { end: "unreachable" },
      web2: { stdout: "a\nb\n" },
    } as const;
    let before: number | undefined;
    const { stdout, stderr } = await shown(
      {},
      answers,
      (renderer) => (before = renderer.unwritten("web1", "stdout")),
    );
    expect(stdout).toBe(
      ["----------------------", "web[1-3] (3) exit 0", "----------------------"]
        .join("\n")
        .replaceAll("----------------------", "-".repeat(19)) +
        "\na\nb\n" +
        `${"-".repeat(15)}\ndb1 (1) exit 2\n${"-".repeat(15)}\na\nb\n` +
        `${"-".repeat(15)}\ndb2 (1) exit 2\n${"-".repeat(15)}\n` +
        `${"-".repeat(38)}\ndb3 (1) unreachable; nothing ran there\n${"-".repeat(38)}\n`,
    );
    expect(stderr).toBe(
      `${"-".repeat(22)}\ndb2 (1) exit 2, stderr\n${"-".repeat(22)}\noops\n` +
        "outpost: db3: unreachable: has no connection to the controller (last seen never); nothing ran there\n" +
        "outpost: 6 hosts: 3 succeeded; 2 failed with exit code 2 (db[1-2]); 1 unreachable (db3)\n",
    );
    expect(before).toBe(Number.POSITIVE_INFINITY);
  });

  test("silent success of all is silent; where some speak, the silent ones are named", async () => {
    expect((await shown({}, { web1: {}, web2: {} })).stdout).toBe("");
    expect((await shown({}, { web1: {}, web2: { stdout: "x\n" } })).stdout).toContain(
      "web1 (1) exit 0, no output\n",
    );
  });

  test("--diff: the most common answer whole, the others against it", async () => {
    const common = Array.from({ length: 20 }, (_, line) => `line ${String(line)}\n`).join("");
    const { stdout } = await shown(
      { diff: true },
      {
        web1: { stdout: common },
        web2: { stdout: common },
        web3: { stdout: common.replace("line 4\n", "line four\n") },
        web4: { stdout: common, end: 1 },
        web5: {},
        web6: { stdout: Buffer.from([0, 1, 2, 255]) },
        web7: { stdout: common.replaceAll("line", "row").repeat(40) },
      },
    );
    const bodies = stdout.split(/^-+\n(.*)\n-+\n/m).slice(1);
    const of = (header: string): string => bodies[bodies.indexOf(header) + 1]!;
    expect(of("web[1-2] (2) exit 0")).toBe(common);
    expect(of("web3 (1) exit 0")).toBe(
      "--- web[1-2]\n+++ web3\n@@ -2,7 +2,7 @@\n line 1\n line 2\n line 3\n-line 4\n+line four\n line 5\n line 6\n line 7\n",
    );
    expect(of("web4 (1) exit 1, same output")).toBe("");
    expect(of("web5 (1) exit 0, no output")).toBe("");
    expect(of("web6 (1) exit 0")).toBe("differs from web[1-2] from line 1 on: 4 B against 150 B\n");
    expect(of("web7 (1) exit 0")).toMatch(
      /^differs from web\[1-2\] from line 1 on: 5\.\d kB against 150 B\n$/,
    );
  });

  test("an interruption shows what came and who has not answered; what comes then is not counted as shown", async () => {
    const renderer = await rendererFor({ ...plain, format: "group" });
    const answers: Readonly<Record<string, SyntheticAnswer>> = {
      web1: { stdout: "x\n" },
      web2: { stdout: "x\n", end: "running" },
      web3: { end: "silent" },
    };
    const events = syntheticEvents({
      seed: 1,
      hosts: Object.keys(answers),
      answer: (host) => answers[host]!,
      summary: false,
    });
    const { stdout, stderr } = await recorded(async () => {
      for (const event of events) await renderer.event(event);
      await renderer.interrupted();
      await renderer.event(out("web2", 2, "late"));
      await renderer.finish();
    });
    expect(stdout).toContain(
      "web2 (1) still running\n---------------------\nx\n".replace("---------------------", "-".repeat(22)),
    );
    expect(stdout).toContain("web3 (1) no answer\n");
    expect(stdout).not.toContain("late");
    expect(stderr).toBe(
      "outpost: 3 hosts: 1 succeeded; 1 still running (web2); 1 without an answer (web3)\n",
    );
    expect([renderer.unwritten("web2", "stdout"), renderer.unwritten("web1", "stdout")]).toEqual([4, 0]);
  });

  test("missing bytes keep hosts apart, and are told where they are", async () => {
    const renderer = await rendererFor({ ...plain, format: "group" });
    const hosts = ["web1", "web2"] as HostName[];
    const { stdout, stderr } = await recorded(async () => {
      await renderer.event({ type: "plan", job, hosts: hosts.map((host) => ({ host, state: "connected" })) });
      await renderer.event(out("web1", 0, "ab"));
      await renderer.event(out("web2", 0, "a"));
      await renderer.event({
        type: "gap",
        job,
        host: hosts[1]!,
        stream: "stdout",
        from: 1,
        to: 9,
        reason: "evicted",
      });
      await renderer.event(out("web2", 9, "b"));
      for (const host of hosts)
        await renderer.event({ type: "exit", job, host, ended: true, state: "completed" });
      await renderer.interrupted();
    });
    expect(stdout).toContain("web1 (1)");
    expect(stdout).toContain("web2 (1)");
    expect(stderr).toContain("8 bytes of stdout (1 to 9) are missing: made room for newer jobs");
  });
});

describe("tables", () => {
  test("a line each, the exit where one failed, the beginning of more; and that is not acknowledged", async () => {
    let renderer: Renderer | undefined;
    const answers = {
      web10: { stdout: "up 3 days\n" },
      web9: { stdout: "\u001b[32mup\u001b[0m\t4 days" },
      web1: { stderr: "no uptime\n", end: 127 },
      web2: { stdout: "a\nb\nc\n" },
      web3: { end: "unreachable" },
      web4: { stdout: "x".repeat(5000) },
    } as const;
    const { stdout, stderr } = await shown({ format: "table" }, answers, (given) => (renderer = given));
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((row) => row.replaceAll(/ {2,}/g, " | "));
    expect(rows.slice(0, 5)).toEqual([
      "HOST | EXIT | OUTPUT | STDERR",
      "web1 | 127 | no uptime",
      "web2 | 0 | a… (+2 lines)",
      "web3 | unreachable",
      `web4 | 0 | ${"x".repeat(4096)}…`,
    ]);
    expect(rows.slice(5)).toEqual(["web9 | 0 | up | 4 days", "web10 | 0 | up 3 days"]);
    expect(stderr).toContain(`more than a row: web[2,4]; all of it with: outpost job receive ${job}\n`);
    expect(stderr).toMatch(/outpost: 6 hosts: 4 succeeded; .*\n$/);
    const left = ["web2", "web4", "web9"].map((host) => renderer!.unwritten(host, "stdout"));
    expect(left).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0]);
  });

  test("objects become columns, several of one host rows", async () => {
    const { stdout } = await shown(
      { format: "table" },
      {
        web1: { stdout: '{"disk": "sda", "free": 3}\n' },
        web2: { stdout: '{"disk": "sda"}\n{"disk": "sdb", "tags": ["a"], "\\u001b[2J": null}\n' },
        web3: { stdout: '[\n  {"free": 9}\n]' },
        web4: {},
      },
    );
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((row) => row.replaceAll(/ {2,}/g, " | "));
    expect(rows).toEqual([
      "HOST | disk | free | tags | �[2J",
      "web1 | sda | 3",
      "web2 | sda",
      'web2 | sdb | ["a"] | null',
      "web3 | 9",
      "web4",
    ]);
  });

  test("one answer that is no object makes texts of all", async () => {
    const { stdout } = await shown(
      { format: "table" },
      { web1: { stdout: '{"a": 1}\n' }, web2: { stdout: "[1]\n" } },
    );
    expect(stdout).toBe('HOST  OUTPUT\nweb1  {"a": 1}\nweb2  [1]\n');
  });
});

describe("streams", () => {
  test("lines of several hosts, with the host before them, in its colour, or without", async () => {
    const answers = { web1: { stdout: "a\nb" }, web2: { stderr: "c\n" } };
    expect((await shown({ format: "stream" }, answers)).stdout).toBe("web1: a\nweb1: b\n");
    expect((await shown({ format: "stream", prefix: false }, answers)).stdout).toBe("a\nb\n");
    const colored = await shown({ format: "stream", color: "always" }, answers);
    expect(colored.stdout).toMatch(/^\u001b\[0;[\d;]+mweb1:\u001b\[0m a\n/);
    expect(colored.stderr).toMatch(/^\u001b\[0;[\d;]+mweb2:\u001b\[0m c\noutpost: 2 hosts: 2 succeeded\n$/);
  });

  test("one host's bytes are its bytes", async () => {
    const text = "\u001b[1mno line end \u0007";
    expect(await shown({ format: "stream", color: "always" }, { web1: { stdout: text } })).toEqual({
      stdout: text,
      stderr: "",
    });
  });
});

test("json holds how the roll-out stood last", async () => {
  const renderer = await rendererFor({ ...plain, format: "json" });
  const rollout = {
    state: "done",
    stage: 1,
    stages: 1,
    begun: 1,
    waiting: 0,
    failures: 0,
    until: 0,
  } as const;
  const { stdout } = await recorded(async () => {
    await renderer.event({ type: "plan", job, hosts: [{ host: "web1" as HostName, state: "connected" }] });
    await renderer.event({ type: "rollout", job, rollout });
    await renderer.interrupted();
  });
  expect(JSON.parse(stdout)).toMatchObject({ rollout: { state: "done", stages: 1 } });
});
