/**
 * A row for each host: what it answered on one line, or, where the answers are JSON objects, a column for each of their keys. Of a
 * longer answer the row shows the beginning; such a host's output is not acknowledged, so that nothing is lost by having been cut.
 */
import { outcomeOf } from "../../client/exit-code.ts";
import type { ExitEvent, JobEvent, OutEvent } from "../../client/index.ts";
import { Answer } from "./answer.ts";
import { endingText } from "./ending.ts";
import { foldedNames } from "./names.ts";
import { gapText, Notices } from "./notices.ts";
import { printable } from "./printable.ts";
import type { Renderer, RendererOptions } from "./renderer.ts";
import { RollCall } from "./roll-call.ts";
import { say, stdout } from "./sink.ts";
import { roomOfLast, table } from "./table.ts";
import { terminalColumns } from "./terminal.ts";

interface Row {
  readonly host: string;
  readonly exit: ExitEvent;
  readonly values: ReadonlyMap<string, string>;
  /** It has more to say than stands here. */
  readonly isCut: boolean;
}

export class TableRenderer implements Renderer {
  readonly #options: Pick<RendererOptions, "quiet">;
  readonly #rollCall = new RollCall();
  readonly #notices = new Notices();
  readonly #answers = new Map<string, Answer>();
  readonly #cut = new Set<string>();
  #job = "";
  #printing: Promise<void> | undefined;
  #isPrinted = false;

  constructor(options: Pick<RendererOptions, "quiet">) {
    this.#options = options;
  }

  async event(event: JobEvent): Promise<void> {
    this.#rollCall.note(event);
    switch (event.type) {
      case "plan":
        this.#job = event.job;
        return;
      case "out":
        this.#answer(event.host, event.stream).push(event.bytes);
        return;
      case "gap":
        await say(`${event.host}: ${gapText(event)}`);
        return;
      case "notice":
        await this.#notices.note(event);
        return;
      case "summary":
        await this.interrupted();
        return;
      case "start":
      case "exit":
      case "check":
      case "rollout":
        return;
      default:
        event satisfies never;
    }
  }

  async interrupted(): Promise<void> {
    await this.finish();
    if (this.#options.quiet !== true) await this.#rollCall.say();
  }

  finish(): Promise<void> {
    return (this.#printing ??= this.#print());
  }

  /** Everything, until the table is shown; and what it does not show. */
  unwritten(host: string, _stream: OutEvent["stream"]): number {
    return this.#isPrinted && !this.#cut.has(host) ? 0 : Number.POSITIVE_INFINITY;
  }

  #answer(host: string, stream: OutEvent["stream"]): Answer {
    const key = `${stream} ${host}`;
    let answer = this.#answers.get(key);
    if (answer === undefined) {
      answer = new Answer();
      this.#answers.set(key, answer);
    }
    return answer;
  }

  async #print(): Promise<void> {
    await this.#notices.flush();
    const { compareNames } = await import("@outpost/protocol/targets");
    const exits = this.#rollCall.exits.toSorted((left, right) => compareNames(left.host, right.host));
    const answers = exits.flatMap(({ host }) => this.#answers.get(`stdout ${host}`) ?? []);
    const areRecords = answers.length > 0 && answers.every(({ records }) => records !== undefined);
    const rows = exits.flatMap((exit) => this.#rowsOf(exit, areRecords));
    const columns = columnsOf(rows);
    const { head, cells } = layOut(rows, columns);
    this.#noteCut(rows, head, cells);
    if (rows.length > 0) await stdout.write(`${table({ head, rows: cells })}\n`);
    this.#isPrinted = true;
    if (this.#cut.size === 0) return;
    await say(
      `more than a row: ${await foldedNames([...this.#cut])}; all of it with: outpost job receive ${this.#job}`,
    );
  }

  #rowsOf(exit: ExitEvent, areRecords: boolean): Row[] {
    const { host } = exit;
    const out = this.#answers.get(`stdout ${host}`);
    const err = this.#answers.get(`stderr ${host}`);
    const stderrValue: [string, string][] = err === undefined ? [] : [["STDERR", err.line]];
    const isCut = err?.isCut === true || (!areRecords && out?.isCut === true);
    const records = areRecords ? out?.records : undefined;
    if (records === undefined || records.length === 0) {
      const value: [string, string][] = out === undefined || areRecords ? [] : [["OUTPUT", out.line]];
      return [{ host, exit, values: new Map([...value, ...stderrValue]), isCut }];
    }
    return records.map((record) => {
      const values = Object.entries(record).map(([key, value]) => [key, cellText(value)] as const);
      return { host, exit, values: new Map([...values, ...stderrValue]), isCut };
    });
  }

  /** Whose rows are longer than the terminal is wide: `table` cuts the last column. */
  #noteCut(rows: readonly Row[], head: readonly string[], cells: readonly (readonly string[])[]): void {
    const width = terminalColumns();
    const room = width === undefined ? Number.POSITIVE_INFINITY : roomOfLast(head, cells, width);
    for (const [at, { host, isCut }] of rows.entries()) {
      if (isCut || cells[at]!.at(-1)!.length > room) this.#cut.add(host);
    }
  }
}

/** In the order in which the keys first come; what hosts said on stderr is last. */
function columnsOf(rows: readonly Row[]): readonly string[] {
  const columns = new Set<string>();
  for (const { values } of rows) for (const key of values.keys()) columns.add(key);
  const hasErrors = columns.delete("STDERR");
  return [...columns, ...(hasErrors ? ["STDERR"] : [])];
}

function layOut(
  rows: readonly Row[],
  columns: readonly string[],
): { readonly head: readonly string[]; readonly cells: readonly (readonly string[])[] } {
  const hasFailed = rows.some(({ exit }) => outcomeOf(exit) !== "succeeded");
  return {
    head: ["HOST", ...(hasFailed ? ["EXIT"] : []), ...columns.map(printable)],
    cells: rows.map(({ host, exit, values }) => [
      host,
      ...(hasFailed ? [exitText(exit)] : []),
      ...columns.map((column) => values.get(column) ?? ""),
    ]),
  };
}

function exitText(exit: ExitEvent): string {
  const { ended, state, reason, exit: end, queued, failedCheck } = exit;
  if (failedCheck !== undefined) return "check failed";
  if (!ended && queued !== undefined) return endingText(exit);
  if (!ended) return state === "pending" ? "no answer" : "still running";
  if (end !== undefined && reason === undefined) return "code" in end ? String(end.code) : end.signal;
  if (reason?.code === "host_unreachable") return "unreachable";
  return state === "completed" ? "0" : endingText(exit);
}

/** A value of a JSON object in a cell. */
function cellText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
