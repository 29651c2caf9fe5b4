/**
 * Many real agents in one process: `fleet.ts URL TOKEN COUNT DIRECTORY [AFTER]` makes `host<AFTER+1>` and so on. Each has its own certificate, connection and
 * job store; what they share is the process. Prints `enrolled`, connects them when something comes on its standard
 * input, prints `connected`, and ends with its standard input.
 */
import { once } from "node:events";
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

interface Enrolled {
  readonly directory: string;
}

async function enrolOne(url: string, token: string, directory: string, index: number): Promise<Enrolled> {
  const name = v.parse(HostName, `host${String(index)}`);
  const paths = agentPaths(join(directory, name));
  await mkdir(paths.directory, { recursive: true });
  const { host, credentials } = await enrol({ url, token: parseToken(token), name, labels: {}, facts });
  await writeCredentials(paths, credentials);
  await writeConfig(paths, { controller: url, host, name, labels: {} });
  return { directory: paths.directory };
}

async function startOne({ directory }: Enrolled): Promise<Agent> {
  const agent = await Agent.start({ directory, log });
  await agent.connection.connected();
  return agent;
}

/** Does `work` for each item, a few at a time. */
async function forEach<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: atATime }, async () => {
      for (let index = next++; index < items.length; index = next++) results.push(await work(items[index]!));
    }),
  );
  return results;
}

const [url = "", token = "", count = "0", directory = "", after = "0"] = process.argv.slice(2);
const indices = Array.from({ length: Number(count) }, (_, index) => Number(after) + index + 1);
const enrolled = await forEach(indices, (index) => enrolOne(url, token, directory, index));
console.log("enrolled");
await once(process.stdin, "data");
const agents = await forEach(enrolled, startOne);
console.log("connected");
process.stdin.on("end", () => {
  void Promise.all(agents.map((agent) => agent[Symbol.asyncDispose]())).then(() => process.exit(0));
});
