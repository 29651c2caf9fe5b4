/**
 * A million malformed messages against everything that reads the wire: the controller's three doors, and the agent. The
 * handlers behind them are the real ones; only TLS is left out, which would take a second for each five hundred
 * connections. OUTPOST_FUZZ_MESSAGES: how many, all ends together. OUTPOST_FUZZ_SEED: to see a failure again.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  agentMethods,
  controllerAgentMethods,
  controllerEnrolmentMethods,
  controllerOperatorMethods,
  encode,
  enrolmentMethods,
  type HostName,
  type MessageSocket,
  type MethodMap,
  newOperatorId,
  OperatorName,
  operatorMethods,
  Peer,
  type SocketEvents,
  supportedVersions,
  systemClock,
} from "@outpost/protocol";
import { pino } from "pino";
import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createHandlers } from "../../packages/agent/src/handlers/handlers.ts";
import { Jobs } from "../../packages/agent/src/jobs/jobs.ts";
import { defaultJobSettings } from "../../packages/agent/src/jobs/settings.ts";
import { FakeAudit, recordingGate } from "../../packages/agent/src/testing/access.ts";
import { FakeSessionHost, openSessions } from "../../packages/agent/src/testing/sessions.ts";
import { AgentHandlers } from "../../packages/controller/src/server/handlers/agent.ts";
import { enrolmentHandlers } from "../../packages/controller/src/server/handlers/enrolment.ts";
import { operatorHandlers } from "../../packages/controller/src/server/handlers/operator.ts";
import { Bench } from "../../packages/controller/src/server/testing/bench.ts";
import { Mutator } from "../kit/mutator.ts";
import { random } from "../kit/random.ts";

const messages = Number(process.env["OUTPOST_FUZZ_MESSAGES"] ?? 1_000_000);
const seed = Number(process.env["OUTPOST_FUZZ_SEED"] ?? Date.now() % 1_000_000);

/** A connection that survives this many messages is closed: what it has open goes with it. */
const messagesPerConnection = 200;
/** How much more memory may be in use after all messages than after the first fifth of them, in bytes. */
const maxGrowthBytes = 16 * 1024 * 1024;

/** What the fuzzed side has for a socket: we put messages into it, and read the reason of its end. */
class Wire implements MessageSocket {
  readonly bufferedBytes = 0;
  events!: SocketEvents;
  closed: string | undefined;

  start(events: SocketEvents): void {
    this.events = events;
  }

  send(): void {}

  close(reason: string): void {
    if (this.closed !== undefined) return;
    this.closed = reason;
    queueMicrotask(() => this.events.closed(reason));
  }

  abort(): void {
    this.close("aborted");
  }
}

interface End {
  readonly methods: MethodMap;
  /** Puts the real handlers behind the socket. @param fault told of what was no answer on purpose */
  readonly accept: (
    socket: MessageSocket,
    fault: (error: unknown) => void,
  ) => Pick<Peer<MethodMap, MethodMap>, "close">;
}

let bench: Bench;
let jobs: Jobs;
let directory: string;
const gone: string[] = [];
const onGone = (error: unknown): void => void gone.push(String(error));

beforeAll(async () => {
  process.on("unhandledRejection", onGone);
  bench = await Bench.create(["web1"]);
  directory = await mkdtemp(join(tmpdir(), "outpost-fuzz-"));
  const log = pino({ level: "silent" });
  jobs = await Jobs.open({
    directory,
    hostName: "web1",
    settings: defaultJobSettings,
    clock: systemClock,
    log,
  });
});

afterAll(async () => {
  await jobs[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
  process.off("unhandledRejection", onGone);
});

const ends: Readonly<Record<string, () => End>> = {
  "the operators' door": () => ({
    methods: controllerOperatorMethods,
    accept(socket, fault) {
      const operator = { id: newOperatorId(), name: v.parse(OperatorName, "alice") };
      const peer: Peer<typeof controllerOperatorMethods, typeof operatorMethods> = new Peer(socket, {
        local: controllerOperatorMethods,
        remote: operatorMethods,
        handlers: operatorHandlers(bench.services, { operator, peer: () => peer }, () => {}),
        fault,
      });
      return peer;
    },
  }),
  "the agents' door": () => ({
    methods: controllerAgentMethods,
    accept(socket, fault) {
      const { presence } = bench.services;
      const host = presence.hostNamed("web1" as HostName)!;
      const handlers = new AgentHandlers(bench.services, host, () => {});
      const peer = new Peer(socket, { local: controllerAgentMethods, remote: agentMethods, handlers, fault });
      handlers.peer = peer;
      void peer.closed.then(() => {
        handlers.arrived();
        presence.disconnected(host.id, peer);
      });
      return peer;
    },
  }),
  "the door of those who enrol": () => ({
    methods: controllerEnrolmentMethods,
    accept: (socket, fault) =>
      new Peer(socket, {
        local: controllerEnrolmentMethods,
        remote: enrolmentMethods,
        handlers: enrolmentHandlers(bench.services),
        fault,
      }),
  }),
  "an agent": () => {
    const audit = new FakeAudit();
    audit.append = () => 1; // a million entries would be the growth that we look for
    const gate = recordingGate(audit);
    const sessions = openSessions(new FakeSessionHost().dial);
    return {
      methods: agentMethods,
      accept(socket, fault) {
        const peer: Peer<typeof agentMethods, typeof controllerAgentMethods> = new Peer(socket, {
          local: agentMethods,
          remote: controllerAgentMethods,
          handlers: createHandlers({
            jobs,
            sessions,
            gate,
            peer: () => peer,
            goodbye: () => {},
            certificateOutdated: () => {},
          }),
          fault,
        });
        return peer;
      },
    };
  },
};

const hello = encode([
  0,
  1,
  "hello",
  { versions: { ...supportedVersions }, software: "fuzz", maxMessageBytes: 4 * 1024 * 1024 },
]);

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Memory that is really in use, in bytes. */
async function memoryInUse(): Promise<number> {
  // What ended connections have left is let go of in later turns.
  await pause(50);
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const count = Math.ceil(messages / Object.keys(ends).length);

test.each(Object.keys(ends))(
  "%s: no crash, no growth, and whoever is cut off is told why",
  async (name) => {
    const { methods, accept } = ends[name]!();
    const uniform = random(seed);
    const mutator = new Mutator(methods, uniform);
    const faults: unknown[] = [];
    const reasons = new Set<string>();
    let closedByThem = 0;
    let before = 0;
    for (let sent = 0; sent < count;) {
      const wire = new Wire();
      const peer = accept(wire, (error) => faults.push(error));
      // Half of them never say hello.
      if (uniform() < 0.5 && "hello" in methods) wire.events.message(hello);
      for (let left = messagesPerConnection; left > 0 && wire.closed === undefined && sent < count; left--) {
        wire.events.message(mutator.next());
        if (++sent === Math.floor(count / 5)) before = await memoryInUse();
      }
      if (wire.closed === undefined) {
        void peer.close("the test moves on");
        wire.close("the test moves on");
      } else {
        closedByThem++;
        expect(wire.closed, `seed ${String(seed)}`).not.toBe("");
        reasons.add(wire.closed.replaceAll(/[\d"'].*$/g, ""));
      }
      // Its handlers' turn, and its end.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const grown = (await memoryInUse()) - before;
    expect(faults, `seed ${String(seed)}`).toEqual([]);
    expect(gone, `seed ${String(seed)}`).toEqual([]);
    expect(closedByThem).toBeGreaterThan(count / messagesPerConnection);
    expect(reasons.size).toBeGreaterThan(5);
    expect(reasons).not.toContain("aborted");
    expect(grown, `seed ${String(seed)}`).toBeLessThan(maxGrowthBytes);
  },
  600_000,
);
