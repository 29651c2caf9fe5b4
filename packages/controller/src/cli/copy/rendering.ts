/** Shows a copy: problems as they come, a status line meanwhile, and what came of it at the end. */
import { outcomeOf } from "../../client/exit-code.ts";
import type { Copy, CopyEvent, CopyExitEvent, ProblemEvent, SummaryEvent } from "../../client/index.ts";
import type { OutputFormat } from "../command.ts";
import { durationText } from "../duration.ts";
import { bytesText } from "../render/bytes-text.ts";
import { foldedNames } from "../render/names.ts";
import { jsonText, withIsoTimes } from "../render/plain.ts";
import { StatusLine } from "../render/progress/status-line.ts";
import { say, stdout } from "../render/sink.ts";
import { summaryLines } from "../render/summary.ts";
import { copyStatusText, Rate } from "./status-text.ts";

export interface CopyRenderingOptions {
  readonly format: OutputFormat;
  readonly progress: boolean;
}

/** So many problems of one host are shown, or are in the JSON document; the rest is counted. A host may tell of any number. */
const maxShown = 20;
const maxInDocument = 1_000;
/** So much of one is kept, in characters: a path, and why. */
const maxProblemLength = 5_000;

interface Problems {
  count: number;
  /** The first of them, where they are needed at the end. */
  readonly first: string[];
}

export class CopyRendering {
  readonly #options: CopyRenderingOptions;
  readonly #beginMs = performance.now();
  readonly #exits: CopyExitEvent[] = [];
  /** By host; those of the files here under the empty name. */
  readonly #problems = new Map<string, Problems>();
  /** How many bytes each host has, as far as it has told. */
  readonly #bytes = new Map<string, number>();
  readonly #rate = new Rate();
  #copy: Copy | undefined;
  #status: StatusLine | undefined;
  #summary: SummaryEvent | undefined;
  #isFinished = false;

  constructor(options: CopyRenderingOptions) {
    this.#options = options;
  }

  begin(copy: Copy): void {
    this.#copy = copy;
    if (this.#options.progress)
      this.#status = StatusLine.begin({ text: (columns) => this.#statusText(columns) });
  }

  async event(event: CopyEvent): Promise<void> {
    this.#note(event);
    if (event.type === "summary") await this.#status?.close();
    if (this.#options.format === "ndjson") await stdout.write(`${jsonText(withIsoTimes(event))}\n`);
    else if (event.type === "problem" && this.#options.format === "text") await this.#sayProblem(event);
    else if (event.type === "notice" && this.#options.format === "text") await say(event.message);
  }

  /** At the end, however it ended. */
  async finish(): Promise<void> {
    if (this.#isFinished) return;
    this.#isFinished = true;
    await this.#status?.close();
    if (this.#options.format === "json")
      await stdout.write(`${jsonText(withIsoTimes(this.#document()), 2)}\n`);
    if (this.#options.format !== "text" || this.#summary === undefined) return;
    for (const [host, { count }] of this.#problems) {
      const left = count - maxShown;
      if (left > 0)
        await say(`${host === "" ? "" : `${host}: `}${String(left)} more; --output ndjson has them all`);
    }
    const done = this.#exits.filter((exit) => exit.files > 0 || outcomeOf(exit) === "succeeded");
    if (done.length > 0) await say(await this.#copiedText(done));
    for (const line of await summaryLines(this.#exits)) await say(line);
  }

  #note(event: CopyEvent): void {
    switch (event.type) {
      case "problem":
        this.#noteProblem(event);
        break;
      case "progress":
        this.#bytes.set(event.host, event.bytes);
        break;
      case "exit":
        this.#exits.push(event);
        this.#bytes.set(event.host, event.bytes);
        break;
      case "check": {
        const at = this.#exits.findIndex(({ host }) => host === event.host);
        if (at !== -1) this.#exits[at] = { ...this.#exits[at]!, failedCheck: event };
        break;
      }
      case "summary":
        this.#summary = event;
        break;
      default:
        break;
    }
  }

  #noteProblem({ host, message }: ProblemEvent): void {
    const key = host ?? "";
    const problems = this.#problems.get(key) ?? { count: 0, first: [] };
    this.#problems.set(key, problems);
    problems.count++;
    if (this.#options.format === "json" && problems.count <= maxInDocument)
      problems.first.push(message.slice(0, maxProblemLength));
  }

  async #sayProblem({ host, message }: ProblemEvent): Promise<void> {
    if (this.#problems.get(host ?? "")!.count > maxShown) return;
    const text = message.slice(0, maxProblemLength);
    await say(host === undefined ? text : `${host}: ${text}`);
  }

  /** `copied 3 files (1.2 MB) to web[1-5] in 2 s`; where hosts differ, in all. */
  async #copiedText(done: readonly CopyExitEvent[]): Promise<string> {
    const files = new Set(done.map((each) => each.files));
    const bytes = done.reduce((sum, each) => sum + each.bytes, 0);
    const isSame = files.size === 1 && new Set(done.map((each) => each.bytes)).size === 1;
    const count = isSame ? done[0]!.files : done.reduce((sum, each) => sum + each.files, 0);
    const what = `${String(count)} ${count === 1 ? "file" : "files"} (${bytesText(isSame ? done[0]!.bytes : bytes)})`;
    const direction = this.#copy?.sentBytes === undefined ? "from" : "to";
    const each = isSame && done.length > 1 ? " each" : "";
    const hosts = await foldedNames(done.map(({ host }) => host));
    return `copied ${what}${each} ${direction} ${hosts} in ${durationText(performance.now() - this.#beginMs)}`;
  }

  #document(): object {
    const { type: _type, ...summary } = this.#summary ?? { type: "" };
    const hosts = this.#exits.map(({ type: _exit, job: _job, host, ...end }) => {
      return { host, ...end, ...problemsIn(this.#problems.get(host)) };
    });
    return { job: this.#copy?.job.id, hosts, ...problemsIn(this.#problems.get("")), ...summary };
  }

  #statusText(columns: number): string {
    const { sentBytes, totalBytes, job } = this.#copy!;
    const hostBytes = [...this.#bytes.values()].reduce((sum, bytes) => sum + bytes, 0);
    const bytes = sentBytes ?? hostBytes;
    return copyStatusText(
      {
        bytes,
        totalBytes,
        isUpload: sentBytes !== undefined,
        bytesPerSecond: this.#rate.note(Math.max(bytes, hostBytes), performance.now()),
        hosts: job.hosts.length,
        done: this.#exits.length,
        failed: this.#exits.filter((exit) => outcomeOf(exit) !== "succeeded").length,
      },
      columns,
    );
  }
}

/** In the document. */
function problemsIn(problems: Problems | undefined): {
  readonly problems?: readonly string[];
  readonly moreProblems?: number;
} {
  if (problems === undefined) return {};
  const { count, first } = problems;
  return { problems: first, ...(count > first.length ? { moreProblems: count - first.length } : {}) };
}
