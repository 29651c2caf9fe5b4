/**
 * A whole controller without TLS: its services on a directory of its own, with hosts and operators on memory sockets. Its
 * policy is a file as any controller's, and lets everybody do everything until a test says otherwise. For tests.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  agentMethods,
  AuditEntry,
  controllerAgentMethods,
  controllerOperatorMethods,
  type FanOutStartParams,
  type HostName,
  newHostId,
  newJobId,
  newOperatorId,
  operatorMethods,
  OperatorName,
  Peer,
  supportedVersions,
  systemClock,
} from "@outpost/protocol";
import { type MemoryLink, memoryLink } from "@outpost/protocol/memory";
import { pino } from "pino";
import * as v from "valibot";
import { Audit } from "../audit.ts";
import { Authorities } from "../authorities.ts";
import { Authority } from "../authority.ts";
import { Catalogue } from "../catalogue/catalogue.ts";
import type { HostRecord } from "../catalogue/hosts.ts";
import { CollectedStore } from "../collected-store.ts";
import { controllerPaths } from "../directory.ts";
import type { Observer } from "../observer.ts";
import { PolicyFile } from "../policy-file.ts";
import { composeServices, type Composed } from "../services.ts";
import { type ControllerSettings, defaultControllerSettings } from "../settings.ts";
import { AgentHandlers } from "../handlers/agent.ts";
import { operatorHandlers } from "../handlers/operator.ts";
import { FakeAgent, fakeFacts } from "./fake-agent.ts";

/** Everybody may do everything. */
const openPolicy = `rules:
  - name: everything
    operators: ["*"]
    actions: ["*"]
    configurations: ["*"]
    users: ["*"]
`;

export interface BenchSettings extends Partial<ControllerSettings> {
  /** The policy to begin with, YAML. */
  readonly policy?: string;
  /** Who watches it. Default: nobody. */
  readonly observer?: Observer;
}

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
  composed!: Composed;
  readonly #observer: Observer | undefined;

  private constructor(
    directory: string,
    settings: Partial<ControllerSettings>,
    observer: Observer | undefined,
  ) {
    this.directory = directory;
    this.#observer = observer;
    this.settings = { ...defaultControllerSettings, writeBehindMs: 5, sessionWriteBehindMs: 5, ...settings };
  }

  static async create(hosts: readonly string[], options: BenchSettings = {}): Promise<Bench> {
    const { policy = openPolicy, observer, ...settings } = options;
    const bench = new Bench(await mkdtemp(join(tmpdir(), "outpost-controller-")), settings, observer);
    await writeFile(join(bench.directory, "policy.yaml"), policy);
    await bench.open();
    await Promise.all(hosts.map((name) => bench.add(name)));
    return bench;
  }

  get services(): Composed["services"] {
    return this.composed.services;
  }

  /** Enters a host, and connects its agent. @param more what differs from an approved host, its label `role` made of its name */
  async add(name: string, more: Partial<HostRecord> = {}): Promise<void> {
    const { catalogue, presence } = this.services;
    const host: HostRecord = {
      id: newHostId(),
      name: name as HostName,
      labels: { role: name.replace(/\d+$/, "") },
      facts: fakeFacts,
      enrolledAt: 1,
      lastSeen: undefined,
      quarantinedSince: undefined,
      certificate: undefined,
      ...more,
    };
    catalogue.transaction("unsynced", () =>
      catalogue.hosts.insert({ ...host, keyHash: Buffer.from(name), tokenHash: Buffer.from(name) }),
    );
    presence.add(host);
    this.agents.set(name, this.agents.get(name) ?? new FakeAgent());
    await this.connect(name);
  }

  agent(name: string): FakeAgent {
    return this.agents.get(name)!;
  }

  /** Opens the controller on its directory, for the first time or after `kill`. */
  async open(): Promise<void> {
    const paths = controllerPaths(this.directory);
    const { authority } = await Authority.create();
    const log = pino({ level: "silent" });
    const clock = systemClock;
    const audit = Audit.open(paths.audit, clock, log);
    this.composed = composeServices({
      catalogue: new Catalogue(paths.catalogue),
      authorities: Authorities.inMemory(authority, authority.certificate, paths),
      certificate: { renew: () => Promise.resolve() },
      trustChanged: () => {},
      audit,
      policy: await PolicyFile.open({ file: paths.policy, audit, clock, log }),
      store: await CollectedStore.open(paths.collected, this.settings.maxCollectedBytes),
      inputsDirectory: paths.inputs,
      ...(this.#observer === undefined ? {} : { observer: this.#observer }),
      clock,
      settings: this.settings,
      log,
    });
    this.services.launch.resume();
  }

  /** As kill -9: connections end, nothing that waits is written, everything in memory is gone. */
  async kill(): Promise<void> {
    const { presence, catalogue, policy, audit } = this.services;
    this.services.rollouts[Symbol.dispose]();
    presence[Symbol.dispose]();
    catalogue[Symbol.dispose]();
    policy[Symbol.dispose]();
    audit[Symbol.dispose]();
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

  /** Puts another policy into force, as whoever edits the file does. */
  async setPolicy(policy: string): Promise<void> {
    await writeFile(join(this.directory, "policy.yaml"), policy);
    await until(() => this.services.policy.policy.text === policy, "the policy");
  }

  /** The controller's audit log, the oldest line first. */
  async audited(): Promise<AuditEntry[]> {
    const text = await readFile(join(this.directory, "audit", "audit.ndjson"), "utf8");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => v.parse(AuditEntry, JSON.parse(line)));
  }

  /** @param name the operator's */
  async client(name = "alice"): Promise<OperatorClient> {
    const { catalogue } = this.services;
    const known = catalogue.operators.byName(v.parse(OperatorName, name));
    const operator = known ?? { id: newOperatorId(), name: v.parse(OperatorName, name) };
    if (known === undefined) {
      const signedIn = { createdAt: 1, invitedUntil: 0, key: name, signedInAt: 1 };
      catalogue.transaction("unsynced", () => catalogue.operators.insert({ ...operator, ...signedIn }));
    }
    const link = memoryLink();
    const peer: Peer<typeof controllerOperatorMethods, typeof operatorMethods> = new Peer(link.sockets[0], {
      local: controllerOperatorMethods,
      remote: operatorMethods,
      handlers: operatorHandlers(this.services, { operator, peer: () => peer }, () => {}),
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
    this.services.rollouts[Symbol.dispose]();
    this.services.fanOuts[Symbol.dispose]();
    this.services.sessions[Symbol.dispose]();
    this.services.presence[Symbol.dispose]();
    this.services.catalogue[Symbol.dispose]();
    this.services.policy[Symbol.dispose]();
    this.services.audit[Symbol.dispose]();
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
