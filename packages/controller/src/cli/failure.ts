/** What went wrong, for people on stderr and for programs in their format, and the exit code for it. */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { ExitCode } from "../client/exit-code.ts";
import { jsonText } from "./render/plain.ts";
import { printableMessage } from "./render/printable.ts";
import { isBrokenPipe, say, stderr, stdout } from "./render/sink.ts";
import { UsageError } from "./usage-error.ts";

/** @returns the exit code */
export async function reportFailure(reason: unknown, args: readonly string[]): Promise<number> {
  const error = fromReason(reason);
  await say(`${error.message}${nextStep(error)}`);
  await pointAtExpression(error);
  // A fault of ours: whoever reports it needs the place.
  if (error.code === ErrorCode.internal && reason instanceof Error && !(reason instanceof OutpostError)) {
    await stderr.write(`${printableMessage(reason.stack ?? "")}\n`).catch(() => {});
  }
  await tellProgram(error, args);
  return exitCodeFor(error);
}

/** Where a target expression cannot be read. */
async function pointAtExpression({ data: { expression, position } }: OutpostError): Promise<void> {
  if (typeof expression !== "string" || typeof position !== "number") return;
  const { pointAt } = await import("@outpost/protocol/targets");
  const lines = pointAt(expression, position).split("\n");
  await stderr.write(lines.map((line) => `  ${line}\n`).join("")).catch(() => {});
}

function fromReason(reason: unknown): OutpostError {
  if (!(reason instanceof UsageError)) return OutpostError.from(reason);
  const about = reason.command === undefined || reason.command === "" ? "" : ` ${reason.command}`;
  const end = /[.?!]$/.test(reason.message) ? "" : ".";
  return new OutpostError(ErrorCode.invalidArgument, `${reason.message}${end} See: outpost${about} --help`);
}

/** What to do, where the message does not say it already. */
function nextStep(error: OutpostError): string {
  const step = nextStepText(error);
  if (step === undefined) return "";
  return /[.?!]$/.test(error.message) ? ` ${step[0]!.toUpperCase()}${step.slice(1)}` : `; ${step}`;
}

function nextStepText({ code, data, message }: OutpostError): string | undefined {
  if (code === ErrorCode.notFound && "directory" in data && message.includes("context")) {
    return (
      "`outpost controller init` makes one on the controller's machine. Elsewhere: outpost sign-in, with a bundle that " +
      "`outpost operator add` makes"
    );
  }
  switch (code) {
    case ErrorCode.denied:
      return message.includes("outpost ") ? undefined : deniedStep(data);
    case ErrorCode.controllerUnreachable:
      return "start it with: outpost controller start";
    case ErrorCode.disconnected:
      return "jobs and sessions go on: see outpost job list, outpost session list";
    default:
      return undefined;
  }
}

/** What to do about a request that a host refused. The controller's refusals say it themselves. */
function deniedStep({ reason }: Readonly<Record<string, unknown>>): string | undefined {
  switch (reason) {
    case "policy":
      return "its own policy decides that; there: outpost-agent policy check";
    case "certificate":
    case "signature":
      return "does it know our operators? See outpost context show, and there: outpost-agent status";
    case "clock":
    case "expired":
      return "compare the clocks (date -u), here and there";
    default:
      return undefined;
  }
}

async function tellProgram({ code, message, data }: OutpostError, args: readonly string[]): Promise<void> {
  const format = outputFormat(args);
  if (format === undefined) return;
  const error = { code, message, ...(Object.keys(data).length === 0 ? {} : { data }) };
  const document = format === "json" ? { error } : { type: "error", ...error };
  await stdout.write(`${jsonText(document)}\n`).catch((reason: unknown) => {
    if (!isBrokenPipe(reason)) throw reason;
  });
}

/** Read by hand: the arguments may be what is wrong. */
function outputFormat(args: readonly string[]): "json" | "ndjson" | undefined {
  const end = args.indexOf("--");
  const own = end === -1 ? args : args.slice(0, end);
  const at = own.indexOf("--output");
  const text = at === -1 ? own.find((arg) => arg.startsWith("--output="))?.slice(9) : own[at + 1];
  return text === "json" || text === "ndjson" ? text : undefined;
}

export function exitCodeFor({ code }: { readonly code: string }): number {
  switch (code) {
    case ErrorCode.invalidArgument:
      return ExitCode.usage;
    case ErrorCode.denied:
      return ExitCode.denied;
    case ErrorCode.hostUnreachable:
      return ExitCode.unreachable;
    case ErrorCode.timeout:
      return ExitCode.timedOut;
    default:
      return ExitCode.failed;
  }
}
