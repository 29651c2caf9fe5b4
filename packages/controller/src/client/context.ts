/**
 * An operator's context: which controller, as whom, with which key. A folder:
 *
 *     context.json     the controller's address, the operator's name
 *     operator.crt     the operator's certificate, then the invitation that it was made with
 *     operator.key     its key, for its owner only
 *     ca.crt           the CAs that the controller's own certificate may come from
 *     operators.crt    the operators' authority: what makes somebody an operator
 *     operators.key    its key, only with who may add operators
 *
 * `contexts.ts` says which of several is in use.
 */
import { access, chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ErrorCode, OperatorName, OutpostError } from "@outpost/protocol";
import * as v from "valibot";

export const ControllerUrl = v.pipe(v.string(), v.regex(/^wss:\/\/[^/]+$/, "is not wss://HOST:PORT"));

const ContextFile = v.object({
  /** `wss://host:port`. */
  controller: ControllerUrl,
  /** How it is reached from other machines, where that differs. */
  reach: v.optional(ControllerUrl),
  /** The operator's name. */
  name: OperatorName,
});

export interface Context extends v.InferOutput<typeof ContextFile> {
  /** The operator's certificate, then the invitation that it was made with if it was; PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  /** The CAs that the controller's certificate may come from, PEM: one, or two while the CA is changed. */
  readonly authority: string;
  /** The certificate of the operators' authority, PEM. */
  readonly operators: string;
  /** The key of the operators' authority, PEM: whoever has it makes operators. */
  readonly operatorsKey?: string | undefined;
}

const fileNames = {
  certificate: "operator.crt",
  key: "operator.key",
  authority: "ca.crt",
  operators: "operators.crt",
} as const;
const operatorsKeyName = "operators.key";
const contextFileName = "context.json";

/** @throws OutpostError `not_found` when there is none, `invalid_argument` when it is damaged, `conflict` when it is one of
 * Outpost 0.1 */
export async function readContext(directory: string): Promise<Context> {
  const file = join(directory, contextFileName);
  const about = await read(directory, contextFileName);
  await refuseOldContext(directory);
  const [certificate, key, authority, operators] = await Promise.all(
    Object.values(fileNames).map((name) => read(directory, name)),
  );
  const operatorsKey = await readFile(join(directory, operatorsKeyName), "utf8").catch(() => undefined);
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), ContextFile), about);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const where = v.getDotPath(issue);
    const what = where === null ? issue.message : `${where} ${issue.message}`;
    throw new OutpostError(ErrorCode.invalidArgument, `${file}: ${what}`, { data: { file } });
  }
  return {
    ...parsed.output,
    certificate: certificate!,
    key: key!,
    authority: authority!,
    operators: operators!,
    ...(operatorsKey === undefined ? {} : { operatorsKey }),
  };
}

/** @throws OutpostError `conflict` when a context of Outpost 0.1 is there: it had no authority of operators */
export async function refuseOldContext(directory: string): Promise<void> {
  const isThere = (name: string): Promise<boolean> =>
    access(join(directory, name)).then(
      () => true,
      () => false,
    );
  const [hasContext, hasOperators] = await Promise.all([
    isThere(contextFileName),
    isThere(fileNames.operators),
  ]);
  if (!hasContext || hasOperators) return;
  throw new OutpostError(
    ErrorCode.conflict,
    `${directory} holds a context of Outpost 0.1, and operators have certificates of another kind since then: sign in anew, ` +
      "with a bundle that `outpost operator add NAME` makes; on the controller's machine, `outpost controller init` takes a " +
      "controller of 0.1 over and makes its first operator",
    { data: { directory } },
  );
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

/** Replaces what is there, file by file. */
export async function writeContext(directory: string, context: Context): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { controller, reach, name, operatorsKey } = context;
  if (operatorsKey !== undefined) await write(join(directory, operatorsKeyName), operatorsKey, 0o600);
  await write(join(directory, fileNames.key), context.key, 0o600);
  await write(join(directory, fileNames.certificate), context.certificate, 0o644);
  await writeAuthority(directory, context.authority);
  await write(join(directory, fileNames.operators), context.operators, 0o644);
  // Last: it says that the others are there.
  const about = { controller, ...(reach === undefined ? {} : { reach }), name };
  await write(join(directory, contextFileName), `${JSON.stringify(about, undefined, 2)}\n`, 0o644);
}

/** @param authority the CAs that the controller's certificate may come from from now on, PEM */
export async function writeAuthority(directory: string, authority: string): Promise<void> {
  await write(join(directory, fileNames.authority), authority, 0o644);
}

/** Whole or not at all, and never readable by others in between. */
async function write(file: string, text: string, mode: number): Promise<void> {
  const partial = `${file}.new`;
  await writeFile(partial, text, { mode });
  await chmod(partial, mode);
  await rename(partial, file);
}
