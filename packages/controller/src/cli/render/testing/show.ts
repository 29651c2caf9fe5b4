/**
 * Shows a synthetic job, as `outpost` would: `node show.ts '{"job": "fleet", "hosts": 40, "format": "group"}'`. For tests that look at a
 * terminal, a pipe or the memory of a whole process, and for people who look at it.
 */
import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { JobEvent } from "../../../client/index.ts";
import type { RendererOptions } from "../renderer.ts";
import { rendererFor } from "../renderer-for.ts";
import { stdout } from "../sink.ts";
import { names, randomFrom, syntheticEvents, syntheticJobId, type SyntheticAnswer } from "./synthetic.ts";

interface Asked extends Partial<RendererOptions> {
  /** `fleet`: most say the same, some fail · `json`: a JSON object each · `same`, `different`: `bytes` each · `lines`: a line each */
  readonly job: "fleet" | "json" | "same" | "different" | "lines";
  readonly hosts: number;
  readonly bytes?: number;
  /** How long it takes between two hosts' ends, in milliseconds. */
  readonly paceMs?: number;
  /** After so many events it waits for an interruption. */
  readonly waitsAfter?: number;
  /** Writes the process's largest memory, in MiB, to stderr. */
  readonly tellsMemory?: boolean;
}

const asked = JSON.parse(process.argv[2] ?? "{}") as Asked;

function answer(host: string, index: number): SyntheticAnswer {
  const random = randomFrom(index);
  switch (asked.job) {
    case "fleet":
      if (index % 17 === 5) return { stderr: `cat: /etc/release: No such file\n`, end: 1 };
      if (index % 23 === 7) return { end: "unreachable" };
      if (index % 31 === 9) return { stdout: "Debian 12\nkernel 6.1.0-17\nup 12 days\n" };
      if (index % 41 === 11)
        return { stdout: "Debian 13\nkernel 6.12.9\n", stderr: "slow disk\n", end: "timed out" };
      return { stdout: "Debian 13\nkernel 6.12.9\nup 12 days\n" };
    case "json":
      return {
        stdout: `${JSON.stringify({ disk: `/dev/sd${host.at(-1)!}`, used: Math.floor(random() * 100) })}\n`,
      };
    case "lines":
      return {
        stdout: `${host} up ${String(Math.floor(random() * 100))} days\n`,
        end: index % 9 === 3 ? 3 : 0,
      };
    case "same":
      return { stdout: Buffer.alloc(asked.bytes ?? 1000, "the same line\n") };
    case "different":
      return { stdout: randomBytes(asked.bytes ?? 1000) };
    default:
      return asked.job satisfies never;
  }
}

/** Made one after another: a thousand answers at once would be the memory that is measured. */
function* large(hosts: readonly string[]): Generator<JobEvent, void, void> {
  for (const [index, host] of hosts.entries()) {
    for (const event of syntheticEvents({
      seed: 1,
      hosts: [host],
      answer: () => answer(host, index),
      maxChunkBytes: 65_536,
    })) {
      if (event.type !== "plan" && event.type !== "summary") yield event;
    }
  }
}

function* events(): Generator<JobEvent, void, void> {
  const hosts = names("web", asked.hosts);
  if (asked.job !== "same" && asked.job !== "different") {
    yield* syntheticEvents({ seed: 1, hosts, answer });
    return;
  }
  yield* syntheticEvents({ seed: 1, hosts, answer: () => ({ end: "silent" }), summary: false });
  yield* large(hosts);
  yield* [...syntheticEvents({ seed: 1, hosts: [], answer })].slice(1);
}

const renderer = await rendererFor({ timestamps: false, format: "stream", ...asked });
const startedAt = performance.now();
let count = 0;
for (const event of events()) {
  await renderer.event(event);
  if (event.type === "exit" && asked.paceMs !== undefined) await setTimeout(asked.paceMs);
  if (++count === asked.waitsAfter) {
    const interrupted = new Promise((resolve) => process.once("SIGINT", resolve));
    const alive = setInterval(() => {}, 1_000);
    await stdout.write("");
    process.send?.("waiting");
    await interrupted;
    clearInterval(alive);
    await renderer.interrupted();
    break;
  }
}
await renderer.finish();
if (asked.tellsMemory === true) {
  const tookMs = performance.now() - startedAt;
  const document = { job: syntheticJobId, maxRssKiB: process.resourceUsage().maxRSS, tookMs };
  process.stderr.write(`${JSON.stringify(document)}\n`);
}
