/**
 * Equal answers once, with all the hosts that gave them. Shown at the end, the largest group first; a group's stdout goes to stdout
 * and its stderr to stderr, each below a header, so that either can be sent elsewhere and still says whose it is.
 */
import type { ExitEvent, JobEvent, OutEvent } from "../../client/index.ts";
import { hasColor, type Style, styled } from "./color.ts";
import type { Comparison } from "./comparison.ts";
import { endingText } from "./ending.ts";
import { root } from "./grouping/content-tree.ts";
import { type Group, Grouping } from "./grouping/grouping.ts";
import type { SpoolOptions } from "./grouping/spool.ts";
import { allNames } from "./names.ts";
import { gapText, Notices } from "./notices.ts";
import { printable } from "./printable.ts";
import type { Renderer, RendererOptions } from "./renderer.ts";
import { RollCall } from "./roll-call.ts";
import { say, type Sink, stderr, stdout } from "./sink.ts";
import { terminalColumns } from "./terminal.ts";

/** Above and below a header, in characters; at most as long as the terminal is wide. */
const minRule = 15;
const maxRule = 80;

export class GroupRenderer implements Renderer {
  readonly #options: Omit<RendererOptions, "format" | "timestamps">;
  readonly #rollCall = new RollCall();
  readonly #notices = new Notices();
  readonly #grouping: Grouping;
  #printing: Promise<void> | undefined;
  #isPrinted = false;

  constructor(options: Omit<RendererOptions, "format" | "timestamps">, spool: SpoolOptions = {}) {
    this.#options = options;
    this.#grouping = new Grouping(spool);
  }

  async event(event: JobEvent): Promise<void> {
    this.#rollCall.note(event);
    switch (event.type) {
      case "out":
        await this.#grouping.push(event.host, event.stream, event.bytes);
        return;
      case "gap":
        await this.#grouping.note(event.host, event.stream, gapText(event));
        return;
      case "notice":
        await this.#notices.note(event);
        return;
      case "exit":
        await this.#grouping.end(event.host);
        return;
      case "summary":
        await this.interrupted();
        return;
      case "plan":
      case "start":
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

  /** Everything, until it is shown. */
  unwritten(_host: string, _stream: OutEvent["stream"]): number {
    return this.#isPrinted ? 0 : Number.POSITIVE_INFINITY;
  }

  async #print(): Promise<void> {
    await this.#notices.flush();
    await using grouping = this.#grouping;
    const { compareNames } = await import("@outpost/protocol/targets");
    const exits = this.#rollCall.exits.toSorted((left, right) => compareNames(left.host, right.host));
    const groups = await grouping.groups(exits.map((exit) => ({ host: exit.host, ending: endOf(exit) })));
    groups.sort((left, right) => right.hosts.length - left.hosts.length);
    // All have succeeded and none has anything to say: as the program itself would say it.
    const isSilent = groups.every(
      ({ stdout: out, stderr: err, ending }) => out === root && err === root && ending === succeeded,
    );
    if (!isSilent) await this.#show(groups);
    this.#isPrinted = true;
  }

  async #show(groups: readonly Group[]): Promise<void> {
    const base = this.#options.diff === true ? groups.find((group) => !isEmpty(group)) : undefined;
    if (base === undefined) {
      for (const group of groups) await this.#showGroup(group);
      return;
    }
    const { Comparison } = await import("./comparison.ts");
    const comparison = await Comparison.with(base, this.#grouping, this.#options.color ?? "auto");
    for (const group of [base, ...groups.filter((each) => each !== base)]) {
      await this.#showGroup(group, group === base || isEmpty(group) ? undefined : { base, comparison });
    }
  }

  /** @param to what it is compared with; undefined: it is shown as it is */
  async #showGroup(
    group: Group,
    to?: { readonly base: Group; readonly comparison: Comparison },
  ): Promise<void> {
    const names = await allNames(group.hosts);
    const isSame = to !== undefined && isSameOutput(group, to.base);
    const about = `(${String(group.hosts.length)}) ${printable(group.ending)}${noteOf(group, isSame)}`;
    const has = (name: OutEvent["stream"]): boolean => group[name] !== (to?.base[name] ?? root);
    if (!isOneTerminal() || !has("stderr") || has("stdout")) {
      await this.#header(stdout, names, about);
      if (has("stdout")) await this.#content(stdout, group, "stdout", to);
    }
    if (!has("stderr")) return;
    await this.#header(stderr, names, `${about}, stderr`);
    await this.#content(stderr, group, "stderr", to);
  }

  /** On lines of its own. */
  async #header(sink: Sink, names: string, about: string): Promise<void> {
    const isColored = hasColor(this.#options.color ?? "auto", sink === stdout ? 1 : 2);
    const paint = (text: string, style: Style): string => (isColored ? styled(text, style) : text);
    const length = names.length + about.length + 1;
    const rule = "-".repeat(Math.max(minRule, Math.min(length, terminalColumns() ?? maxRule, maxRule)));
    const style = about.includes(` ${succeeded}`) && !about.includes(` ${checkFailed}`) ? "green" : "red";
    const lines = [paint(rule, "dim"), `${paint(names, "bold")} ${paint(about, style)}`, paint(rule, "dim")];
    // What the output before has left switched on is not meant for us.
    await this.#end(sink, `${isColored ? "\u001b[0m" : ""}${lines.join("\n")}`);
  }

  async #content(
    sink: Sink,
    group: Group,
    name: OutEvent["stream"],
    to: { readonly base: Group; readonly comparison: Comparison } | undefined,
  ): Promise<void> {
    // What the others have not written at all is not to be compared.
    if (to !== undefined && to.base[name] !== root) {
      await this.#end(sink, await to.comparison.text(group, name));
      return;
    }
    for (const { kind, bytes } of this.#grouping.read(group[name])) {
      if (kind === "output") await sink.write(bytes);
      else await say(bytes.toString());
    }
    if (!sink.endsLine) await sink.write("\n");
  }

  /** Whole lines. */
  async #end(sink: Sink, text: string): Promise<void> {
    await sink.write(text.endsWith("\n") ? text : `${text}\n`);
  }
}

function isSameOutput(left: Group, right: Group): boolean {
  return left.stdout === right.stdout && left.stderr === right.stderr;
}

/** What a header without anything below it means. */
function noteOf(group: Group, isSame: boolean): string {
  if (isSame) return ", same output";
  return isEmpty(group) && group.ending.startsWith("exit ") ? ", no output" : "";
}

function isEmpty({ stdout: out, stderr: err }: Group): boolean {
  return out === root && err === root;
}

/** Both are on one screen, where one header is enough. */
function isOneTerminal(): boolean {
  return stdout.isTerminal && stderr.isTerminal;
}

const succeeded = "exit 0";
const checkFailed = "exit 0, check failed";

/** What keeps hosts apart that have said the same: `exit 3`, `timed out`, `still running`. */
function endOf(exit: ExitEvent): string {
  const { ended, state, reason, exit: end, unreachableSince, queued } = exit;
  if (!ended) {
    if (queued !== undefined) return endingText(exit);
    if (unreachableSince !== undefined) return "unreachable";
    return state === "running" ? "still running" : "no answer";
  }
  if (state === "completed") return exit.failedCheck === undefined ? succeeded : checkFailed;
  if (reason === undefined && end !== undefined && "code" in end) return `exit ${String(end.code)}`;
  if (reason?.code === "host_unreachable") return "unreachable; nothing ran there";
  return endingText(exit);
}
