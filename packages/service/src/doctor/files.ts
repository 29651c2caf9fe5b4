/** Whether files that hold secrets are their owner's alone. */
import { lstat, stat, statfs } from "node:fs/promises";
import { type Answer, ok, problem, skipped, warning } from "./examination.ts";

export interface SecretFiles {
  /** A directory that nobody else may write to. */
  readonly directory: string;
  /** Files that nobody else may read, absolute; those that are not there are passed over. */
  readonly secrets: readonly string[];
}

const readableByOthers = 0o077;
const writableByOthers = 0o022;

export async function lookAtModes({ directory, secrets }: SecretFiles): Promise<Answer> {
  const open: string[] = [];
  let checked = 0;
  for (const file of secrets) {
    const found = await lstat(file).catch(() => undefined);
    if (found === undefined) continue;
    checked++;
    if ((found.mode & readableByOthers) !== 0) open.push(file);
  }
  if (open.length > 0) {
    return problem(
      `others may read ${open.join(", ")}`,
      `chmod 600 ${open.join(" ")}; if somebody else has been on this machine, take the key for stolen`,
      { files: open },
    );
  }
  const { mode } = await stat(directory);
  if ((mode & writableByOthers) !== 0) {
    return problem(`others may write to ${directory}, and replace what is in it`, `chmod 700 ${directory}`, {
      files: [directory],
    });
  }
  return ok(
    checked === 1 ? "the key is its owner's alone" : `${String(checked)} keys are their owner's alone`,
  );
}

/** With less than this free, something is about to fail, in bytes. */
const littleBytes = 100 * 1024 * 1024;

/** @param needed what has to stay free, in bytes; with less, nothing is started */
export async function lookAtDisk(directory: string, needed = 0): Promise<Answer> {
  const found = await statfs(directory).catch(() => undefined);
  if (found === undefined) return skipped(`the file system of ${directory} does not say how much is free`);
  const free = found.bavail * found.bsize;
  const data = { freeBytes: free, neededBytes: needed };
  const text = `${gibibytes(free)} are free where ${directory} is`;
  const advice = `make room there: \`du -xh ${directory} | sort -h | tail\` shows what takes it`;
  if (free <= needed)
    return problem(`${text}, and ${gibibytes(needed)} must stay free: nothing can be started`, advice, data);
  return free < needed + littleBytes ? warning(text, advice, data) : ok(text, data);
}

function gibibytes(bytes: number): string {
  return bytes >= 1 << 30 ? `${(bytes / (1 << 30)).toFixed(1)} GiB` : `${(bytes / (1 << 20)).toFixed(0)} MiB`;
}
