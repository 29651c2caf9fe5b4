/** The first exchange of every connection. */
import * as v from "valibot";
import { Pem } from "./certificate.ts";
import { Facts } from "./host.ts";

const Version = v.pipe(v.number(), v.integer(), v.minValue(1));

/** The dialer's hello. Whom it speaks for is in its certificate, not here. */
export const HelloParams = v.object({
  /** The protocol versions that the dialer speaks. */
  versions: v.object({ min: Version, max: Version }),
  /** The software and its version, e.g. `outpost-agent 0.1.0`. */
  software: v.pipe(v.string(), v.maxLength(128)),
  /** The largest message that the dialer accepts, in bytes. */
  maxMessageBytes: v.pipe(v.number(), v.safeInteger(), v.minValue(64 * 1024)),
  /** Agents only. */
  facts: v.optional(Facts),
});
export type HelloParams = v.InferOutput<typeof HelloParams>;

/** The acceptor's hello. */
export const HelloResult = v.object({
  /** The version that both sides use from here on. */
  version: Version,
  software: v.pipe(v.string(), v.maxLength(128)),
  maxMessageBytes: v.pipe(v.number(), v.safeInteger(), v.minValue(64 * 1024)),
  /** The name under which the acceptor knows the dialer: the host's or the operator's. */
  name: v.string(),
  /** For operators: the CAs that the controller's certificate may come from, PEM; two while the CA is changed. Whoever
   * believes in one of them SHOULD believe in these from now on, or the end of the change locks them out. */
  authority: v.optional(Pem),
  /** The acceptor's time, in milliseconds since 1970; for telling how far the clocks are apart. */
  time: v.number(),
});
export type HelloResult = v.InferOutput<typeof HelloResult>;

/** The acceptor is about to close: wait this long, with jitter, before dialing again. */
export const Goodbye = v.object({
  reason: v.string(),
  retryAfterMs: v.pipe(v.number(), v.integer(), v.minValue(0)),
});
