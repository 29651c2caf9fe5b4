/**
 * Metrics in the clear, for a program on the same machine: they say nothing secret and everything about how busy one is, so
 * the address must be one that no other machine reaches. Others ask at the controller's own port (`page.ts`).
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, BlockList, isIP } from "node:net";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { ControllerMetrics } from "./metrics.ts";

/** Where to listen. */
export interface MetricsAddress {
  readonly host: string;
  readonly port: number;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** A scraper opens one or two; whoever opens more is cut off. */
const maxConnections = 16;
/** How long a request may take to arrive, in milliseconds. */
const arrivalTimeoutMs = 10_000;

export class MetricsListener implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws OutpostError `invalid_argument` for an address that others reach; `conflict` when the port is in use; `denied` */
  static async listen(metrics: ControllerMetrics, { host, port }: MetricsAddress): Promise<MetricsListener> {
    const address = host === "localhost" ? "127.0.0.1" : host;
    checkLoopback(address);
    const server = createServer(
      { requestTimeout: arrivalTimeoutMs, headersTimeout: arrivalTimeoutMs, maxHeaderSize: 8 * 1024 },
      (request, response) => void answer(metrics, request, response),
    );
    server.maxConnections = maxConnections;
    server.listen(port, address);
    try {
      await once(server, "listening");
    } catch (error) {
      throw listenError(`${host}:${String(port)}`, error as NodeJS.ErrnoException);
    }
    return new MetricsListener(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 6 ? "ipv6" : "ipv4");
}

function checkLoopback(address: string): void {
  if (isLoopback(address)) return;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `metrics are served in the clear and without a question who asks, so only at a loopback address (127.0.0.1, ::1), not at ${address}. ` +
      "From other machines ask at the controller's own port: GET /metrics over HTTPS, with the certificate of an operator who " +
      "may do metrics.read; `--metrics operators` offers that alone",
  );
}

async function answer(
  metrics: ControllerMetrics,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const say = (status: number, type: string, text: string): void => {
    response.writeHead(status, { "Content-Type": type });
    response.end(text);
  };
  // A page in a browser on this machine can have a name of its own point here, and ask as if we were its server.
  if (!isOurs(request.headers.host))
    return say(403, "text/plain", "ask by a loopback address, or as localhost\n");
  if (request.method !== "GET" && request.method !== "HEAD") return say(405, "text/plain", "GET only\n");
  if ((request.url ?? "").split("?", 1)[0] !== "/metrics") {
    return say(404, "text/plain", "the metrics are at /metrics\n");
  }
  try {
    say(200, metrics.type, await metrics.text());
  } catch (error) {
    say(500, "text/plain", `${OutpostError.from(error).message}\n`);
  }
}

/** @param host with or without a port; browsers always say one */
function isOurs(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  return name.toLowerCase() === "localhost" || isLoopback(name);
}

function listenError(where: string, error: NodeJS.ErrnoException): OutpostError {
  const say = (code: ErrorCode, message: string): OutpostError =>
    new OutpostError(code, message, { cause: error });
  switch (error.code) {
    case "EADDRINUSE":
      return say(
        ErrorCode.conflict,
        `${where} is in use; say another address for the metrics with --metrics`,
      );
    case "EACCES":
      return say(ErrorCode.denied, `this user may not listen at ${where}, where the metrics were to be`);
    default:
      return say(ErrorCode.invalidArgument, `metrics cannot be served at ${where}: ${error.message}`);
  }
}
