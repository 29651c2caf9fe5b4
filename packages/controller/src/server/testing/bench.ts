/**
 * A whole controller without TLS: its services on a catalogue in memory, with hosts and operators on memory sockets.
 * For tests.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  agentMethods,
  controllerAgentMethods,
  controllerOperatorMethods,
  type FanOutStartParams,
  type HostName,
  newHostId,
  newJobId,
  newOperatorId,
  operatorMethods,
  Peer,
  supportedVersions,
  systemClock,
} from "@outpost/protocol";
import { type MemoryLink, memoryLink } from "@outpost/protocol/memory";
import { pino } from "pino";
import { Authorisation } from "../authorisation.ts";
import { Authority } from "../authority.ts";
import { Catalogue } from "../catalogue/catalogue.ts";
import { CollectedStore } from "../collected-store.ts";
import { composeServices, type Composed } from "../services.ts";
import { type ControllerSettings, defaultControllerSettings } from "../settings.ts";
import { AgentHandlers } from "../handlers/agent.ts";
import { operatorHandlers } from "../handlers/operator.ts";
import { FakeAgent, fakeFacts } from "./fake-agent.ts";

export type OperatorClient = Peer<typeof operatorMethods, typeof controllerOperatorMethods>;

/** Waits until `attempt` is true. @throws after five seconds */
export async function until(attempt: () => boolean, what = "the condition"): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!attempt()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export class Bench implements AsyncDisposable {
  readonly directory: string;
  readonly agents = new Map<string, FakeAgent>();
  readonly links = new Map<string, MemoryLink>();
  readonly settings: ControllerSettings;
  readonly operator = { id: newOperatorId(), name: "alice" };
  composed!: Composed;

  private constructor(directory: string, settings: Partial<ControllerSettings>) {
    this.directory = directory;
    this.settings = { ...defaultControllerSettings, writeBehindMs: 5, sessionWriteBehindMs: 5, ...settings };
  }

  static async create(hosts: readonly string[], settings: Partial<ControllerSettings> = {}): Promise<Bench> {
    const bench = new Bench(await mkdtemp(join(tmpdir(), "outpost-controller-")), settings);
    await bench.open();
    const { catalogue, presence } = bench.services;
    for (const name of hosts) {
      const host = {
        id: newHostId(),
        name: name as HostName,
        labels: { role: name.replace(/\d+$/, "") },
        facts: fakeFacts,
        enrolledAt: 1,
        lastSeen: undefined,
      };
      catalogue.transaction("unsynced", () =>
        catalogue.hosts.insert({ ...host, keyHash: Buffer.from(name), tokenHash: Buffer.from(name) }),
      );
      presence.add(host);
      bench.agents.set(name, new FakeAgent());
    }
    await Promise.all(hosts.map((name) => bench.connect(name)));
    return bench;
  }

  get services(): Composed["services"] {
    return this.composed.services;
  }

  agent(name: string): FakeAgent {
    return this.agents.get(name)!;
  }

  /** Opens the controller on its directory, for the first time or after `kill`. */
  async open(): Promise<void> {
    const { authority } = await Authority.create();
    this.composed = composeServices({
      catalogue: new Catalogue(join(this.directory, "catalogue.sqlite")),
      authority,
      authorisation: new Authorisation(),
      store: await CollectedStore.open(join(this.directory, "collected"), this.settings.maxCollectedBytes),
      inputsDirectory: join(this.directory, "inputs"),
      clock: systemClock,
      settings: this.settings,
      log: pino({ level: "silent" }),
    });
    this.services.launch.resume();
  }

  /** As kill -9: connections end, nothing that waits is written, everything in memory is gone. */
  async kill(): Promise<void> {
    this.services.presence[Symbol.dispose]();
    this.services.catalogue[Symbol.dispose]();
    for (const link of this.links.values()) link.cut();
    this.composed.collector[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await this.open();
  }

  async connect(name: string): Promise<void> {
    const { presence } = this.services;
    const host = presence.hostNamed(name as HostName)!;
    const link = memoryLink();
    this.links.set(name, link);
    const handlers = new AgentHandlers(this.services, host, () => {});
    const peer = new Peer(link.sockets[0], { local: controllerAgentMethods, remote: agentMethods, handlers });
    handlers.peer = peer;
    void peer.closed.then(() => presence.disconnected(host.id, peer));
    await this.agent(name).connect(link.sockets[1]);
  }

  async cut(name: string): Promise<void> {
    const { presence } = this.services;
    this.links.get(name)!.cut();
    await until(() => presence.link(presence.hostNamed(name as HostName)!.id) === undefined, "the loss");
  }

  async client(): Promise<OperatorClient> {
    const link = memoryLink();
    const peer: Peer<typeof controllerOperatorMethods, typeof operatorMethods> = new Peer(link.sockets[0], {
      local: controllerOperatorMethods,
      remote: operatorMethods,
      handlers: operatorHandlers(this.services, { operator: this.operator, peer: () => peer }, () => {}),
      fault: (error) => {
        throw error;
      },
    });
    const client: OperatorClient = new Peer(link.sockets[1], {
      local: operatorMethods,
      remote: controllerOperatorMethods,
      handlers: { goodbye: () => {} },
    });
    await client.request("hello", {
      versions: supportedVersions,
      software: "test",
      maxMessageBytes: 1 << 20,
    });
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.links.values()) link.cut();
    await new Promise((resolve) => setImmediate(resolve));
    this.composed.collector[Symbol.dispose]();
    this.services.fanOuts[Symbol.dispose]();
    this.services.sessions[Symbol.dispose]();
    this.services.presence[Symbol.dispose]();
    this.services.catalogue[Symbol.dispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export function startParams(targets: string, more: Partial<FanOutStartParams> = {}): FanOutStartParams {
  return {
    job: newJobId(),
    targets,
    spec: { command: { kind: "exec", argv: ["true"] }, env: {}, input: { kind: "none" } },
    mode: "keep",
    receiving: false,
    ...more,
  };
}
