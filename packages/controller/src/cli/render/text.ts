/**
 * For people and pipes. Output of one host goes out byte for byte; that of several line by line with the host before
 * each. Everything that is not output goes to stderr.
 */
import { isatty } from "node:tty";
import type { ExitEvent, GapEvent, JobEvent, NoticeEvent, OutEvent } from "../../client/index.ts";
import { clockText } from "./ending.ts";
import { LinePrefixer } from "./line-prefixer.ts";
import { printable } from "./printable.ts";
import type { Renderer } from "./renderer.ts";
import { say, type Sink, stderr, stdout } from "./sink.ts";
import { summaryLines } from "./summary.ts";

const sinks: Readonly<Record<OutEvent["stream"], Sink>> = { stdout, stderr };

export class TextRenderer implements Renderer {
  readonly #timestamps: boolean;
  readonly #quiet: boolean;
  readonly #prefixers = new Map<string, LinePrefixer>();
  readonly #prefixes = new Map<string, Buffer>();
  readonly #exits: ExitEvent[] = [];
  #several = false;

  constructor({ timestamps, quiet = false }: { readonly timestamps: boolean; readonly quiet?: boolean }) {
    this.#timestamps = timestamps;
    this.#quiet = quiet;
  }

  async event(event: JobEvent): Promise<void> {
    switch (event.type) {
      case "plan":
        this.#several = event.hosts.length > 1;
        return;
      case "out":
        await this.#out(event);
        return;
      case "gap":
        await this.#gap(event);
        return;
      case "notice":
        await say(noticeText(event));
        return;
      case "exit":
        this.#exits.push(event);
        await this.#flush(event.host);
        return;
      case "summary":
        await this.#summary();
        return;
      case "start":
        return;
      default:
        event satisfies never;
    }
  }

  async finish(): Promise<void> {
    for (const key of this.#prefixers.keys()) await this.#flushKey(key);
  }

  unwritten(host: string, stream: OutEvent["stream"]): number {
    return this.#prefixers.get(`${stream} ${host}`)?.heldBytes ?? 0;
  }

  #out({ host, stream, bytes, time }: OutEvent): Promise<void> {
    if (!this.#several && !this.#timestamps) return sinks[stream].write(bytes);
    return sinks[stream].write(this.#prefixer(host, stream).push(bytes, this.#prefix(host, time)));
  }

  #prefix(host: string, time: number | undefined): Buffer {
    const name = this.#several ? `${printable(host)}: ` : "";
    if (this.#timestamps) {
      const when = time === undefined ? "-" : new Date(time).toISOString();
      return Buffer.from(`${when} ${name}`);
    }
    let prefix = this.#prefixes.get(host);
    if (prefix === undefined) {
      prefix = Buffer.from(name);
      this.#prefixes.set(host, prefix);
    }
    return prefix;
  }

  #prefixer(host: string, stream: OutEvent["stream"]): LinePrefixer {
    const key = `${stream} ${host}`;
    let prefixer = this.#prefixers.get(key);
    if (prefixer === undefined) {
      prefixer = new LinePrefixer();
      this.#prefixers.set(key, prefixer);
    }
    return prefixer;
  }

  async #flush(host: string): Promise<void> {
    for (const stream of ["stdout", "stderr"] as const) await this.#flushKey(`${stream} ${host}`);
  }

  async #flushKey(key: string): Promise<void> {
    const prefixer = this.#prefixers.get(key);
    if (prefixer === undefined) return;
    this.#prefixers.delete(key);
    await sinks[key.startsWith("stdout ") ? "stdout" : "stderr"].write(prefixer.flush());
  }

  async #gap(gap: GapEvent): Promise<void> {
    // What an earlier receive has taken is no loss, and nobody asked for it but with --from-start.
    await this.#flush(gap.host);
    await say(gapText(gap));
  }

  async #summary(): Promise<void> {
    await this.finish();
    if (this.#quiet) return;
    for (const line of summaryLines(this.#exits, !isatty(2))) await say(line);
  }
}

function noticeText({ message, since }: NoticeEvent): string {
  return since === undefined ? message : `${message} (since ${clockText(since)})`;
}

const gapReasons: Readonly<Record<GapEvent["reason"], string>> = {
  evicted: "made room for newer jobs",
  removed: "removed",
  truncated: "the file was shortened on the host",
  received: "received before, and forgotten by the host",
};

function gapText({ host, stream, from, to, reason }: GapEvent): string {
  const bytes = to - from;
  return `${host}: ${String(bytes)} bytes of ${stream} (${String(from)} to ${String(to)}) are missing: ${gapReasons[reason]}`;
}
