/**
 * What a WebSocket server over mutual TLS takes before it is a controller, and how fast one message goes to all of its
 * clients and comes back: the floor for ours. As a program it is that server (`server`) or its clients (`clients COUNT`);
 * as a module it runs both.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket, WebSocketServer } from "ws";
import { credentials, makeCertificate } from "./certificate.ts";

/** About as large as a start of `true` and its answer. */
const messageBytes = 600;

function serve(directory: string): void {
  const server = createServer({ ...credentials(directory), minVersion: "TLSv1.3", requestCert: true });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: true });
  let waiting = 0;
  let begun = 0;
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => {
      if (waiting === 0) socket.send(data);
      else if (--waiting === 0) process.send?.({ ms: performance.now() - begun });
    });
  });
  // The order to fan out.
  process.on("message", () => {
    waiting = sockets.clients.size;
    begun = performance.now();
    const message = Buffer.alloc(messageBytes);
    for (const socket of sockets.clients) socket.send(message);
  });
  server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
}

async function dial(directory: string, count: number, port: number): Promise<void> {
  const tls = credentials(directory);
  for (let at = 0; at < count; at += 16) {
    await Promise.all(
      Array.from({ length: Math.min(16, count - at) }, () => {
        const socket = new WebSocket(`wss://localhost:${String(port)}`, { ...tls, perMessageDeflate: false });
        return new Promise<void>((resolve, reject) => {
          socket.on("error", reject);
          socket.on("open", () => socket.send("hello"));
          socket.once("message", () => {
            resolve();
            socket.on("message", (data) => socket.send(data));
          });
        });
      }),
    );
  }
  process.send?.({ connected: count });
}

interface Message {
  readonly port?: number;
  readonly ms?: number;
  readonly connected?: number;
}

export class BareServer implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "outpost-bare-"));
  readonly #children: ChildProcess[] = [];
  #server!: ChildProcess;
  #port = 0;

  static async start(): Promise<BareServer> {
    const bare = new BareServer();
    makeCertificate(bare.#directory);
    bare.#server = bare.#fork("server", bare.#directory);
    bare.#port = (await heard(bare.#server)).port!;
    return bare;
  }

  get pid(): number {
    return this.#server.pid!;
  }

  /** Adds clients, half of them in each of two processes. */
  async connect(count: number): Promise<void> {
    for (const part of [Math.ceil(count / 2), Math.floor(count / 2)]) {
      if (part > 0) await heard(this.#fork("clients", this.#directory, String(part), String(this.#port)));
    }
  }

  /** One message to all clients, until the last has answered, in milliseconds. */
  async fanOut(): Promise<number> {
    const answered = heard(this.#server);
    this.#server.send("fan out");
    return (await answered).ms!;
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #fork(...args: string[]): ChildProcess {
    const child = fork(import.meta.filename, args);
    this.#children.push(child);
    return child;
  }
}

function heard(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void =>
      reject(new Error(`the bare server or its clients ended with ${String(code)}`));
    child.once("exit", onExit);
    child.once("message", (message: Message) => {
      child.off("exit", onExit);
      resolve(message);
    });
  });
}

if (import.meta.main) {
  const [role, directory = "", count = "0", port = "0"] = process.argv.slice(2);
  if (role === "server") serve(directory);
  else if (role === "clients") await dial(directory, Number(count), Number(port));
}
