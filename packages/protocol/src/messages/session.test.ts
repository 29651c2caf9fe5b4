import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { decode, encode } from "../codec.ts";
import { FrameType } from "../frame.ts";
import { newJobId, newSessionId, newViewerId } from "../ids.ts";
import * as limits from "../limits.ts";
import { FanOutStartParams, JobSpec, JobStatus } from "./job.ts";
import * as session from "./session.ts";

const id = newSessionId();
const viewer = newViewerId();

const spec: session.SessionSpec = {
  env: {},
  columns: 80,
  rows: 24,
  record: false,
  temporary: true,
  onExit: "end",
};
const status: session.SessionStatus = {
  session: id,
  operator: "ann",
  state: "opened",
  availability: "available",
  shell: "/bin/bash",
  integration: "bash",
  createdAt: 1,
  activeAt: 2,
  idleTimeoutMs: 7_200_000,
  buffering: "spill",
  temporary: true,
  recorded: false,
  columns: 80,
  rows: 24,
  viewers: [{ viewer, operator: "ann", role: "control", since: 1 }],
  runs: [],
  output: { written: 10, unread: 0 },
};
const attach: session.SessionAttachParams = {
  session: id,
  viewer,
  operator: "ann",
  role: "control",
  takeOver: false,
  columns: 80,
  rows: 24,
  repaint: true,
  window: 65_536,
  input: 1,
};

/** A valid value with one field set otherwise, or left out. */
function but(valid: object, field: string, value: unknown): unknown {
  return value === undefined
    ? Object.fromEntries(Object.entries(valid).filter(([name]) => name !== field))
    : { ...valid, [field]: value };
}

/** Asserts that each of these values is taken, or is not. */
function check(
  schema: v.GenericSchema,
  valid: object,
  cases: readonly (readonly [field: string, taken: readonly unknown[], refused: readonly unknown[]])[],
): void {
  expect(v.is(schema, valid)).toBe(true);
  for (const [field, taken, refused] of cases) {
    for (const value of taken)
      expect(v.is(schema, but(valid, field, value)), `${field}: ${String(value)}`).toBe(true);
    for (const value of refused)
      expect(v.is(schema, but(valid, field, value)), `${field}: ${String(value)}`).toBe(false);
  }
}

describe("what is wanted of a session", () => {
  test("its fields", () => {
    check(session.SessionSpec, spec, [
      ["name", ["work", undefined], ["", "a b", "x".repeat(65)]],
      ["shell", ["zsh", "/bin/bash", undefined], ["", "a\0b", 5]],
      ["env", [{ A: "", B: "c=d" }], [{ "": "x" }, { "A=B": "x" }, { A: "a\0b" }, undefined]],
      ["cwd", ["/srv", "/", undefined], ["srv", "", "~", "/a\0"]],
      ["columns", [1, limits.maxColumns], [0, -1, 1.5, limits.maxColumns + 1, "80", undefined]],
      ["rows", [1, limits.maxRows], [0, limits.maxRows + 1, Number.NaN, undefined]],
      ["term", ["xterm", "screen.xterm-256color", "rxvt+x", undefined], ["", "-x", "a b", "../../x", "a\n"]],
      ["idleTimeoutMs", [1, 86_400_000, undefined], [0, -1, 1.5]],
      ["buffering", ["spill", "block", "drop-oldest", undefined], ["drop", ""]],
      ["record", [true], [undefined, 1]],
      ["temporary", [false], [undefined]],
      ["onExit", ["leave"], ["stay", undefined]],
    ]);
  });

  test("what is not known is left out", () => {
    expect(v.parse(session.SessionSpec, { ...spec, later: true })).toEqual(spec);
  });
});

describe("how a session stands", () => {
  test("its fields", () => {
    check(session.SessionStatus, status, [
      ["session", [newSessionId()], ["", "../../etc/pass", undefined]],
      ["state", ["opening", "opened", "disconnected", "closed", "broken"], ["running", "Opened", undefined]],
      ["availability", ["available", "busy", "none"], ["idle", undefined]],
      ["integration", ["bash", "zsh", "sh", "none"], ["fish", undefined]],
      ["disconnectedAt", [5, undefined], [-1, "now"]],
      ["expiresAt", [5, undefined], [1.5]],
      ["command", ["vim a", undefined], [5]],
      ["viewers", [[]], [[{ viewer: "x" }], undefined]],
      ["runs", [[newJobId()]], [["x"], undefined]],
      ["output", [{ written: 2 ** 40, unread: 2 ** 30 }], [{ written: -1, unread: 0 }, { written: 1 }]],
      ["exit", [{ code: 0 }, { signal: "SIGHUP" }, undefined], [{ code: 256 }, {}]],
      [
        "reason",
        [{ code: "exited", message: "ended" }, { code: "removed", message: "removed", by: "bob" }, undefined],
        [{ code: "unknown", message: "" }, { code: "exited" }],
      ],
    ]);
  });

  test("a list of the longest statuses fits in a message by the hundred", () => {
    const long: session.SessionStatus = {
      ...status,
      operator: "o".repeat(64),
      shell: `/${"s".repeat(200)}`,
      command: "c".repeat(200),
      reason: { code: "removed", message: "m".repeat(300), by: "b".repeat(64) },
      viewers: Array.from({ length: 20 }, () => ({ ...status.viewers[0]!, viewer: newViewerId() })),
    };
    const bytes = encode([FrameType.response, 1, null, { sessions: Array(500).fill(long) }]);
    expect(bytes.byteLength).toBeLessThan(limits.maxMessageBytes);
    expect(() => decode(bytes)).not.toThrow();
  });
});

describe("attaching", () => {
  const cases = [
    ["viewer", [newViewerId()], ["", "x", undefined]],
    ["role", ["watch"], ["own", undefined]],
    ["takeOver", [true], [undefined]],
    ["columns", [1000], [0, 1001]],
    ["from", [0, 2 ** 53 - 1, undefined], [-1, 0.5, 2 ** 53]],
    ["repaint", [false], [undefined]],
    ["maxLag", [limits.minWindowBytes, undefined], [0, limits.minWindowBytes - 1]],
    [
      "window",
      [limits.minWindowBytes, limits.maxWindowBytes],
      [0, limits.minWindowBytes - 1, limits.maxWindowBytes + 1, undefined],
    ],
    ["input", [1], [0, -1, undefined]],
  ] as const;

  test("to the host, and through the controller, which knows the operator itself", () => {
    check(session.SessionAttachParams, attach, [...cases, ["operator", ["bob"], [undefined]]]);
    const through = but({ ...attach, host: "web1" }, "operator", undefined) as object;
    check(session.SessionsAttachParams, through, [...cases, ["host", ["db1"], ["", "Web 1", undefined]]]);
    // An operator cannot say who it is: what it says is left out.
    expect(v.parse(session.SessionsAttachParams, { ...through, operator: "root" })).not.toHaveProperty(
      "operator",
    );
    expect(
      v.parse(session.SessionsDisconnectParams, { session: id, operator: "root", idleTimeoutMs: 5 }),
    ).toEqual({ session: id, idleTimeoutMs: 5 });
  });

  test("a repaint is bounded, and is bytes", () => {
    const repaint = { offset: 7, columns: 80, rows: 24, bytes: new Uint8Array(limits.maxRepaintBytes) };
    check(session.AttachRepaint, repaint, [
      ["bytes", [new Uint8Array(0)], [new Uint8Array(limits.maxRepaintBytes + 1), "text", undefined]],
      ["offset", [0], [-1, undefined]],
    ]);
    const frame = encode([FrameType.notification, "attach.repaint", { ...repaint, request: 1 }]);
    expect(frame.byteLength).toBeLessThan(limits.maxMessageBytes);
  });

  test("gaps, changes and results", () => {
    const gap = { from: 1, to: 5, reason: "lagging" };
    check(session.SessionGap, gap, [["reason", ["dropped", "received"], ["evicted", undefined]]]);
    check(session.AttachChanged, { role: "watch", columns: 80, rows: 24, by: "bob" }, [
      ["by", [undefined], [5]],
    ]);
    check(session.SessionAttachResult, { reason: "ended", status }, [
      ["reason", ["disconnected", "left"], ["gone", undefined]],
    ]);
  });
});

test("reading: a window that a relay can hold, of the output or the recording", () => {
  check(
    session.SessionReadParams,
    { session: id, what: "output", seen: false, follow: true, window: 65_536 },
    [
      ["what", ["recording"], ["input", undefined]],
      ["from", [0, undefined], [-1]],
      ["window", [], [0, limits.maxWindowBytes + 1]],
    ],
  );
});

test("a run: whose directory, and what to do while the session is busy", () => {
  const run = { session: id, job: newJobId(), directory: "/var/lib/x", operator: "ann", busy: "wait" };
  check(session.SessionRunParams, run, [["busy", ["fail"], ["queue", undefined]]]);
  check(session.SessionStopRunParams, { session: id, job: newJobId(), signal: "SIGINT" }, [
    ["signal", ["SIGTERM", "SIGKILL"], ["SIGSTOP", "SIGHUP", undefined]],
  ]);
});

test("a reference is an id, the beginning of one, or a name", () => {
  for (const text of [id, id.slice(0, 3), "work"]) expect(v.is(session.SessionReference, text)).toBe(true);
  for (const text of ["", "x".repeat(65)]) expect(v.is(session.SessionReference, text)).toBe(false);
});

describe("jobs in sessions", () => {
  const job = {
    command: { kind: "shell", text: "pwd" },
    env: {},
    input: { kind: "none" },
    session: { ids: [id], busy: "wait" },
  };

  test("a job names the sessions of all its hosts", () => {
    check(JobSpec, job, [
      [
        "session",
        [undefined, { ids: [id, newSessionId()], busy: "fail" }],
        [{ ids: [], busy: "wait" }, { ids: ["x"], busy: "wait" }, { ids: [id] }],
      ],
    ]);
  });

  test("its targets may be left to the sessions", () => {
    const start = { job: newJobId(), spec: job, mode: "keep", receiving: true };
    check(FanOutStartParams, start, [["targets", ["web1", undefined], ["", "x".repeat(65_537)]]]);
  });

  test("a job that was started on its host says by whom", () => {
    const held = {
      job: newJobId(),
      state: "running",
      output: { stdout: { written: 0, received: 0 }, stderr: { written: 0, received: 0 } },
    };
    check(JobStatus, held, [
      [
        "origin",
        [
          { user: "deploy", command: "make all", acceptedAt: 5 },
          { user: "deploy", command: "make", name: "build", acceptedAt: 5 },
          undefined,
        ],
        [{ user: "deploy" }, { user: "deploy", command: "make", name: "", acceptedAt: 5 }],
      ],
    ]);
  });
});
