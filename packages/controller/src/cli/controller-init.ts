/** Sets up a controller and its first operator's context. */
import { hostname, networkInterfaces, userInfo } from "node:os";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { defaultContextDirectory, readContext, writeContext } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { controllerDirectory, writeListen } from "./controller-directory.ts";
import { loadServer } from "./load-server.ts";
import { isLocal, type Listen, listenText } from "./listen.ts";
import { quote } from "./quote.ts";
import { print } from "./render/records.ts";

export interface InitOptions {
  readonly directory: string;
  readonly listen: Listen;
  readonly names: readonly string[];
  readonly operator: string | undefined;
  readonly force: boolean;
  readonly output: OutputFormat;
}

/** @returns the exit code. @throws OutpostError `conflict` when there is a controller, or another one's context */
export async function init(options: InitOptions): Promise<number> {
  const { directory, listen, output } = options;
  const contextDirectory = defaultContextDirectory();
  if (!options.force) await refuseToReplace(contextDirectory);
  const names = certificateNames(options);
  const { initController } = await loadServer();
  const { authority, fingerprint, operator } = await initController({
    directory,
    names,
    operatorName: options.operator ?? userInfo().username,
  });
  await writeListen(directory, listenText(listen));
  const { name, certificate, key } = operator;
  const controller = `wss://${listenText(isLocal(listen) ? { ...listen, host: "127.0.0.1" } : listen)}`;
  await writeContext(contextDirectory, { controller, name, certificate, key, authority });
  const reach = `wss://${listenText({ host: options.names[0] ?? hostname(), port: listen.port })}`;
  const document = {
    directory,
    fingerprint,
    names,
    listen: listenText(listen),
    controller,
    contextDirectory,
    operator: { id: operator.id, name },
  };
  await print(output, { json: document, text: () => asText(document, reach) });
  return 0;
}

/** A context that is there is another controller's: this one is only being made. */
async function refuseToReplace(contextDirectory: string): Promise<void> {
  const present = await readContext(contextDirectory).catch(() => undefined);
  if (present === undefined) return;
  throw new OutpostError(
    ErrorCode.conflict,
    `${contextDirectory} holds the context of ${present.name} at ${present.controller}. Replace it with --force, or ` +
      "keep the new one elsewhere with OUTPOST_CONTEXT_DIR",
    { data: { contextDirectory, controller: present.controller } },
  );
}

function certificateNames({ names, listen }: InitOptions): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    // A link-local address means nothing without its interface.
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .map(({ address }) => address);
  const own = [hostname(), "localhost", "127.0.0.1", "::1", ...addresses];
  const listening = isLocal(listen) ? [] : [listen.host];
  return [...new Set([...names, ...listening, ...own])];
}

interface InitDocument {
  readonly directory: string;
  readonly fingerprint: string;
  readonly listen: string;
  readonly contextDirectory: string;
  readonly operator: { readonly name: string };
}

function asText(done: InitDocument, reach: string): string {
  const dir = done.directory === controllerDirectory(undefined) ? "" : ` --dir ${quote(done.directory)}`;
  return [
    `The controller is set up in ${done.directory}; it will listen at ${done.listen}.`,
    `Its CA has the SHA-256 fingerprint ${done.fingerprint}.`,
    `The context of the operator ${done.operator.name} is in ${done.contextDirectory}.`,
    "",
    "Next:",
    `  outpost controller start${dir}`,
    "  outpost token create",
    `  outpost-agent join ${reach} --token …     # on a host, then: outpost-agent start`,
  ].join("\n");
}
