/**
 * The least that a terminal over a relay can cost: raw standard input → wss → a relay → wss → a PTY with bash, and back.
 * No protocol, no log, no emulator. Three processes, as Outpost has at least: `relay`, `host`, `client`.
 */
import { createServer } from "node:https";
import { spawn } from "@lydell/node-pty";
import { WebSocket, WebSocketServer } from "ws";
import { credentials } from "./certificate.ts";

const port = 17_444;

function relay(directory: string): void {
  const server = createServer({ ...credentials(directory), minVersion: "TLSv1.3", requestCert: true });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  let host: WebSocket | undefined;
  let client: WebSocket | undefined;
  sockets.on("connection", (socket, request) => {
    if (request.url === "/host") {
      host = socket;
      socket.on("message", (data) => client?.send(data));
    } else {
      client = socket;
      socket.on("message", (data) => host?.send(data));
    }
  });
  server.listen(port, "127.0.0.1", () => console.log("ready"));
}

function dial(directory: string, role: string): WebSocket {
  const socket = new WebSocket(`wss://localhost:${String(port)}/${role}`, {
    ...credentials(directory),
    perMessageDeflate: false,
  });
  socket.binaryType = "nodebuffer";
  return socket;
}

function host(directory: string): void {
  const socket = dial(directory, "host");
  const shell = spawn("bash", ["--norc", "--noprofile"], { name: "xterm-256color", encoding: null });
  // With `encoding: null` these are bytes, whatever the type says.
  shell.onData((data) => socket.readyState === WebSocket.OPEN && socket.send(data));
  socket.on("message", (data: Buffer) => shell.write(data.toString()));
  socket.on("open", () => console.log("ready"));
}

function client(directory: string): void {
  const socket = dial(directory, "client");
  process.stdin.setRawMode(true);
  socket.on("open", () => {
    process.stdin.on("data", (data) => socket.send(data));
    // For a prompt: the first one came before us.
    socket.send("\r");
  });
  socket.on("message", (data: Buffer) => process.stdout.write(data));
  socket.on("close", () => process.exit());
}

if (import.meta.main) {
  const [role, directory = ""] = process.argv.slice(2);
  if (role === "relay") relay(directory);
  else if (role === "host") host(directory);
  else if (role === "client") client(directory);
}
