/** An operator's context: which controller, as whom, with which key. A folder of four files, the key for its owner only. */
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import * as v from "valibot";

const ContextFile = v.object({
  /** `wss://host:port`. */
  controller: v.pipe(v.string(), v.regex(/^wss:\/\/[^/]+$/, "is not wss://HOST:PORT")),
  /** The operator's name. */
  name: v.string(),
});

export interface Context {
  /** `wss://host:port`. */
  readonly controller: string;
  /** The operator's name, for messages; who it is stands in the certificate. */
  readonly name: string;
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  /** The certificate of the controller's CA, PEM. */
  readonly authority: string;
}

const fileNames = {
  certificate: "operator.crt",
  key: "operator.key",
  authority: "ca.crt",
} as const;
const contextFileName = "context.json";

/** `$OUTPOST_CONTEXT_DIR`, else `~/.config/outpost`. */
export function defaultContextDirectory(): string {
  return process.env["OUTPOST_CONTEXT_DIR"] ?? join(homedir(), ".config", "outpost");
}

/** @throws OutpostError `not_found` when there is none, `invalid_argument` when it is damaged */
export async function readContext(directory = defaultContextDirectory()): Promise<Context> {
  const file = join(directory, contextFileName);
  const [about, certificate, key, authority] = await Promise.all(
    [contextFileName, fileNames.certificate, fileNames.key, fileNames.authority].map((name) =>
      read(directory, name),
    ),
  );
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), ContextFile), about);
  if (!parsed.success) {
    throw new OutpostError(ErrorCode.invalidArgument, `${file}: ${parsed.issues[0].message}`);
  }
  return { ...parsed.output, certificate: certificate!, key: key!, authority: authority! };
}

async function read(directory: string, name: string): Promise<string> {
  try {
    return await readFile(join(directory, name), "utf8");
  } catch (cause) {
    throw new OutpostError(
      ErrorCode.notFound,
      `there is no operator's context in ${directory} (${name} cannot be read)`,
      { cause, data: { directory } },
    );
  }
}

/** Replaces what is there. */
export async function writeContext(directory: string, context: Context): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { controller, name } = context;
  await write(join(directory, fileNames.key), context.key, 0o600);
  await write(join(directory, fileNames.certificate), context.certificate, 0o644);
  await write(join(directory, fileNames.authority), context.authority, 0o644);
  // Last: it says that the others are there.
  await write(
    join(directory, contextFileName),
    `${JSON.stringify({ controller, name }, undefined, 2)}\n`,
    0o644,
  );
}

/** Whole or not at all, and never readable by others in between. */
async function write(file: string, text: string, mode: number): Promise<void> {
  const partial = `${file}.new`;
  await writeFile(partial, text, { mode });
  await chmod(partial, mode);
  await rename(partial, file);
}
