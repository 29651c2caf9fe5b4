/** How many jobs a second one agent starts and sees through to their end. */
import { spawn } from "node:child_process";
import type { Playground } from "../kit/playground.ts";

const inFlight = 8;

/** Runs `work` `count` times, eight at a time, and returns how often per second. */
async function perSecond(count: number, work: () => Promise<void>): Promise<number> {
  let left = count;
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (left-- > 0) await work();
    }),
  );
  return (count / (performance.now() - begun)) * 1000;
}

/** Whole jobs: asked for by a client, started, ended, received and forgotten. */
export async function startsPerSecond(playground: Playground, count: number): Promise<number> {
  await using client = await playground.client();
  const one = async (): Promise<void> => {
    const job = await client.start({
      targets: "web1",
      command: { kind: "exec", argv: ["true"] },
      receiving: true,
    });
    for await (const event of job.receive({ follow: true })) {
      if (event.type === "exit" && event.state !== "completed")
        throw new Error(`a job of true ${event.state}`);
    }
  };
  await perSecond(100, one);
  return await perSecond(count, one);
}

export function spawnsPerSecond(count: number): Promise<number> {
  return perSecond(
    count,
    () =>
      new Promise((resolve) =>
        spawn("/bin/sh", ["-c", "/bin/true; :"], { stdio: "ignore", detached: true }).once("exit", () =>
          resolve(),
        ),
      ),
  );
}
