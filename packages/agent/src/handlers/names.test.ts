/** Names that come over the wire become names of files: nothing but a name gets past the schemas. */
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import {
  agentMethods,
  controllerAgentMethods,
  newJobId,
  newSessionId,
  newViewerId,
  type OutpostError,
  Peer,
} from "@outpost/protocol";
import { memoryLink, type MemoryLink } from "@outpost/protocol/memory";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openGate } from "../testing/access.ts";
import { openStore, type Store } from "../testing/job-store.ts";
import { FakeSession } from "../testing/session.ts";
import { FakeSessionHost, openSessions } from "../testing/sessions.ts";
import type { AgentPeer } from "./context.ts";
import { createHandlers } from "./handlers.ts";

let store: Store;
let sessionHost: FakeSessionHost;
let link: MemoryLink;
let agent: AgentPeer;
let controller: FakeSession["peer"];

beforeEach(async () => {
  store = await openStore();
  sessionHost = new FakeSessionHost();
  link = memoryLink();
  agent = new Peer(link.sockets[0], {
    local: agentMethods,
    remote: controllerAgentMethods,
    handlers: createHandlers({
      jobs: store.jobs,
      sessions: openSessions(sessionHost.dial),
      gate: openGate,
      peer: () => agent,
      goodbye: () => {},
      certificateOutdated: () => {},
    }),
  });
  controller = new FakeSession(link.sockets[1]).peer;
  await agent.request("hello", { versions: { min: 1, max: 2 }, software: "test", maxMessageBytes: 2 ** 20 });
});

afterEach(async () => {
  link.cut();
  await Promise.all([agent.closed, controller.closed]);
  await store[Symbol.asyncDispose]();
});

const job = newJobId();
const session = newSessionId();
const spec = { command: { kind: "exec", argv: ["true"] }, env: {}, input: { kind: "none" } };
const start = { job, spec, operator: "ada", expiresAt: 2 ** 52, inlineWaitMs: 0 };
const sessionSpec = { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end" };
const read = { follow: false, window: 16 * 1024 };
const attach = {
  role: "watch",
  takeOver: false,
  columns: 80,
  rows: 24,
  repaint: false,
  window: 16 * 1024,
  input: 1,
};
const script = (name: string) => ({ kind: "script", name, body: Buffer.from("#!/bin/sh\n"), args: [] });

/** Every place for a name, with a name in it. */
const places: Record<string, readonly [method: string, params: (name: string) => object]> = {
  "job.start: job": ["job.start", (name) => ({ ...start, job: name })],
  "job.start: script": ["job.start", (name) => ({ ...start, spec: { ...spec, command: script(name) } })],
  "job.start: configuration": ["job.start", (name) => ({ ...start, spec: { ...spec, configuration: name } })],
  "job.start: user": ["job.start", (name) => ({ ...start, spec: { ...spec, user: name } })],
  "job.start: session": [
    "job.start",
    (name) => ({ ...start, spec: { ...spec, session: { ids: [name], busy: "fail" } } }),
  ],
  "job.read": ["job.read", (name) => ({ job: name, from: { stdout: 0 }, ...read })],
  "job.acknowledge": ["job.acknowledge", (name) => ({ job: name, received: {} })],
  "job.status": ["job.status", (name) => ({ jobs: [name] })],
  "job.stop": ["job.stop", (name) => ({ job: name, operator: "ada" })],
  "job.remove": ["job.remove", (name) => ({ job: name })],
  "job.input": ["job.input", (name) => ({ job: name, stream: 1 })],
  "session.open: session": [
    "session.open",
    (name) => ({ session: name, spec: sessionSpec, operator: "ada" }),
  ],
  ...Object.fromEntries(
    ["name", "configuration", "user"].map((key) => [
      `session.open: ${key}`,
      [
        "session.open",
        (name: string) => ({ session, spec: { ...sessionSpec, [key]: name }, operator: "ada" }),
      ],
    ]),
  ),
  "session.attach: session": [
    "session.attach",
    (name) => ({ session: name, viewer: newViewerId(), operator: "ada", ...attach }),
  ],
  "session.attach: viewer": [
    "session.attach",
    (name) => ({ session, viewer: name, operator: "ada", ...attach }),
  ],
  "session.resize": [
    "session.resize",
    (name) => ({ session: name, viewer: newViewerId(), columns: 80, rows: 24 }),
  ],
  "session.role": ["session.role", (name) => ({ session: name, viewer: newViewerId(), role: "watch" })],
  "session.acknowledge": ["session.acknowledge", (name) => ({ session: name, from: 0, to: 1 })],
  "session.read": ["session.read", (name) => ({ session: name, what: "output", seen: false, ...read })],
  "session.disconnect": ["session.disconnect", (name) => ({ session: name, operator: "ada" })],
  "session.remove": ["session.remove", (name) => ({ session: name, operator: "ada" })],
};

const names = [
  "../x",
  "..",
  ".",
  "",
  "/etc/passwd",
  "../../../../etc/passwd",
  "a/b",
  "a\0b",
  `${newJobId()}\0`,
  `${newJobId()}/../x`,
  "x".repeat(256),
  "x".repeat(100_000),
];

/** What there is on disk, and in the session host. */
function there(): unknown {
  return {
    jobs: readdirSync(store.directory),
    beside: readdirSync(dirname(store.directory)).includes("x"),
    sessions: sessionHost.dials,
  };
}

async function ask(method: string, params: object): Promise<string> {
  return controller.request(method as never, params as never).then(
    () => "ok",
    (error: unknown) => (error as OutpostError).code,
  );
}

test.each(Object.keys(places))("%s takes no paths", async (place) => {
  const [method, params] = places[place]!;
  const before = there();
  for (const name of names) {
    expect([name.slice(0, 40), await ask(method, params(name))]).toEqual([
      name.slice(0, 40),
      "invalid_argument",
    ]);
  }
  expect(there()).toEqual(before);
});

test("whatever a name is, nothing is made outside of a job's directory", async () => {
  const before = there();
  const [method, params] = places["job.start: script"]!;
  const bad = fc.oneof(
    fc.string({ unit: "binary" }).filter((name) => name.includes("/") || name.includes("\0")),
    fc.string({ minLength: 256 }),
  );
  await fc.assert(
    fc.asyncProperty(bad, async (name) => {
      expect(await ask(method, params(name))).toBe("invalid_argument");
    }),
    { numRuns: 50 },
  );
  expect(there()).toEqual(before);
});
