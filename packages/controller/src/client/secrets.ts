/** Secrets on their way into a job. No message of ours holds a value of theirs. */
import { randomBytes } from "node:crypto";
import { ErrorCode, OutpostError, Secrets } from "@outpost/protocol";
import * as v from "valibot";

/** What reaches the job and is written down nowhere: neither at the controller nor on the host. */
export interface SecretOptions {
  /** Environment variables. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Each is given to the job as an open file; the environment variable of that name holds its path. */
  readonly files?: Readonly<Record<string, Uint8Array>> | undefined;
}

const saltBytes = 32;

/** @returns undefined when there are none. @throws OutpostError `invalid_argument`, without any value */
export function secretsOf({ env = {}, files = {} }: SecretOptions): Secrets | undefined {
  const names = [...Object.keys(env), ...Object.keys(files)];
  if (names.length === 0) return undefined;
  const secrets = v.safeParse(Secrets, {
    salt: randomBytes(saltBytes),
    env: { ...env },
    files: { ...files },
  });
  if (!secrets.success) {
    const [issue] = secrets.issues;
    const name = issue.path?.[1]?.key;
    const which = typeof name === "string" ? `the secret ${name}` : "the secrets";
    throw new OutpostError(ErrorCode.invalidArgument, `${which} ${issue.message}`);
  }
  const twice = Object.keys(env).find((name) => Object.hasOwn(files, name));
  if (twice === undefined) return secrets.output;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `the secret ${twice} is given twice, as a value and as a file`,
  );
}
