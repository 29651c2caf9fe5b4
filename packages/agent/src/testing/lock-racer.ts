/** A process that tries to lock whatever file it reads on stdin, and says how that went. Keeps what it got. */
import { createInterface } from "node:readline";
import { OutpostError } from "@outpost/protocol";
import { DirectoryLock } from "../lock.ts";
import { hostPlatform } from "../platform/index.ts";

const platform = hostPlatform();

process.stdout.write("ready\n");
for await (const file of createInterface({ input: process.stdin })) {
  try {
    DirectoryLock.acquire(file, platform);
    process.stdout.write("held\n");
  } catch (error) {
    process.stdout.write(`${OutpostError.from(error).code}\n`);
  }
}
