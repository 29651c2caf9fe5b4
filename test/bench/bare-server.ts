/**
 * What a WebSocket server over mutual TLS takes per connection before it is a controller: the floor for ours.
 * As a program it is that server (`server`) or its clients (`clients COUNT`); as a module it runs both and measures.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket, WebSocketServer } from "ws";
import { credentials, makeCertificate } from "./certificate.ts";

const port = 17_443;

function serve(directory: string): void {
  const server = createServer({ ...credentials(directory), minVersion: "TLSv1.3", requestCert: true });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: false });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
  server.listen(port, "127.0.0.1", () => console.log("ready"));
}

async function dial(directory: string, count: number): Promise<void> {
  const tls = credentials(directory);
  for (let at = 0; at < count; at += 16) {
    await Promise.all(
      Array.from({ length: Math.min(16, count - at) }, () => {
        const socket = new WebSocket(`wss://localhost:${String(port)}`, { ...tls, perMessageDeflate: false });
        return new Promise((resolve, reject) => {
          socket.on("error", reject);
          socket.on("open", () => socket.send("hello"));
          socket.on("message", resolve);
        });
      }),
    );
  }
  console.log("ready");
}

function run(...args: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [import.meta.filename, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    child.stdout.on("data", () => resolve(child));
    child.on("exit", (code) => reject(new Error(`the bare server's ${args[0]!} ended with ${String(code)}`)));
  });
}

/** KiB per connection. @param rssMiB the resident memory of a process in MiB */
export async function bareServer(count: number, rssMiB: (pid: number) => number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "outpost-bare-"));
  const children: ChildProcess[] = [];
  try {
    makeCertificate(directory);
    const server = await run("server", directory);
    children.push(server);
    // As with the controller: a few connections first, so that what is loaded once is not counted.
    children.push(await run("clients", directory, "10"));
    const before = rssMiB(server.pid!);
    children.push(await run("clients", directory, String(count)));
    return ((rssMiB(server.pid!) - before) * 1024) / count;
  } finally {
    for (const child of children) child.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const [role, directory = "", count = "0"] = process.argv.slice(2);
  if (role === "server") serve(directory);
  else if (role === "clients") await dial(directory, Number(count));
}
