/**
 * How far one gets on the way to a controller: its name, its port, its certificate. Each step by itself, because a connection that
 * fails says only where it ended.
 */
import type { X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP } from "node:net";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { dialError, ErrorCode, splitPem } from "@outpost/protocol";
import { type Answer, ok, problem, warning } from "./examination.ts";

export interface ReachOptions {
  /** `wss://HOST:PORT`. */
  readonly controller: string;
  /** What commands on this side say to set another address. */
  readonly elsewhere: string;
}

/** How long each step may take, in milliseconds: several round trips of the slowest link that is of use. */
const stepTimeoutMs = 5_000;
/** A name with more addresses is looked at no further. */
const maxAddresses = 8;

interface Place {
  readonly url: URL;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

function placeOf(controller: string): Place {
  const url = new URL(controller);
  return { url, host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port === "" ? 443 : url.port) };
}

/** Whether the controller's name means something. */
export async function lookAtName({ controller, elsewhere }: ReachOptions): Promise<Answer> {
  const { host } = placeOf(controller);
  if (isIP(host) !== 0) return ok(`${host} is an address`, { addresses: [host] });
  try {
    const addresses = (await lookup(host, { all: true })).map(({ address }) => address);
    return ok(`${host} is ${addresses.join(", ")}`, { addresses });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EAI_AGAIN" ? "the name server does not answer" : "no name server knows it";
    return problem(
      `the name ${host} cannot be resolved: ${why} (${String(code)})`,
      `check it with \`getent hosts ${host}\`; if the controller has another name or address, ${elsewhere}`,
      { code },
    );
  }
}

/** Whether something listens there. Every address is tried: programs take the first one that works. */
export async function lookAtPort({ controller }: ReachOptions): Promise<Answer> {
  const { url, host, port } = placeOf(controller);
  const found = isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host }];
  const addresses = found.slice(0, maxAddresses).map(({ address }) => address);
  const failures = await Promise.all(
    addresses.map(async (address) => ({ address, why: await dial(address, port) })),
  );
  const refused = failures.flatMap(({ address, why }) => (why === undefined ? [] : [{ address, why }]));
  const [first] = refused;
  if (first === undefined) return ok(`port ${String(port)} of ${addresses.join(", ")} answers`);
  const { message } = dialError(url, first.why);
  const advice =
    first.why.code === "ECONNREFUSED"
      ? "on the controller's machine: `systemctl status outpost-controller`, or `outpost controller start`; is the port the one in controller.json?"
      : `something on the way keeps it out: a firewall, a route. From here: \`nc -vz ${host} ${String(port)}\``;
  if (refused.length === addresses.length) return problem(message, advice, { code: first.why.code });
  const dead = refused.map(({ address }) => address);
  return warning(
    `port ${String(port)} answers, but not at ${dead.join(", ")}: connections are slower, or fail at times`,
    `take these addresses out of the name's records, or have the controller listen there`,
    { addresses: dead },
  );
}

type SocketError = Error & { readonly code?: string };

/** @returns why it failed */
function dial(host: string, port: number): Promise<SocketError | undefined> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host, port });
    const timer = setTimeout(() => {
      socket.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" }));
    }, stepTimeoutMs);
    const settle = (error?: SocketError): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(error);
    };
    socket.once("connect", () => settle());
    socket.once("error", settle);
  });
}

export interface HandshakeOptions extends ReachOptions {
  /** The CAs that the controller's certificate may come from, PEM. */
  readonly authority: string;
  /** What to do when it comes from another one. */
  readonly otherAuthority: string;
}

/** A server's certificate is issued anew when 30 days are left; with less than this, that has failed. */
const endsSoonMs = 20 * 24 * 60 * 60 * 1000;

/** Whether it is the controller that we believe in, and its certificate is good for the name by which we reach it. */
export async function lookAtHandshake(options: HandshakeOptions): Promise<Answer> {
  const { controller, authority, otherAuthority, elsewhere } = options;
  const { url, host, port } = placeOf(controller);
  const target = {
    host,
    port,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    minVersion: "TLSv1.3",
  } as const;
  const { error, certificate } = await shakeHands({ ...target, ca: splitPem(authority) });
  if (error === undefined) return goodFor(certificate, host);
  // Once more without a question, to see whose it is.
  const shown = (await shakeHands({ ...target, rejectUnauthorized: false })).certificate;
  const { code, message, data } = dialError(url, error);
  const about = shown === undefined ? "" : `\nit shows: ${describe(shown)}`;
  const cause = data["cause"];
  const advice =
    cause === "ERR_TLS_CERT_ALTNAME_INVALID"
      ? `reach it by a name that is in its certificate: ${elsewhere}. Its names are those of \`outpost controller init --name\`, when it was set up`
      : cause === "CERT_HAS_EXPIRED" || cause === "CERT_NOT_YET_VALID"
        ? "compare the clocks: `date -u`, here and there. A running controller issues its certificate anew; its log says if it cannot"
        : code === ErrorCode.denied
          ? otherAuthority
          : `is ${url.host} the controller, and no other program? \`openssl s_client -connect ${host}:${String(port)}\` shows what answers`;
  return problem(`${message}${about}`, advice, { code, ...(cause === undefined ? {} : { cause }) });
}

function goodFor(certificate: X509Certificate | undefined, host: string): Answer {
  if (certificate === undefined) return ok("the handshake succeeded");
  const ends = Date.parse(certificate.validTo);
  const until = new Date(ends).toISOString().slice(0, 10);
  const message = `TLS 1.3; the controller's certificate is good for ${host} until ${until}`;
  const data = { expiresAt: ends };
  if (ends - Date.now() > endsSoonMs) return ok(message, data);
  return warning(
    message,
    "it should have been issued anew by now: look into the controller's log, and whether its directory can be written to",
    data,
  );
}

function describe(certificate: X509Certificate): string {
  const { fingerprint256, validFrom, validTo, subjectAltName = "no names" } = certificate;
  const day = (text: string): string => new Date(text).toISOString().slice(0, 10);
  const names = subjectAltName.replaceAll("IP Address:", "").replaceAll("DNS:", "");
  return `a certificate for ${names}, from ${day(validFrom)} to ${day(validTo)}, SHA-256 ${fingerprint256}`;
}

interface Handshake {
  readonly error?: SocketError;
  readonly certificate?: X509Certificate | undefined;
}

function shakeHands(options: ConnectionOptions): Promise<Handshake> {
  return new Promise((resolve) => {
    let socket: TLSSocket;
    const settle = (found: Handshake): void => {
      clearTimeout(timer);
      socket?.destroy();
      resolve(found);
    };
    const timer = setTimeout(
      () => settle({ error: Object.assign(new Error("no answer"), { code: "ETIMEDOUT" }) }),
      stepTimeoutMs,
    );
    try {
      socket = connectTls(options, () => settle({ certificate: socket.getPeerX509Certificate() }));
      socket.once("error", (error: SocketError) => settle({ error }));
    } catch (error) {
      settle({ error: error as SocketError });
    }
  });
}

/** How far the clocks are apart, in words. @param offsetMs the other side's less ours, @param toleranceMs how far they may be */
export function clockAnswer(offsetMs: number, toleranceMs: number, whose: string): Answer {
  const seconds = Math.abs(offsetMs) / 1000;
  const data = { offsetMs: Math.round(offsetMs) };
  if (seconds < 2)
    return ok(`agrees with ${whose} clock to ${seconds < 0.5 ? "half a second" : "two seconds"}`, data);
  const how = `this machine's clock is ${seconds < 120 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(0)} min`} ${
    offsetMs > 0 ? "behind" : "ahead of"
  } ${whose}`;
  const advice =
    "have both set their clocks (chrony, systemd-timesyncd): `timedatectl` shows whether they do";
  if (Math.abs(offsetMs) < toleranceMs) return warning(how, advice, data);
  return problem(`${how}: hosts refuse what is signed at a time that far from theirs`, advice, data);
}
