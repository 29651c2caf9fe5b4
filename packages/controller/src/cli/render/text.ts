/**
 * For people and pipes, as it comes. Output of one host goes out byte for byte; that of several line by line with the host before
 * each. Everything that is not output goes to stderr.
 */
import type { JobEvent, OutEvent } from "../../client/index.ts";
import { hasColor, hostColored } from "./color.ts";
import { LinePrefixer } from "./line-prefixer.ts";
import type { Notices } from "./notices.ts";
import { printable } from "./printable.ts";
import type { Renderer, RendererOptions } from "./renderer.ts";
import { RollCall } from "./roll-call.ts";
import { say, type Sink, stderr, stdout } from "./sink.ts";

const sinks: Readonly<Record<OutEvent["stream"], Sink>> = { stdout, stderr };

export class TextRenderer implements Renderer {
  readonly #timestamps: boolean;
  readonly #quiet: boolean;
  readonly #hasPrefix: boolean;
  readonly #hasColor: Readonly<Record<OutEvent["stream"], boolean>>;
  readonly #prefixers = new Map<string, LinePrefixer>();
  readonly #prefixes = new Map<string, Buffer>();
  readonly #rollCall = new RollCall();
  /** Made for the first one: most commands have none. */
  #notices: Notices | undefined;

  constructor(options: Omit<RendererOptions, "format">) {
    const { timestamps, quiet = false, prefix = true, color = "auto" } = options;
    this.#timestamps = timestamps;
    this.#quiet = quiet;
    this.#hasPrefix = prefix;
    this.#hasColor = { stdout: hasColor(color, 1), stderr: hasColor(color, 2) };
  }

  async event(event: JobEvent): Promise<void> {
    this.#rollCall.note(event);
    switch (event.type) {
      case "out":
        await this.#out(event);
        return;
      case "gap":
        await this.#gap(event);
        return;
      case "notice":
        this.#notices ??= new (await import("./notices.ts")).Notices();
        await this.#notices.note(event);
        return;
      case "exit":
        await this.#flush(event.host);
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
    if (!this.#quiet) await this.#rollCall.say();
  }

  async finish(): Promise<void> {
    await this.#notices?.flush();
    for (const key of this.#prefixers.keys()) await this.#flushKey(key);
  }

  unwritten(host: string, stream: OutEvent["stream"]): number {
    return this.#prefixers.get(`${stream} ${host}`)?.heldBytes ?? 0;
  }

  #out({ host, stream, bytes, time }: OutEvent): Promise<void> {
    if (!this.#rollCall.several && !this.#timestamps) return sinks[stream].write(bytes);
    return sinks[stream].write(this.#prefixer(host, stream).push(bytes, this.#prefix(host, stream, time)));
  }

  #prefix(host: string, stream: OutEvent["stream"], time: number | undefined): Buffer {
    if (this.#timestamps) {
      const when = time === undefined ? "-" : new Date(time).toISOString();
      return Buffer.from(`${when} ${this.#name(host, stream)}`);
    }
    const key = `${stream} ${host}`;
    let prefix = this.#prefixes.get(key);
    if (prefix === undefined) {
      prefix = Buffer.from(this.#name(host, stream));
      this.#prefixes.set(key, prefix);
    }
    return prefix;
  }

  #name(host: string, stream: OutEvent["stream"]): string {
    if (!this.#rollCall.several || !this.#hasPrefix) return "";
    const name = `${printable(host)}:`;
    return `${this.#hasColor[stream] ? hostColored(host, name) : name} `;
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

  async #gap(event: Extract<JobEvent, { type: "gap" }>): Promise<void> {
    // What an earlier receive has taken is no loss, and nobody asked for it but with --from-start.
    await this.#flush(event.host);
    const { gapText } = await import("./notices.ts");
    await say(`${event.host}: ${gapText(event)}`);
  }
}
