/** How the controller stands, looked at when metrics are collected and at no other time. */
import { X509Certificate } from "node:crypto";
import { HostState, RolloutState, SessionState } from "@outpost/protocol";
import { Gauge, type Registry } from "prom-client";
import type { Admission } from "../admission.ts";
import type { ServerCertificate } from "../server-certificate.ts";
import type { Services } from "../services.ts";

export interface ReadingSources {
  readonly services: Services;
  readonly admission: Admission;
  readonly certificate: Pick<ServerCertificate, "credentials">;
}

/** Agents renew theirs long before; the same time as `outpost host list` speaks of it, in milliseconds. */
const endsSoonMs = 7 * 24 * 60 * 60 * 1000;

export class Readings {
  readonly #sources: ReadingSources;
  readonly #registry: Registry;

  constructor(sources: ReadingSources, registry: Registry) {
    this.#sources = sources;
    this.#registry = registry;
    this.#hosts();
    this.#connections();
    this.#queues();
    this.#fanOuts();
    this.#certificates();
  }

  /** A gauge without labels. */
  #number(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** A gauge with one label. */
  #each(name: string, help: string, label: string, read: () => Readonly<Record<string, number>>): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, found] of Object.entries(read())) this.set({ [label]: value }, found);
      },
    });
  }

  #hosts(): void {
    const { presence, sessions, clock } = this.#sources.services;
    this.#each("outpost_hosts", "Hosts that are enrolled, by how they are connected", "state", () => {
      const counts = zeros(HostState.options);
      for (const { id } of presence.hosts()) counts[presence.state(id)]!++;
      return counts;
    });
    this.#number("outpost_hosts_quarantined", "Hosts that wait for somebody to approve them", () =>
      count(presence.hosts(), ({ quarantinedSince }) => quarantinedSince !== undefined),
    );
    this.#number(
      "outpost_host_certificates_ending",
      "Hosts whose certificate ends within a week, or has ended",
      () => {
        const soon = clock.now() + endsSoonMs;
        return count(presence.hosts(), ({ certificate }) => (certificate?.expiresAt ?? Infinity) < soon);
      },
    );
    this.#each("outpost_sessions", "Sessions that are known, by their state", "state", () => {
      const counts = zeros(SessionState.options);
      for (const { status } of sessions.all()) counts[status.state]!++;
      return counts;
    });
  }

  #connections(): void {
    const { admission, services } = this.#sources;
    this.#each("outpost_connections", "Connections that are open, by who they are of", "kind", () => {
      const { host, operator, newcomer } = services.connections.counts;
      return { agent: host, operator, newcomer };
    });
    this.#each(
      "outpost_arriving_connections",
      "Connections that take a place among those who arrive: handshake, hello and inventory, enrolment",
      "stage",
      () => ({ ...admission.arriving }),
    );
    const { maxHandshakes, maxGreetings, maxEnrolments } = services.settings;
    this.#each("outpost_arriving_connections_limit", "How many of these places there are", "stage", () => ({
      handshake: maxHandshakes,
      greeting: maxGreetings,
      enrolment: maxEnrolments,
    }));
  }

  #queues(): void {
    const { fanOuts, tails, store, settings } = this.#sources.services;
    this.#number(
      "outpost_catalogue_unwritten_changes",
      "Changes of jobs that wait to be written to the catalogue",
      () => fanOuts.unwritten,
    );
    this.#number(
      "outpost_held_tail_bytes",
      "Output of short jobs that came with their starts and waits for its receive",
      () => tails.heldBytes,
    );
    this.#number("outpost_collected_bytes", "Output in the controller's own store", () => store.bytes);
    this.#number(
      "outpost_collected_bytes_limit",
      "Where collecting pauses",
      () => settings.maxCollectedBytes,
    );
  }

  #fanOuts(): void {
    const { fanOuts } = this.#sources.services;
    this.#number("outpost_unfinished_fanouts", "Fan-out jobs for which something is left to do", () =>
      count(fanOuts.unfinished(), () => true),
    );
    this.#each("outpost_rollouts", "Roll-outs that are not over, by their state", "state", () => {
      const counts = zeros(RolloutState.options.filter((state) => state !== "done" && state !== "stopped"));
      for (const fanOut of fanOuts.unfinished()) {
        const state = fanOut.rollout?.state;
        if (state !== undefined && state in counts) counts[state]!++;
      }
      return counts;
    });
    this.#each(
      "outpost_queued_jobs",
      "Jobs of which nothing was sent yet: they wait for their turn in a roll-out, or for their host",
      "waiting_for",
      () => {
        const counts = zeros(["rollout", "host"]);
        for (const fanOut of fanOuts.unfinished()) {
          for (const job of fanOut.jobs) {
            if (job.isQueued) counts[job.turn === "host" ? "host" : "rollout"]!++;
          }
        }
        return counts;
      },
    );
  }

  #certificates(): void {
    const { services, certificate } = this.#sources;
    this.#each(
      "outpost_certificate_expiry_timestamp_seconds",
      "When the controller's own certificates end",
      "certificate",
      () => {
        const { authorities } = services;
        const server = new X509Certificate(certificate.credentials.certificate);
        return {
          server: Date.parse(server.validTo) / 1000,
          authority: authorities.current.expiresAt / 1000,
          operators_authority: authorities.operators.expiresAt / 1000,
        };
      },
    );
  }
}

function zeros(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, 0]));
}

function count<T>(all: Iterable<T>, fits: (one: T) => boolean): number {
  let found = 0;
  for (const one of all) if (fits(one)) found++;
  return found;
}
