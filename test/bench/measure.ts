/** Timing whole processes, and saying it in words. */
import { spawn } from "node:child_process";

export interface Command {
  readonly argv: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a command, throws its output away, and returns its wall time from exec to exit in milliseconds. @throws when it fails */
export function wallMs({ argv, env = process.env }: Command): Promise<number> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const child = spawn(argv[0]!, argv.slice(1), { env, stdio: ["ignore", "ignore", "pipe"] });
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-500)));
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code === 0) resolve(performance.now() - begun);
      else reject(new Error(`${argv.slice(0, 4).join(" ")} … exited with ${String(code)}: ${complaint}`));
    });
  });
}

/** Runs a command and returns how many bytes per second came out of its stdout. */
export function bytesPerSecond({ argv, env = process.env }: Command, expected: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const child = spawn(argv[0]!, argv.slice(1), { env, stdio: ["ignore", "pipe", "inherit"] });
    let count = 0;
    child.stdout.on("data", (chunk: Buffer) => (count += chunk.length));
    child.on("error", reject);
    child.on("close", () => {
      if (count === expected) resolve((count / (performance.now() - begun)) * 1000);
      else
        reject(
          new Error(`${argv.slice(0, 4).join(" ")} … gave ${String(count)} of ${String(expected)} bytes`),
        );
    });
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** Runs several measurements in turn, A B C A B C …, so that a machine whose speed drifts is fair to all. One warm-up each. */
export async function inTurn(
  measurements: Readonly<Record<string, (() => Promise<number>) | undefined>>,
  rounds: number,
): Promise<Record<string, number>> {
  const present = Object.entries(measurements).filter(
    (entry): entry is [string, () => Promise<number>] => entry[1] !== undefined,
  );
  const values = new Map(present.map(([name]) => [name, [] as number[]]));
  for (const [, measure] of present) await measure();
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of present) values.get(name)!.push(await measure());
  }
  return Object.fromEntries([...values].map(([name, list]) => [name, median(list)]));
}
