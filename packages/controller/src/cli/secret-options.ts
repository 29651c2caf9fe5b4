/** Secrets of a job. Their values come from our environment and from files, never from the command line, which others see. */
import type { SecretOptions } from "../client/index.ts";
import { type Given, list } from "./command.ts";
import { unreadableText } from "./unreadable.ts";
import { UsageError } from "./usage-error.ts";

export const secretOptions = {
  "env-secret": list(
    "Give the job this variable of our own environment; it is written down nowhere on its way",
    { argument: "NAME", parse: parseName, sensitive: true },
  ),
  "secret-file": list(
    "Give the job this file's content as an open file, whose path is in its variable NAME; it is written down nowhere on its way",
    { argument: "NAME=PATH", parse: parseFile, complete: "files" },
  ),
} as const;

const pattern = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

function parseName(text: string): string {
  if (text.includes("="))
    throw new Error("is not a variable's name alone; the value is taken from our environment");
  if (!pattern.test(text))
    throw new Error("is not a variable's name (A-Z a-z 0-9 _, not beginning with a digit)");
  return text;
}

function parseFile(text: string): readonly [name: string, path: string] {
  const at = text.indexOf("=");
  const name = text.slice(0, Math.max(0, at));
  if (!pattern.test(name) || at === text.length - 1) throw new Error("is not NAME=PATH");
  return [name, text.slice(at + 1)];
}

/** @param command for errors. @returns undefined when there are none. @throws UsageError for a variable that is not set, or a file that cannot be read */
export async function readSecrets(
  command: string,
  options: Given<typeof secretOptions>["options"],
): Promise<SecretOptions | undefined> {
  if (options["env-secret"].length + options["secret-file"].length === 0) return undefined;
  const env = options["env-secret"].map((name) => [name, variable(command, name)] as const);
  const files = options["secret-file"].map(
    async ([name, path]) => [name, await content(command, path)] as const,
  );
  return { env: Object.fromEntries(env), files: Object.fromEntries(await Promise.all(files)) };
}

function variable(command: string, name: string): string {
  const text = process.env[name];
  if (text === undefined) {
    throw new UsageError(`--env-secret: ${name} is not set in our environment`, command);
  }
  return text;
}

async function content(command: string, path: string): Promise<Uint8Array> {
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(path);
  } catch (error) {
    throw new UsageError(`--secret-file: ${path} ${unreadableText(error)}`, command);
  }
}
