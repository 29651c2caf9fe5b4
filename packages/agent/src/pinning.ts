/**
 * The first look at a controller: is its CA the one that the token names?
 *
 * This connection is not verified and nothing is sent on it. Whoever answers may show our CA's certificate (it is no
 * secret); whether the server also holds a key that this CA signed is checked by the next connection, which verifies.
 */
import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { connect, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { hostAndPort } from "./controller-url.ts";

const timeoutMs = 10_000;

/** Longer chains than this are not ours. */
const maxChainLength = 10;

/**
 * Fetches the CA certificate whose SHA-256 is `fingerprint` from the server's chain.
 * @returns PEM
 * @throws OutpostError `denied` when the server has another CA; `controller_unreachable`, `disconnected`, `timeout`,
 * `cancelled`
 */
export async function fetchAuthority(
  url: string,
  fingerprint: Buffer,
  signal?: AbortSignal,
): Promise<string> {
  const chain = await fetchChain(url, signal);
  const authority = chain.find((der) => createHash("sha256").update(der).digest().equals(fingerprint));
  if (authority === undefined) {
    const { host } = new URL(url);
    throw new OutpostError(
      ErrorCode.denied,
      `the controller at ${host} is not the one that made this token (its CA has another fingerprint); nothing was ` +
        `sent to it. Check the address, or make a new token there with \`outpost token create\``,
      { data: { url } },
    );
  }
  const lines = authority.toString("base64").match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** The certificates that the server shows, its own first, as DER. */
async function fetchChain(url: string, signal: AbortSignal | undefined): Promise<Buffer[]> {
  const { host, port } = hostAndPort(url);
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer[]>();
  const socket: TLSSocket = connect({
    host,
    port,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    minVersion: "TLSv1.3",
    rejectUnauthorized: false,
  });
  const onAbort = (): void => reject(OutpostError.from(signal?.reason, ErrorCode.cancelled));
  signal?.addEventListener("abort", onAbort);
  socket.setTimeout(timeoutMs, () =>
    reject(
      new OutpostError(
        ErrorCode.timeout,
        `${host}:${String(port)} did not answer within ${String(timeoutMs / 1000)} s`,
      ),
    ),
  );
  socket.on("error", (error: NodeJS.ErrnoException) => reject(connectError(host, port, error)));
  socket.on("close", () => {
    reject(connectError(host, port, Object.assign(new Error("closed"), { code: "ECONNRESET" })));
  });
  socket.on("secureConnect", () => resolve(chainOf(socket.getPeerCertificate(true))));
  try {
    return await promise;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    socket.destroy();
  }
}

function chainOf(leaf: DetailedPeerCertificate): Buffer[] {
  const chain: Buffer[] = [];
  // A self-signed certificate is its own issuer; the last of an incomplete chain has none, whatever the types say.
  let certificate: Partial<DetailedPeerCertificate> | undefined = leaf;
  while (certificate?.raw !== undefined && chain.length < maxChainLength) {
    if (chain.some((der) => der.equals(certificate!.raw!))) break;
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

function connectError(host: string, port: number, error: NodeJS.ErrnoException): OutpostError {
  const where = `${host}:${String(port)}`;
  const say = (message: string, code: ErrorCode = ErrorCode.controllerUnreachable): OutpostError =>
    new OutpostError(code, message, {
      cause: error,
      data: { cause: error.code ?? "" },
    });
  switch (error.code) {
    case "ECONNREFUSED":
      return say(`nothing listens at ${where}; is the controller running (\`outpost controller start\`)?`);
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return say(`the name ${host} cannot be resolved; check the address`);
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
      return say(
        `what listens at ${where} does not speak TLS; is this the controller's port (default 7443)?`,
      );
    // A controller with too many newcomers closes before the handshake.
    case "ECONNRESET":
      return say(
        `${where} closed the connection at once; is it a controller, or very busy?`,
        ErrorCode.disconnected,
      );
    default:
      return say(`cannot connect to ${where}: ${error.message}`);
  }
}
