/** The contexts of this machine: listed, shown, put to use and forgotten. */
import { type Context, type ContextEntry, Contexts, ExitCode, readContext } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { confirm } from "./confirm.ts";
import { durationText } from "./duration.ts";
import { endingCertificateText, fingerprints, fingerprintText, firstEnd } from "./render/certificate-text.ts";
import { printable } from "./render/printable.ts";
import { print } from "./render/records.ts";
import { say } from "./render/sink.ts";
import { table } from "./render/table.ts";

/** @returns the exit code */
export async function listContexts(format: OutputFormat): Promise<number> {
  const contexts = new Contexts();
  const entries = await contexts.list();
  const documents = entries.map(({ name, directory, inUse, context, problem }) => ({
    name,
    directory,
    inUse: inUse && contexts.fixed === undefined,
    ...(context === undefined ? { problem } : aboutContext(context)),
  }));
  await print(format, { json: { contexts: documents }, records: documents, text: () => asTable(entries) });
  if (contexts.fixed !== undefined && format === "text") {
    await say(`none of them is used: OUTPOST_CONTEXT_DIR is ${contexts.fixed}`);
  }
  return ExitCode.succeeded;
}

function asTable(entries: readonly ContextEntry[]): string {
  if (entries.length === 0)
    return "no contexts; outpost sign-in makes one of a bundle, outpost controller init the first";
  const now = Date.now();
  return table({
    head: ["", "NAME", "CONTROLLER", "OPERATOR", "NOTE"],
    rows: entries.map(({ name, inUse, context, problem }) => [
      inUse ? "*" : "",
      name,
      context?.controller ?? "-",
      context?.name ?? "-",
      problem ?? noteText(context!, now),
    ]),
  });
}

function noteText(context: Context, now: number): string {
  const notes = [
    endingCertificateText(firstEnd(context.certificate), now),
    context.operatorsKey === undefined ? undefined : "can add operators",
  ];
  return notes.filter((note) => note !== undefined).join("; ");
}

/** @returns the exit code. @throws OutpostError `not_found` */
export async function useContext(name: string, format: OutputFormat): Promise<number> {
  const contexts = new Contexts();
  await contexts.use(name);
  await print(format, { json: { context: name }, text: () => `${name} is in use from now on` });
  const others = ["OUTPOST_CONTEXT_DIR", "OUTPOST_CONTEXT"].filter(
    (variable) => (process.env[variable] ?? "") !== "",
  );
  if (others.length > 0 && format === "text") await say(`but ${others[0]!} is set, and goes before it`);
  return ExitCode.succeeded;
}

/** @param name default the one in use. @returns the exit code. @throws OutpostError `not_found`, as `readContext` */
export async function showContext(name: string | undefined, format: OutputFormat): Promise<number> {
  const contexts = new Contexts();
  const place = name === undefined ? await contexts.inUse() : { name, directory: contexts.directory(name) };
  const context = await readContext(place.directory);
  const document = { ...place, ...aboutContext(context) };
  await print(format, { json: document, text: () => asText(document) });
  return ExitCode.succeeded;
}

/** What of a context may be shown: no key. */
function aboutContext(context: Context) {
  const { controller, name: operator, certificate, authority, operators, operatorsKey } = context;
  return {
    controller,
    operator,
    certificateExpiresAt: firstEnd(certificate),
    authorities: fingerprints(authority),
    operators: fingerprints(operators)[0],
    holdsOperatorsKey: operatorsKey !== undefined,
  };
}

type ContextDocument = ReturnType<typeof aboutContext> & {
  readonly name?: string;
  readonly directory: string;
};

function asText(document: ContextDocument): string {
  const { name, directory, controller, operator, certificateExpiresAt, authorities, operators } = document;
  const now = Date.now();
  const end =
    certificateExpiresAt === undefined
      ? "cannot be read"
      : certificateExpiresAt > now
        ? `ends in ${durationText(certificateExpiresAt - now)}`
        : "has ended";
  const rows: (readonly [string, string])[] = [
    ...(name === undefined ? [] : [["context", name] as const]),
    ["folder", directory],
    ["controller", controller],
    ["operator", operator],
    ["certificate", end],
    ...authorities.map((fingerprint) => ["CA", fingerprintText(fingerprint)] as const),
    ["operators", operators === undefined ? "cannot be read" : fingerprintText(operators)],
    [
      "may add operators",
      document.holdsOperatorsKey ? "yes: operators.key is here" : "no: operators.key is elsewhere",
    ],
  ];
  return rows.map(([key, text]) => `${key.padEnd(19)}${printable(text)}`).join("\n");
}

/** @returns the exit code. @throws OutpostError `not_found`; UsageError when it cannot be asked */
export async function removeContext(name: string, yes: boolean, format: OutputFormat): Promise<number> {
  const contexts = new Contexts();
  const found = (await contexts.list()).find((entry) => entry.name === name);
  if (found?.context?.operatorsKey !== undefined) {
    const isConfirmed = await confirm({
      what: `forget the context ${name}`,
      consequence:
        "It holds the key of the operators' authority (operators.key). Without a copy of it elsewhere, no operator can ever be added.",
      yes,
      command: "context remove",
    });
    if (!isConfirmed) {
      await say("nothing was removed");
      return ExitCode.failed;
    }
  }
  await contexts.remove(name);
  await print(format, { json: { context: name }, text: () => `removed ${name}` });
  if (found?.inUse === true && format === "text")
    await say("it was in use; choose another with: outpost context use NAME");
  return ExitCode.succeeded;
}
