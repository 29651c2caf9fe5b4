/**
 * Many real agents in one process: `fleet.ts URL TOKEN COUNT DIRECTORY [AFTER]` makes `host<AFTER+1>` and so on. Each has its own certificate, connection and
 * job store; what they share is the process. Prints `ready` when all are connected, and ends with its standard input.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Agent, agentPaths, enrol, parseToken, writeConfig, writeCredentials } from "@outpost/agent";
import { HostName } from "@outpost/protocol";
import { pino } from "pino";
import * as v from "valibot";

const log = pino({ level: "error" }, pino.destination(2));
/** How many enrol or connect at a time: the handshakes are what costs. */
const atATime = 16;

const facts = {
  platform: process.platform,
  os: "a host of the fleet",
  kernel: "0",
  arch: process.arch,
  hostname: "fleet",
  cpus: 1,
  memoryBytes: 0,
  agentVersion: "0",
  bootId: "fleet",
};

async function startOne(url: string, token: string, directory: string, index: number): Promise<Agent> {
  const name = v.parse(HostName, `host${String(Number(after) + index)}`);
  const paths = agentPaths(join(directory, name));
  await mkdir(paths.directory, { recursive: true });
  const { host, credentials } = await enrol({ url, token: parseToken(token), name, labels: {}, facts });
  await writeCredentials(paths, credentials);
  await writeConfig(paths, { controller: url, host, name, labels: {} });
  const agent = await Agent.start({ directory: paths.directory, log });
  await agent.connection.connected();
  return agent;
}

const [url = "", token = "", count = "0", directory = "", after = "0"] = process.argv.slice(2);
const agents: Agent[] = [];
let next = 1;
await Promise.all(
  Array.from({ length: atATime }, async () => {
    for (let index = next++; index <= Number(count); index = next++) {
      agents.push(await startOne(url, token, directory, index));
    }
  }),
);
console.log("ready");
process.stdin.resume();
process.stdin.on("end", () => {
  void Promise.all(agents.map((agent) => agent[Symbol.asyncDispose]())).then(() => process.exit(0));
});
