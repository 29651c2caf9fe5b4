/** What a host says about itself, and what the controller says about hosts. */
import * as v from "valibot";
import { HostId, HostName, Labels } from "../ids.ts";
import { Time } from "./stream.ts";

const Text = v.pipe(v.string(), v.maxLength(256));
const Size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** What a fact that a host's own programs give is called: up to 63 of a-z 0-9 . _ -, beginning with a letter. */
export const FactName = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9._-]{0,62}$/, "is not the name of a fact (a-z 0-9 . _ -)"),
);

/** Facts of a host's own programs (`facts.d`), by name. At most 128. */
export const CustomFacts = v.pipe(
  v.record(
    FactName,
    v.union([v.pipe(v.string(), v.maxLength(1024)), v.pipe(v.number(), v.finite()), v.boolean()]),
  ),
  v.check((facts) => Object.keys(facts).length <= 128, "are more than 128 facts"),
);
export type CustomFacts = v.InferOutput<typeof CustomFacts>;

/** Facts about a host, gathered by its agent: at start, and again as they change. All of it is what the host says of itself. */
export type Facts = v.InferOutput<typeof Facts>;
export const Facts = v.object({
  /** `linux` or `darwin`, as Node's `process.platform`. */
  platform: Text,
  /** The distribution or product in words, e.g. `Debian GNU/Linux 12 (bookworm)`. */
  os: Text,
  /** The kernel's release, as `uname -r`. */
  kernel: Text,
  /** The machine's architecture, e.g. `x64`, `arm64`. */
  arch: Text,
  hostname: Text,
  cpus: v.pipe(v.number(), v.integer(), v.minValue(0)),
  memoryBytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** The agent's software version. */
  agentVersion: Text,
  /** Changes at each boot (Linux: `/proc/sys/kernel/random/boot_id`). */
  bootId: Text,
  /** The distribution's or product's short name, as `ID` of os-release(5), e.g. `debian`; `macos`. */
  osId: v.optional(Text),
  /** Its version, as `VERSION_ID`, e.g. `12`. */
  osVersion: v.optional(Text),
  /** What it derives from, as `ID_LIKE`, e.g. `["debian"]`. */
  osLike: v.optional(v.pipe(v.array(Text), v.maxLength(8))),
  /** Its file systems on disks, the root first. */
  disks: v.optional(
    v.pipe(v.array(v.object({ path: Text, sizeBytes: Size, freeBytes: Size })), v.maxLength(16)),
  ),
  /** IPv4 and IPv6 addresses but loopback and link-local ones, without prefix length. */
  addresses: v.optional(v.pipe(v.array(Text), v.maxLength(64))),
  /** The cloud that it runs in, as far as the machine itself says (its firmware's vendor): `aws`, `azure`, `gcp`, … */
  cloud: v.optional(Text),
  /** What programs of the host say besides. */
  custom: v.optional(CustomFacts),
});

/** The facts of a host are others now. Since version 3. */
export const FactsChanged = v.object({ facts: Facts });
export type FactsChanged = v.InferOutput<typeof FactsChanged>;

/** `connected`: the agent has a live connection. `disconnected`: it had one; `lastSeen` says when. `never`: enrolled only. */
export const HostState = v.picklist(["connected", "disconnected", "never"]);
export type HostState = v.InferOutput<typeof HostState>;

/** A host as operators see it. */
export type HostInfo = v.InferOutput<typeof HostInfo>;
export const HostInfo = v.object({
  id: HostId,
  name: HostName,
  state: HostState,
  labels: Labels,
  /** Absent until the agent connected for the first time. */
  facts: v.optional(Facts),
  enrolledAt: Time,
  /** When the controller last had a connection to it; now, while it is connected. */
  lastSeen: v.optional(Time),
  /** Set while it waits to be approved: since when. Nothing runs there, and no target but its name selects it. */
  quarantinedSince: v.optional(Time),
  /** When its certificate ends, as far as the controller knows. */
  certificateExpiresAt: v.optional(Time),
});

export const HostListParams = v.object({
  /** A target expression; default all hosts. */
  targets: v.optional(v.string()),
  /** Only hosts behind this one, by name (`web9` before `web10`). */
  after: v.optional(HostName),
  /** At most so many. Default all of them, which with thousands of hosts is more than a message holds. Since version 3. */
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000))),
});
export type HostListParams = v.InferOutput<typeof HostListParams>;
/** By name. `more`: there are others behind the last one. */
export const HostListResult = v.object({ hosts: v.array(HostInfo), more: v.optional(v.boolean()) });
export type HostListResult = v.InferOutput<typeof HostListResult>;

/** Hosts by name; each MUST be there. */
export const HostApproveParams = v.object({
  hosts: v.pipe(v.array(HostName), v.minLength(1), v.maxLength(10_000)),
});
export type HostApproveParams = v.InferOutput<typeof HostApproveParams>;
export const HostApproveResult = v.object({ hosts: v.array(HostInfo) });
export type HostApproveResult = v.InferOutput<typeof HostApproveResult>;
/** Revokes: the connection ends at once, and no other is let in. What runs on the host goes on. */
export const HostRemoveParams = v.object({
  hosts: v.pipe(v.array(HostName), v.minLength(1), v.maxLength(10_000)),
});
export type HostRemoveParams = v.InferOutput<typeof HostRemoveParams>;
export const HostRemoveResult = v.object({ hosts: v.array(HostInfo) });
export type HostRemoveResult = v.InferOutput<typeof HostRemoveResult>;
