/** `outpost enter` and `outpost session connect`: a session on this terminal. */
import { isatty } from "node:tty";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { ExitCode, exitCodeOfShell } from "../client/exit-code.ts";
import type { Attachment, Client, SessionEndEvent } from "../client/index.ts";
import { dieOfInterrupt, onInterrupt } from "./interrupts.ts";
import { say } from "./render/sink.ts";
import type { SessionOutcome } from "./terminal/session-terminal.ts";
import { withClient } from "./with-client.ts";

/** How the terminal behaves, whatever session it shows. */
export interface TerminalOptions {
  /** The escape character; undefined: none. */
  readonly escape: string | undefined;
  readonly reconnectForMs: number | undefined;
}

export interface EnterNew {
  readonly target: string;
  readonly shell: string | undefined;
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly configuration: string | undefined;
  readonly user: string | undefined;
  readonly record: boolean;
}

export interface EnterExisting {
  readonly reference: string;
  readonly host: string | undefined;
  readonly watch: boolean;
  readonly takeOver: boolean;
}

/** How far behind a terminal may be before it is shown the screen as it is instead, in bytes: what a slow one shows in a
 * second, so that Ctrl-C is seen to work whatever is being printed. What was left out can be received. */
const maxLagBytes = 1024 * 1024;

/** @returns the exit code: the shell's, when it has ended. @throws OutpostError */
export async function enterSession(
  what: EnterNew | EnterExisting,
  options: TerminalOptions,
): Promise<number> {
  checkTerminal(what);
  // While the connection is made.
  const loading = Promise.all([
    import("./terminal/local-terminal.ts"),
    import("./terminal/session-terminal.ts"),
  ]);
  const { reconnectForMs } = options;
  return withClient(
    async (client) => {
      const [{ LocalTerminal }, { showSession }] = await loading;
      using terminal = new LocalTerminal();
      const connecting = new AbortController();
      const interrupts = onInterrupt((count) => (count === 1 ? connecting.abort() : dieOfInterrupt()));
      const common = { ...terminal.size, maxLag: maxLagBytes, reconnectForMs, signal: connecting.signal };
      let place: Place | undefined;
      try {
        place = await attach(client, what, common);
        const outcome = await showSession({
          attachment: place.attachment,
          terminal,
          reference: place.reference,
          escape: options.escape,
          beforeOpened: async (event) => {
            if (event.type === "notice") await say(`${event.message} …`);
          },
        });
        return await conclude(outcome, place);
      } catch (error) {
        if (connecting.signal.aborted) return ExitCode.interrupted;
        throw withHint(error, place);
      } finally {
        interrupts[Symbol.dispose]();
      }
    },
    { reconnectForMs },
  );
}

/** @throws OutpostError `invalid_argument` saying what to use instead */
function checkTerminal(what: EnterNew | EnterExisting): void {
  const missing = !isatty(0) ? "standard input" : !isatty(1) ? "standard output" : undefined;
  if (missing === undefined) return;
  const instead =
    "target" in what
      ? `outpost invoke ${what.target} -- COMMAND`
      : `outpost invoke --session ${what.reference} -c TEXT`;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `a session needs a terminal, and ${missing} is none; to run a command: ${instead}`,
  );
}

interface Place {
  readonly attachment: Attachment;
  /** With what it is found again. */
  readonly reference: string;
  /** Options that say which host, when it is on several. */
  readonly hostOption: string;
}

interface AttachCommon {
  readonly columns: number;
  readonly rows: number;
  readonly maxLag: number;
  readonly reconnectForMs: number | undefined;
  readonly signal: AbortSignal;
}

async function attach(client: Client, what: EnterNew | EnterExisting, common: AttachCommon): Promise<Place> {
  if ("target" in what) {
    const env = { ...localeVariables(), ...what.env };
    const attachment = await client.enter({ ...what, ...common, env, term: terminalType() });
    return { attachment, reference: attachment.session, hostOption: "" };
  }
  const { reference, host, watch, takeOver } = what;
  const session = await client.session(reference, { host });
  const [first] = session.hosts;
  if (host === undefined && session.hosts.length > 1) {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      `the session ${reference} is on ${session.hosts.join(", ")}; say which: --host ${first!}`,
      { data: { session: session.id, hosts: [...session.hosts] } },
    );
  }
  const role = watch ? "watch" : "control";
  const attachment = session.attach({ ...common, host, role, takeOver });
  return {
    attachment,
    reference: session.name ?? session.id,
    hostOption: host === undefined ? "" : ` --host ${host}`,
  };
}

/** As ssh is set up on most systems: what language and colours the one in front of the terminal wants. */
function localeVariables(): Record<string, string> {
  const wanted = /^(?:LANG|LC_[A-Z]+|COLORTERM|NO_COLOR)$/;
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, text]) =>
      wanted.test(name) && text !== undefined ? [[name, text]] : [],
    ),
  );
}

/** What cannot be a terminal's type is left out. */
function terminalType(): string | undefined {
  const term = process.env["TERM"];
  return term !== undefined && /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/.test(term) ? term : undefined;
}

async function conclude(outcome: SessionOutcome, place: Place): Promise<number> {
  switch (outcome.kind) {
    case "ended":
      return concludeEnd(outcome.event, place);
    case "left":
      await sayLeft("left", place);
      return ExitCode.succeeded;
    case "hung up":
      await sayLeft("left", place);
      return exitCodeOfShell({ signal: outcome.signal });
    default:
      return outcome satisfies never;
  }
}

async function concludeEnd(event: SessionEndEvent, place: Place): Promise<number> {
  const { reason, by, status } = event;
  switch (reason) {
    case "left":
      await sayLeft("left", place);
      return ExitCode.succeeded;
    case "disconnected":
      await sayLeft(`${by ?? "an operator"} disconnected you from`, place);
      return ExitCode.succeeded;
    case "ended":
      if (status.reason !== undefined && status.reason.code !== "exited") {
        await write(`session ${place.reference} on ${event.host} has ended: ${status.reason.message}`);
      }
      return exitCodeOfShell(status.exit);
    default:
      return reason satisfies never;
  }
}

async function sayLeft(what: string, { attachment, reference, hostOption }: Place): Promise<void> {
  const { host, name } = attachment;
  const called = name ?? reference;
  await write(
    `${what} session ${called} on ${host}; it goes on. Come back: outpost enter --session ${called}${hostOption}`,
  );
}

/** Below whatever the session has left on the screen. */
async function write(text: string): Promise<void> {
  const { stderr } = await import("./render/sink.ts");
  const { printable } = await import("./render/printable.ts");
  await stderr.write(`\r\n[outpost: ${printable(text)}]\r\n`).catch(() => {});
}

/** What to do about a session that somebody else controls. */
function withHint(error: unknown, place: Place | undefined): unknown {
  if (!(error instanceof OutpostError) || error.code !== ErrorCode.busy || place === undefined) return error;
  if (error.message.includes("--watch")) return error;
  return new OutpostError(error.code, `${error.message}; --watch looks on, --take-over takes control`, {
    data: error.data,
    cause: error,
  });
}
