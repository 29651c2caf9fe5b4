/**
 * How this host becomes one of a controller's hosts.
 *
 *     1  look      TLS without verification: take the CA's certificate, compare its fingerprint with the token's
 *     2  verify    dial /enrol with that CA: from here on we know whom we talk to
 *     3  enrol     send the token's secret and a certificate request; the private key is made here and stays here
 *     4  check     the certificate must fit our key and come from that CA, the operators' authority be the token's
 *
 * The secret is shown to nobody before step 2 has succeeded.
 */
import { setTimeout } from "node:timers/promises";
import {
  controllerEnrolmentMethods,
  type EnrolResult,
  enrolmentMethods,
  ErrorCode,
  type Facts,
  type HostName,
  type Labels,
  limits,
  OutpostError,
  Peer,
  supportedVersions,
} from "@outpost/protocol";
import { dialWebSocket } from "@outpost/protocol/websocket";
import { Backoff } from "./backoff.ts";
import type { Credentials } from "./credentials.ts";
import { createIdentity } from "./identity.ts";
import { fetchAuthority } from "./pinning.ts";
import type { Token } from "./token.ts";
import { checkCertificate, fingerprintsOf } from "./trust.ts";
import { software } from "./version.ts";

export interface EnrolOptions {
  /** The controller, as `parseControllerUrl` returns it. */
  readonly url: string;
  readonly token: Token;
  readonly name: HostName;
  /** True: nobody has chosen the name, so the token's counts, if it has one. Default false. */
  readonly isDefaultName?: boolean;
  readonly labels: Labels;
  readonly facts: Facts;
  readonly signal?: AbortSignal;
}

export interface Enrolment {
  readonly host: EnrolResult["host"];
  /** As the controller enrolled it: the token may fix the name and labels. */
  readonly name: HostName;
  readonly labels: Labels;
  /** Nothing runs here until an operator has approved the host. */
  readonly quarantined: boolean;
  readonly credentials: Credentials;
}

/** How long the controller may take to sign, in milliseconds. It may be on a slow disk; a person waits at the prompt. */
const enrolTimeoutMs = 15_000;

/** How often each step is tried: with the waits between, up to some 15 s of a busy controller or a bad network. */
const attempts = 6;

/**
 * @throws OutpostError `denied`: another CA or other operators than the token's, or a token that is unknown, expired or
 * used up · `conflict`: the name is
 * taken · `controller_unreachable`, `timeout`, `version_mismatch`, `cancelled`
 */
export async function enrol(options: EnrolOptions): Promise<Enrolment> {
  const { url, token, name, signal } = options;
  const authority = await withRetries(signal, () => fetchAuthority(url, token.fingerprint, signal));
  const identity = await createIdentity(name);
  // The same request each time: when an answer was lost, the controller gives it again and uses nothing up.
  const answer = await withRetries(signal, () => requestCertificate(options, authority, identity.request));
  checkCertificate(answer, identity.key, answer.host);
  checkAuthorities(answer, token);
  const { host, labels, quarantined, certificate, operators } = answer;
  const credentials = { key: identity.key, certificate, authority: answer.authority, operators };
  return { host, name: answer.name, labels, quarantined, credentials };
}

/** The token, and nobody else, says whom this host will believe. @throws OutpostError `denied` */
function checkAuthorities({ authority, operators }: EnrolResult, token: Token): void {
  const [pinned, ...more] = fingerprintsOf(operators);
  const isSame = pinned?.equals(token.operators) === true && more.length === 0;
  if (isSame && fingerprintsOf(authority).some((each) => each.equals(token.fingerprint))) return;
  throw new OutpostError(
    ErrorCode.denied,
    "the controller answered with other authorities than those in the token: whoever made the token has other operators " +
      "than this controller says. Nothing was changed here; ask for a new token",
  );
}

/**
 * Tries again when the connection was lost or the controller has too many newcomers. Not when nobody answers at all:
 * then the address is wrong or the controller is down, and a person waits to hear it.
 */
async function withRetries<T>(signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
  const backoff = new Backoff();
  for (let left = attempts - 1; ; left--) {
    try {
      return await attempt();
    } catch (reason) {
      const error = OutpostError.from(reason);
      if (left === 0 || (error.code !== ErrorCode.disconnected && error.code !== ErrorCode.busy)) throw error;
      const retryAfterMs = error.data["retryAfterMs"];
      const delayMs = backoff.next(typeof retryAfterMs === "number" ? retryAfterMs : 0);
      await setTimeout(delayMs, undefined, signal === undefined ? {} : { signal });
    }
  }
}

async function requestCertificate(
  options: EnrolOptions,
  authority: string,
  request: string,
): Promise<EnrolResult> {
  const { url, token, name, isDefaultName = false, labels, facts, signal } = options;
  const cancel = signal === undefined ? {} : { signal };
  const socket = await dialWebSocket({ url: `${url}/enrol`, tls: { ca: authority }, ...cancel });
  const peer = new Peer(socket, {
    local: enrolmentMethods,
    remote: controllerEnrolmentMethods,
    handlers: {},
  });
  try {
    await peer.request(
      "hello",
      { versions: supportedVersions, software, maxMessageBytes: limits.maxMessageBytes },
      { ...cancel, timeoutMs: limits.helloTimeoutMs },
    );
    return await peer.request(
      "enrol",
      { secret: token.secret, name, isDefaultName, labels, facts, request },
      { ...cancel, timeoutMs: enrolTimeoutMs },
    );
  } catch (error) {
    throw explain(OutpostError.from(error), options);
  } finally {
    await peer.close("enrolled, or not");
  }
}

/** Adds what to do next to the controller's refusals. */
function explain(error: OutpostError, { url, name }: EnrolOptions): OutpostError {
  const { host } = new URL(url);
  const say = (message: string): OutpostError =>
    new OutpostError(error.code, message, { data: error.data, cause: error });
  switch (error.code) {
    case ErrorCode.denied:
      return say(
        `the controller at ${host} refused the token: ${error.message}. Make a new one with \`outpost token create\``,
      );
    case ErrorCode.conflict:
      return say(
        `the controller at ${host} has a host called ${name} already: ${error.message}. ` +
          `Join with another name: --name NAME`,
      );
    case ErrorCode.disconnected:
      return say(
        `the controller at ${host} closed the connection before it answered (${error.message}); try again`,
      );
    default:
      return error;
  }
}
