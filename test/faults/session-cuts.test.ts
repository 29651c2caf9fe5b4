/**
 * The connections of a session cut at random moments, on the operator's side and on the host's, while a program on its
 * terminal writes known text and reads known keys: both directions have the SHA-256 of a run that was not cut.
 * `OUTPOST_FAULT_SEEDS=100` for more than the few that every run takes.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attachment } from "@outpost/controller/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { transcriptText } from "../fixtures/transcript.ts";
import { Playground } from "../kit/playground.ts";
import { Proxy } from "../kit/proxy.ts";
import { random } from "../kit/random.ts";
import { eventually } from "../kit/wait.ts";

const seeds = Number(process.env["OUTPOST_FAULT_SEEDS"] ?? 3);
const outBytes = 400_000;
const inBytes = 60_000;
const transcriptProgram = join(import.meta.dirname, "../fixtures/transcript.ts");

let playground: Playground;
let scratch: string;
let operatorsNetwork: Proxy;
let context: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "outpost-cuts-"));
  playground = await Playground.create({ hosts: ["web1"], proxied: true });
  operatorsNetwork = await Proxy.listen(playground.port);
  context = await playground.anotherContext("cut", operatorsNetwork.port);
}, 60_000);

afterAll(async () => {
  await operatorsNetwork?.[Symbol.asyncDispose]();
  await playground?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** What the attachment has shown so far; it grows while `reading` runs. */
class Shown {
  text = "";
  cuts = 0;
  /** Resolves when `wanted` has been shown. */
  async until(wanted: string): Promise<void> {
    await eventually(() => this.text.includes(wanted), { what: `"${wanted}"`, withinMs: 90_000 });
  }

  async read(attachment: Attachment): Promise<void> {
    let next = 0;
    for await (const event of attachment) {
      if (event.type === "opened" && event.again) this.cuts++;
      if (event.type === "gap") throw new Error(`a gap: ${JSON.stringify(event)}`);
      if (event.type !== "output") continue;
      if (event.offset !== next)
        throw new Error(`output at ${String(event.offset)}, ${String(next)} was due`);
      next += event.bytes.byteLength;
      this.text += Buffer.from(event.bytes).toString("latin1");
    }
  }
}

test.each(Array.from({ length: seeds }, (_, index) => index))(
  "cuts of seed %i lose and double nothing",
  { timeout: 120_000 },
  async (seed) => {
    await playground.connected(["web1"], 60_000);
    const next = random(seed * 104_729 + 7);
    await using client = await playground.client(context);
    await using attachment = await client.enter({
      target: "web1",
      env: { HISTFILE: "/dev/null", HOME: tmpdir() },
    });
    const shown = new Shown();
    const reading = shown.read(attachment);
    reading.catch(() => {});
    const file = join(scratch, `digest-${String(seed)}`);
    await attachment.write(
      Buffer.from(
        `exec '${process.execPath}' '${transcriptProgram}' ${String(seed)} ${String(outBytes)} ${String(inBytes)} '${file}'\r`,
      ),
    );
    await shown.until("<<");

    const keys = transcriptText(`keys ${String(seed)}`, inBytes);
    const typing = (async () => {
      for (let at = 0; at < keys.length;) {
        const size = 1 + Math.floor(next() * 900);
        await attachment.write(Buffer.from(keys.slice(at, at + size)));
        at += size;
        await pause(next() * 12);
      }
    })();
    for (let cuts = 0; cuts < 4; cuts++) {
      await pause(next() * 300);
      // The host's side now and then: its agent waits the longer before it dials again the more often it was cut.
      if (seed % 5 === 0 && cuts === seed % 4) playground.proxy.cut();
      else operatorsNetwork.cut();
    }
    await typing;
    await reading;

    const begin = shown.text.indexOf("<<") + 2;
    const wanted = transcriptText(String(seed), outBytes);
    expect(digest(shown.text.slice(begin, shown.text.indexOf(">>", begin)))).toBe(digest(wanted));
    expect(await readFile(file, "utf8")).toBe(`${digest(keys)} ${String(inBytes)}`);
    expect(shown.cuts).toBeGreaterThan(0);
  },
);
