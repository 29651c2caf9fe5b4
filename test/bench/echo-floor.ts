/**
 * The least that a terminal over a relay can cost: raw standard input → wss → a relay → wss → a PTY with bash, and back.
 * No protocol, no log, no emulator. Three processes: `relay`, `host`, `client`. With `owner`, a fourth owns the PTY, so that
 * it could outlive the one that dials, which is then `agent`: what Outpost's processes cost if they did nothing.
 */
import { createServer } from "node:https";
import { connect, createServer as createUnixServer } from "node:net";
import { join } from "node:path";
import { spawn } from "@lydell/node-pty";
import { WebSocket, WebSocketServer } from "ws";
import { credentials } from "./certificate.ts";

let port = 0;

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

const ownerSocket = (directory: string): string => join(directory, "owner.sock");

function owner(directory: string): void {
  const server = createUnixServer((socket) => {
    const shell = spawn("bash", ["--norc", "--noprofile"], { name: "xterm-256color", encoding: null });
    shell.onData((data) => socket.write(data));
    socket.on("data", (data) => shell.write(data.toString()));
  });
  server.listen(ownerSocket(directory), () => console.log("ready"));
}

function agent(directory: string): void {
  const socket = dial(directory, "host");
  const local = connect(ownerSocket(directory));
  local.on("data", (data) => socket.readyState === WebSocket.OPEN && socket.send(data));
  socket.on("message", (data: Buffer) => local.write(data));
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
  const [role, directory = "", text = "0"] = process.argv.slice(2);
  port = Number(text);
  if (role === "relay") relay(directory);
  else if (role === "host") host(directory);
  else if (role === "owner") owner(directory);
  else if (role === "agent") agent(directory);
  else if (role === "client") client(directory);
}
