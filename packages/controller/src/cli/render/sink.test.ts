import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { openSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { isBrokenPipe, Sink } from "./sink.ts";

test("writes in order, whoever waits for what", async () => {
  const directory = await mkdtemp(join(tmpdir(), "outpost-sink-"));
  const file = join(directory, "out");
  const fd = openSync(file, "w");
  const sink = new Sink(fd);
  await Promise.all([sink.write("a"), sink.write(new Uint8Array(1_000_000).fill(98)), sink.write("c\n")]);
  closeSync(fd);
  expect(await readFile(file, "latin1")).toBe(`a${"b".repeat(1_000_000)}c\n`);
  expect(sink.endsLine).toBe(true);
  await rm(directory, { recursive: true });
});

/** The fd of a pipe to a child; non-blocking, because Node has made it so. */
function fdOf(child: ReturnType<typeof spawn>): number {
  const { _handle } = child.stdin as unknown as Socket & { _handle: { fd: number } };
  return _handle.fd;
}

test("waits for a slow reader of a non-blocking pipe, and loses nothing", async () => {
  const child = spawn("sh", ["-c", "sleep 0.3; wc -c"], { stdio: ["pipe", "pipe", "inherit"] });
  let counted = "";
  child.stdout.on("data", (chunk: Buffer) => (counted += chunk.toString()));
  await new Sink(fdOf(child)).write(new Uint8Array(3_000_000));
  child.stdin.end();
  await once(child, "close");
  expect(Number(counted)).toBe(3_000_000);
});

test("a reader that has gone is an error of its own kind", async () => {
  const child = spawn("sh", ["-c", "exec 0<&-; echo closed; sleep 10"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.on("error", () => {});
  await once(child.stdout, "data");
  const error = await new Sink(fdOf(child)).write("x").catch((reason: unknown) => reason);
  expect(isBrokenPipe(error)).toBe(true);
  child.kill();
});
