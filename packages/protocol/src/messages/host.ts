/** What a host says about itself, and what the controller says about hosts. */
import * as v from "valibot";
import { HostId, HostName, Labels } from "../ids.ts";
import { Time } from "./stream.ts";

const Text = v.pipe(v.string(), v.maxLength(256));

/** Facts about a host, gathered by its agent at start. */
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
});

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
