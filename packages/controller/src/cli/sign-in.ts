/** Signs in, and puts the new context to use. */
import { Contexts, decodeBundle, isBundle, signIn } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { contextNameFor } from "./context-name.ts";
import { readLocalText } from "./local-text.ts";
import { print } from "./render/records.ts";
import { unreadableText } from "./unreadable.ts";
import { UsageError } from "./usage-error.ts";

export interface SignInCommandOptions {
  readonly context: string | undefined;
  readonly controller: string | undefined;
  readonly force: boolean;
  readonly output: OutputFormat;
}

/** @returns the exit code. @throws OutpostError as `signIn` */
export async function signInWith(source: string, options: SignInCommandOptions): Promise<number> {
  const { controller, force, output } = options;
  const contexts = new Contexts();
  if (contexts.fixed !== undefined && options.context !== undefined) {
    throw new UsageError("OUTPOST_CONTEXT_DIR says already which folder the context goes to", "sign-in");
  }
  const bundle = await read(source);
  const name = options.context ?? contextNameFor(controller ?? decodeBundle(bundle).controller);
  const directory = contexts.fixed ?? contexts.directory(name);
  if (contexts.fixed === undefined) await contexts.prepare();
  const before = await contexts.nameInUse();
  const context = await signIn({ bundle, directory, controller, force });
  const named = contexts.fixed === undefined ? { context: name } : {};
  if (contexts.fixed === undefined) await contexts.use(name);
  await print(output, {
    json: { operator: context.name, controller: context.controller, directory, ...named },
    text: () => {
      const done = `signed in as ${context.name} at ${context.controller}`;
      if (contexts.fixed !== undefined) return `${done}; the context is in ${directory}`;
      const back =
        before === undefined || before === name ? "" : ` Back to ${before}: outpost context use ${before}`;
      return `${done}; the context ${name} is in use.${back}`;
    },
  });
  return 0;
}

async function read(source: string): Promise<string> {
  if (isBundle(source)) return source;
  try {
    return await readLocalText(source);
  } catch (error) {
    throw new UsageError(`${source} is no bundle, and as a file it ${unreadableText(error)}`, "sign-in");
  }
}
