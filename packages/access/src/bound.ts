/**
 * What a signature binds besides who asks for what about which subject: for each method of a host, the parameters that
 * an attacker between operator and host must not change.
 */
import { createHash } from "node:crypto";
import {
  encodeCanonical,
  type JobSpec,
  type Secrets,
  type SessionAttachParams,
  type SessionDisconnectParams,
  type SessionReadParams,
  type SessionRoleParams,
  type SessionSpec,
} from "@outpost/protocol";

/** One entry per method that needs a signature. */
export type Bound =
  | {
      readonly method: "job.start";
      readonly spec: JobSpec;
      readonly collect: boolean;
      readonly secrets: Secrets | undefined;
    }
  | { readonly method: "job.read" | "job.remove" | "session.remove" }
  | { readonly method: "job.stop"; readonly graceMs: number | undefined }
  | { readonly method: "session.open"; readonly spec: SessionSpec }
  | ({ readonly method: "session.attach" } & Pick<SessionAttachParams, "viewer" | "role" | "takeOver">)
  | ({ readonly method: "session.role" } & Pick<SessionRoleParams, "viewer" | "role">)
  | ({ readonly method: "session.read" } & Pick<SessionReadParams, "what">)
  | ({ readonly method: "session.disconnect" } & Pick<
      SessionDisconnectParams,
      "idleTimeoutMs" | "buffering"
    >);

/** As it is hashed. Secrets are bound by their own digest, so that a statement can be kept and they need not be. */
export function boundBytes(bound: Bound): Uint8Array {
  if (bound.method !== "job.start" || bound.secrets === undefined) return encodeCanonical(bound);
  const secrets = createHash("sha256").update(encodeCanonical(bound.secrets)).digest();
  return encodeCanonical({ ...bound, secrets });
}
