/** Sets up a controller and its first operator's context. */
import { mkdir, rmdir } from "node:fs/promises";
import { hostname, networkInterfaces, userInfo } from "node:os";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { type Context, Contexts, readContext, writeContext } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { contextNameFor } from "./context-name.ts";
import { controllerDirectory, writeStartSettings } from "./controller-directory.ts";
import { loadServer } from "./load-server.ts";
import { isLocal, type Listen, listenText } from "./listen.ts";
import type { MetricsOffer } from "./metrics-option.ts";
import { quote } from "./quote.ts";
import { fingerprintText } from "./render/certificate-text.ts";
import { print } from "./render/records.ts";
import { UsageError } from "./usage-error.ts";

export interface InitOptions {
  readonly directory: string;
  readonly listen: Listen;
  /** Default off. */
  readonly metrics?: MetricsOffer | undefined;
  readonly names: readonly string[];
  readonly operator: string | undefined;
  /** What the operator's context is to be called. */
  readonly context: string | undefined;
  readonly force: boolean;
  readonly output: OutputFormat;
}

/** @returns the exit code. @throws OutpostError `conflict` when there is a controller, or another one's context */
export async function init(options: InitOptions): Promise<number> {
  const document = await setUp(options);
  await print(options.output, { json: document, text: () => asText(document) });
  return 0;
}

/** What `init` does, without a word. @throws OutpostError as `init` */
export async function setUp(options: Omit<InitOptions, "output">): Promise<InitDocument> {
  const { directory, listen, metrics, names: given } = options;
  const place = await contextPlace(options);
  const names = certificateNames(options);
  const { initController } = await loadServer();
  const controller = `wss://${listenText(isLocal(listen) ? { ...listen, host: "127.0.0.1" } : listen)}`;
  const host = given[0] ?? (isOnlyLocal(listen) ? undefined : hostname());
  const reach = host === undefined ? controller : `wss://${listenText({ host, port: listen.port })}`;
  const { fingerprint, operator, isUpgrade } = await initController({
    directory,
    names,
    operatorName: options.operator ?? userInfo().username,
    keep: ({ authority, operators, operator: { name, certificate, key } }) =>
      place.write({
        controller,
        ...(reach === controller ? {} : { reach }),
        name,
        certificate,
        key,
        authority,
        operators: operators.certificate,
        operatorsKey: operators.key,
      }),
  }).catch(async (error: unknown) => {
    // Only when it is empty: what was there stays.
    await rmdir(place.directory).catch(() => {});
    throw error;
  });
  await writeStartSettings(directory, { listen, metrics });
  return {
    directory,
    fingerprint,
    names,
    listen: listenText(listen),
    controller,
    reach,
    ...(place.name === undefined ? {} : { context: place.name }),
    contextDirectory: place.directory,
    operator: { id: operator.id, name: operator.name },
    isUpgrade,
  };
}

interface ContextPlace {
  readonly directory: string;
  /** Absent for the folder that OUTPOST_CONTEXT_DIR names. */
  readonly name?: string;
  /** Writes the context and puts it to use. */
  readonly write: (context: Context) => Promise<void>;
}

/** Found, and made, before anything else: the key of the operators' authority exists nowhere else, and must have a place.
 * @throws OutpostError `conflict` when it is taken */
async function contextPlace({
  context,
  names,
  force,
}: Pick<InitOptions, "context" | "names" | "force">): Promise<ContextPlace> {
  const contexts = new Contexts();
  const { fixed } = contexts;
  if (fixed !== undefined && context !== undefined) {
    throw new UsageError(
      "OUTPOST_CONTEXT_DIR says already which folder the context goes to",
      "controller init",
    );
  }
  const name = context ?? contextNameFor(`wss://${names[0] ?? ""}`);
  const directory = fixed ?? contexts.directory(name);
  await refuseToReplace(directory, force);
  if (fixed === undefined) await contexts.prepare();
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (fixed !== undefined) return { directory, write: (made) => writeContext(directory, made) };
  return {
    directory,
    name,
    write: async (made) => {
      await writeContext(directory, made);
      await contexts.use(name);
    },
  };
}

/** A context that is there is another controller's: this one is only being made. */
async function refuseToReplace(directory: string, force: boolean): Promise<void> {
  const elsewhere = "keep the new one elsewhere with --context NAME (or OUTPOST_CONTEXT_DIR)";
  let present: Context;
  try {
    present = await readContext(directory);
  } catch (error) {
    const { code, message } = OutpostError.from(error);
    // Nothing, or something that is no context any more.
    if (code === ErrorCode.notFound || force) return;
    throw new OutpostError(ErrorCode.conflict, `${message}. Replace it with --force, or ${elsewhere}`, {
      data: { contextDirectory: directory },
    });
  }
  const whose = `${directory} holds the context of ${present.name} at ${present.controller}`;
  const data = { contextDirectory: directory, controller: present.controller };
  if (present.operatorsKey !== undefined) {
    throw new OutpostError(
      ErrorCode.conflict,
      `${whose}, and the key of its operators' authority (operators.key), which cannot be made again: ${elsewhere}, or take that folder away`,
      { data },
    );
  }
  if (force) return;
  throw new OutpostError(ErrorCode.conflict, `${whose}. Replace it with --force, or ${elsewhere}`, { data });
}

/** Whether nobody but this machine can reach it. */
function isOnlyLocal(listen: Listen): boolean {
  return isLocal(listen) && !["0.0.0.0", "::"].includes(listen.host);
}

function certificateNames({ names, listen }: Pick<InitOptions, "names" | "listen">): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    // A link-local address means nothing without its interface.
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .map(({ address }) => address);
  const own = [hostname(), "localhost", "127.0.0.1", "::1", ...addresses];
  const listening = isLocal(listen) ? [] : [listen.host];
  return [...new Set([...names, ...listening, ...own])];
}

/** What was set up. */
export interface InitDocument {
  readonly directory: string;
  readonly fingerprint: string;
  readonly names: readonly string[];
  readonly listen: string;
  /** How this machine reaches it, and how others do. */
  readonly controller: string;
  readonly reach: string;
  readonly context?: string;
  readonly contextDirectory: string;
  readonly operator: { readonly id: string; readonly name: string };
  readonly isUpgrade: boolean;
}

function asText(done: InitDocument): string {
  const dir = done.directory === controllerDirectory(undefined) ? "" : ` --dir ${quote(done.directory)}`;
  return [
    done.isUpgrade
      ? `The controller of version 0.1 in ${done.directory} has what it needs now; its hosts and jobs are still there.`
      : `The controller is set up in ${done.directory}; it will listen at ${done.listen}.`,
    ...identityText(done),
    "",
    "Next:",
    `  outpost controller start${dir}`,
    "  outpost token create",
    `  outpost-agent join ${done.reach} --token …     # on a host, then: outpost-agent start`,
  ].join("\n");
}

/** What the operator has to know of who is who now. */
export function identityText({ fingerprint, operator, contextDirectory }: InitDocument): readonly string[] {
  return [
    `Its CA has the SHA-256 fingerprint ${fingerprintText(fingerprint)}.`,
    `The context of the operator ${operator.name} is in ${contextDirectory}.`,
    "operators.key in it makes operators, whom every host obeys as the policy says, and exists only there. Keep a copy in a",
    "safe place; once other operators have been added, take it off this machine.",
  ];
}
