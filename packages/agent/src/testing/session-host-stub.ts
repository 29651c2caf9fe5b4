/**
 * Stands for the session host where only its start matters: listens, says who it is, and echoes nothing.
 *
 *     node session-host-stub.ts AGENT_DIRECTORY        what it does is in AGENT_DIRECTORY/stub: listen, fail or silent
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listenUnixSocket } from "@outpost/protocol/unix-socket";
import { agentPaths } from "../directory.ts";

const paths = agentPaths(process.argv[2]!);
switch (readFileSync(join(paths.directory, "stub"), "utf8")) {
  case "listen":
    await listenUnixSocket(paths.sessionHostSocket, (socket) =>
      socket.start({ message: () => {}, drained: () => {}, closed: () => {} }),
    );
    writeFileSync(
      join(paths.directory, "told"),
      JSON.stringify({ pid: process.pid, cwd: process.cwd(), env: process.env, args: process.argv.slice(2) }),
    );
    break;
  case "fail":
    process.stderr.write("first\nsecond\nthere is no PTY to be had\n");
    process.exit(3);
    break;
  case "silent":
    writeFileSync(join(paths.directory, "told"), JSON.stringify({ pid: process.pid }));
    setInterval(() => {}, 60_000);
}
