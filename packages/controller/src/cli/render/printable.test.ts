/** Whatever hosts, operators and files call themselves and say: no control character of theirs reaches the terminal. */
import {
  type AuditEntry,
  ErrorCode,
  type FanOutInfo,
  type HostName,
  type JobId,
  type JobInfo,
  OutpostError,
  type SessionInfo,
} from "@outpost/protocol";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { ExitEvent, JobEvent } from "../../client/index.ts";
import { confirm } from "../confirm.ts";
import { reportFailure } from "../failure.ts";
import { reportOutcomes } from "../session-outcomes.ts";
import { SessionScreen } from "../terminal/session-screen.ts";
import { auditTable } from "./audit-table.ts";
import { authorityText } from "./authority-text.ts";
import { jobViewText } from "./job-view.ts";
import { eventLine, jsonText } from "./plain.ts";
import { printable, printableLines, printableMessage } from "./printable.ts";
import { print } from "./records.ts";
import { rendererFor } from "./renderer-for.ts";
import { sessionTable } from "./session-table.ts";
import { say, stderr, stdout } from "./sink.ts";
import { table } from "./table.ts";
import { TextRenderer } from "./text.ts";

/** C0 but for the line ends that we lay out with, DEL, C1, and what turns text around. */
const controls = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

/** Texts that somebody would choose who wants to be on our screen: sequences, titles, colours, lines of ours. */
const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc
    .array(
      fc.constantFrom(
        "\u001b[2J\u001b[H",
        "\u001b]0;owned\u0007",
        "\u001b]8;;http://x\u001b\\",
        "\u009b31m",
        "\u0090q",
        "\r",
        "\n",
        "\noutpost: all 5 hosts: 5 succeeded\n",
        "\b\b\b",
        "\u202e",
        "\u2028",
        "\u007f",
        "web1",
        "\t",
      ),
      { maxLength: 6 },
    )
    .map((parts) => parts.join("")),
);

const written: string[] = [];

function record(): void {
  written.length = 0;
  for (const sink of [stdout, stderr]) {
    vi.spyOn(sink, "write").mockImplementation((data) => {
      written.push(typeof data === "string" ? data : Buffer.from(data).toString());
      return Promise.resolve();
    });
  }
}

afterEach(() => void vi.restoreAllMocks());

const job = "0123456789ab" as JobId;
const output = { stdout: { written: 1, received: 0 }, stderr: { written: 0, received: 0 } };

function jobInfo(text: string): JobInfo {
  const reason = { code: "start_failed", message: text, by: text } as const;
  return { host: text as HostName, status: { job, state: "failed", reason, output } };
}

function exitEvent(text: string, code: "refused" | "stopped" = "refused"): ExitEvent {
  return {
    type: "exit",
    job,
    host: text as HostName,
    ended: true,
    state: "failed",
    reason: { code, message: text, by: text },
  };
}

function session(text: string): SessionInfo {
  return {
    host: text,
    status: {
      session: job,
      name: text,
      operator: text,
      state: "opened",
      availability: "available",
      activeAt: 0,
      command: text,
      viewers: [{ viewer: job, operator: text, role: "control", since: 0 }],
      output: { written: 0, unread: 0 },
    },
  } as unknown as SessionInfo;
}

function fanOut(text: string): FanOutInfo {
  return {
    job,
    name: text,
    operator: text,
    command: text,
    mode: "keep",
    createdAt: 0,
    state: "failed",
    counts: {},
    hosts: 1,
    unreadBytes: 0,
  };
}

/** Nothing of it acts on a terminal, and there are as many lines as there should be. */
function expectHarmless(text: string, lines?: number): void {
  expect(text).not.toMatch(controls);
  if (lines !== undefined) expect(text.split("\n")).toHaveLength(lines);
}

describe("texts of others, as values in texts of ours", () => {
  test("on one line: printable, and left alone when they are", () => {
    fc.assert(fc.property(hostile, (text) => expectHarmless(printable(text), 1)));
    fc.assert(
      fc.property(fc.stringMatching(/^[ -~]*$/), (text) => {
        expect(printable(text)).toBe(text);
      }),
    );
    expect(printable("wéb1 日本 👍")).toBe("wéb1 日本 👍");
  });

  test("in lines", () => {
    fc.assert(fc.property(hostile, (text) => expectHarmless(printableLines(text))));
    expect(printableLines("a:\r\n\tb\n")).toBe("a:\n  b\n");
  });

  test("a message has one heading, however many lines it has", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expectHarmless(printableMessage(text));
        for (const line of `outpost: ${printableMessage(text)}`.split("\n").slice(1))
          expect(line).toMatch(/^ {2}/);
      }),
    );
  });
});

describe("tables", () => {
  test.each<[string, (text: string) => string, number]>([
    ["any", (text) => table({ head: ["A", "B"], rows: [[text, text]] }), 2],
    ["any, in a narrow terminal", (text) => table({ head: ["A", "B"], rows: [[text, text]], width: 20 }), 2],
    ["of sessions", (text) => sessionTable([session(text)], 0, 200), 2],
    ["of a job's hosts", (text) => jobViewText({ fanout: fanOut(text), jobs: [jobInfo(text)] }, 0), 8],
    [
      "of an audit log",
      (text) => {
        const about = { operator: text, action: text, hosts: [text], subject: text, rule: text, what: text };
        const entry: AuditEntry = {
          sequence: 1,
          time: 0,
          kind: "request",
          previous: "",
          message: text,
          ...about,
        };
        return auditTable([entry], 0, 300);
      },
      2,
    ],
    [
      "of authorities",
      (text) => {
        const authorities = [{ fingerprint: text, state: "current", expiresAt: 1 } as const];
        const shown = { authorities, operators: text, waiting: [text as HostName], trusted: true };
        return authorityText(shown, 0);
      },
      4,
    ],
  ])("%s: no control character, and no line of somebody else's", (_what, make, lines) => {
    fc.assert(fc.property(hostile, (text) => expectHarmless(make(text), lines)));
  });
});

describe("what is written", () => {
  async function allOf(write: (text: string) => Promise<unknown>): Promise<void> {
    record();
    await fc.assert(
      fc.asyncProperty(hostile, async (text) => {
        written.length = 0;
        await write(text);
        expectHarmless(written.join(""));
        expect(written.join("")).not.toContain("\noutpost: all");
      }),
    );
  }

  test("messages", () => allOf((text) => say(text)));

  test("records, as text and as JSON", async () => {
    await allOf((text) => print("text", { json: {}, text: () => printable(text) }));
    for (const format of ["json", "ndjson"] as const) {
      await allOf((text) => print(format, { json: { name: text }, text: () => "" }));
    }
  });

  test("errors: what hosts and the controller say, and faults of ours with their stack", async () => {
    await allOf((text) =>
      reportFailure(new OutpostError(ErrorCode.denied, text, { data: { host: text } }), []),
    );
    await allOf((text) => reportFailure(new Error(text), ["--output", "json"]));
    await allOf((text) => reportFailure(new OutpostError(ErrorCode.notFound, text), ["--output=ndjson"]));
  });

  test("what became of sessions", () =>
    allOf((text) => {
      const hosts = [{ host: text as HostName, error: { code: "denied", message: text } }];
      return reportOutcomes({ session: { id: "x", name: text }, hosts, format: "text", text: () => "" });
    }));

  test("headers of groups, heads and rows of tables", async () => {
    for (const format of ["group", "table"] as const) {
      await allOf(async (text) => {
        const renderer = await rendererFor({ format, timestamps: false, color: "never" });
        const host = text as HostName;
        const hosts = [host, "web2" as HostName].map((each) => ({ host: each, state: "connected" as const }));
        const bytes = Buffer.from(`${JSON.stringify({ [text]: text })}\n`);
        await renderer.event({ type: "plan", job, hosts });
        if (format === "table")
          await renderer.event({ type: "out", job, host, stream: "stdout", offset: 0, bytes });
        await renderer.event({ type: "gap", job, host, stream: "stdout", from: 0, to: 5, reason: "evicted" });
        await renderer.event(exitEvent(text));
        await renderer.interrupted();
      });
    }
  });

  test("notices, gaps, ends and the summary of a job; not its output", async () => {
    await allOf(async (text) => {
      const renderer = new TextRenderer({ timestamps: false });
      const host = text as HostName;
      const events: JobEvent[] = [
        {
          type: "plan",
          job,
          hosts: [
            { host, state: "connected" },
            { host: "web2" as HostName, state: "connected" },
          ],
        },
        { type: "notice", job, host, code: "host_unreachable", message: text },
        { type: "out", job, host, stream: "stdout", offset: 0, bytes: Buffer.from("a line\n") },
        { type: "gap", job, host, stream: "stdout", from: 0, to: 5, reason: "evicted" },
        exitEvent(text),
        exitEvent(text, "stopped"),
      ];
      for (const event of events) await renderer.event(event);
      const counts = {
        succeeded: [],
        failed: [],
        checkFailed: [],
        timedOut: [],
        stopped: [],
        lost: [],
        unreachable: [],
        running: [],
        skipped: [],
        notBegun: [],
        queued: [],
      };
      await renderer.event({ type: "summary", job, exitCode: 1, ...counts });
    });
    record();
    const renderer = new TextRenderer({ timestamps: false });
    const bytes = Buffer.from("\u001b[31mred\u001b[0m\n");
    await renderer.event({ type: "out", job, host: "web1" as HostName, stream: "stdout", offset: 0, bytes });
    expect(written).toEqual([bytes.toString()]);
  });

  test("what is said in a terminal that shows a session", async () => {
    await fc.assert(
      fc.asyncProperty(hostile, async (text) => {
        const shown: string[] = [];
        const terminal = {
          size: { columns: 80, rows: 24 },
          write: async (data: Uint8Array | string) => void shown.push(String(data)),
          takeOver: () => ({ [Symbol.dispose]: () => {} }),
          suspend: () => {},
        };
        const screen = new SessionScreen(terminal, text);
        await screen.say(text);
        await screen.show({
          type: "notice",
          host: text as HostName,
          code: "host_unreachable",
          message: text,
        });
        await screen.show({ type: "gap", host: "web1" as HostName, from: 0, to: 9, reason: "lagging" });
        for (const each of shown) {
          const said = /^\r\n\u001b\[0m\[outpost: (.*)\]\r\n$/s.exec(each)?.[1];
          expect(said, each).toBeDefined();
          expectHarmless(said!, 1);
        }
      }),
    );
  });

  test("a question asks nobody where there is no terminal, and says so harmlessly", async () => {
    const question = { what: "remove \u001b[2J", consequence: "", yes: false, command: "host remove" };
    const asked = confirm(question).catch((error: unknown) => reportFailure(error, []));
    record();
    await asked;
    expectHarmless(written.join(""));
    expect(await confirm({ ...question, yes: true })).toBe(true);
  });
});

test("JSON stays what it is, and is harmless in a terminal", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const line = jsonText({ text });
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      expect(JSON.parse(line)).toEqual({ text });
    }),
  );
  const bytes = Buffer.from("\u009b31m\u001b[2J");
  const line = eventLine({ type: "out", job, host: "web1" as HostName, stream: "stdout", offset: 0, bytes });
  expect(line.trimEnd()).not.toMatch(controls);
  expect(JSON.parse(line)).toMatchObject({ text: "\u009b31m\u001b[2J" });
});
