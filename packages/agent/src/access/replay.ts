/**
 * Which requests were carried out already, of those that must not be carried out twice. A request is known by who signed
 * it and its nonce; it is remembered until it has expired, also over a restart of the agent: in a file of lines,
 * appended to, and written anew when most of its lines have expired.
 *
 *     <operator id>.<nonce, base64url> <when it may be forgotten, milliseconds since 1970>
 */
import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { clockSkewMs, type VerifiedRequest } from "@outpost/access";
import { type Clock, ErrorCode, OutpostError } from "@outpost/protocol";
import { makePrivateDirectory } from "../private-directory.ts";

export interface ReplayOptions {
  /** In a directory of the agent's own, which is made. */
  readonly file: string;
  readonly clock: Pick<Clock, "now">;
  /** How many requests are remembered. Default 100,000: 15 MB. One more is refused with `limit_exceeded` until others
   * have expired; they come from operators, and one that is forgotten too early could be carried out again. */
  readonly maxRequests?: number;
  /** How many of them may be one operator's, who so cannot shut out the others. Default a quarter. */
  readonly maxRequestsOfOne?: number;
}

/** The file is written anew when it has this many lines more than it needs. */
const slackLines = 1_000;

export class Replay implements Disposable {
  readonly #options: ReplayOptions;
  readonly #maxRequests: number;
  readonly #maxRequestsOfOne: number;
  /** When each may be forgotten. */
  readonly #seen = new Map<string, number>();
  /** How many are each operator's, by id. */
  readonly #counts = new Map<string, number>();
  /** Before this moment none may be forgotten. */
  #firstUntil = Infinity;
  #lines = 0;
  #file: number;

  /** @throws when the file cannot be read or written */
  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#maxRequests = options.maxRequests ?? 100_000;
    this.#maxRequestsOfOne = options.maxRequestsOfOne ?? this.#maxRequests / 4;
    makePrivateDirectory(dirname(options.file));
    for (const [request, until] of readLines(options.file)) this.#remember(request, until);
    this.#file = this.#writeAnew();
  }

  /**
   * Notes a request; what returned is on record.
   * @returns false when it was noted before
   * @throws OutpostError `disk_full`, `limit_exceeded`: it is not noted
   */
  note({ id, nonce, expiresAt }: Pick<VerifiedRequest, "id" | "nonce" | "expiresAt">): boolean {
    const request = `${id}.${Buffer.from(nonce).toString("base64url")}`;
    if (this.#seen.has(request)) return false;
    this.#makeRoom(id);
    // As long as a verifier would take it.
    const until = expiresAt + clockSkewMs;
    this.#append(`${request} ${String(until)}\n`);
    this.#remember(request, until);
    return true;
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #remember(request: string, until: number): void {
    if (!this.#seen.has(request)) {
      const operator = operatorIn(request);
      this.#counts.set(operator, this.#countOf(operator) + 1);
    }
    this.#seen.set(request, until);
    this.#firstUntil = Math.min(this.#firstUntil, until);
  }

  #countOf(operator: string): number {
    return this.#counts.get(operator) ?? 0;
  }

  #isFull(operator: string): boolean {
    return this.#seen.size >= this.#maxRequests || this.#countOf(operator) >= this.#maxRequestsOfOne;
  }

  #makeRoom(operator: string): void {
    if (this.#lines < this.#seen.size + slackLines && !this.#isFull(operator)) return;
    this.#forgetExpired();
    if (this.#isFull(operator)) {
      const ofOne = this.#countOf(operator) >= this.#maxRequestsOfOne;
      const many = ofOne
        ? `${String(this.#maxRequestsOfOne)} requests of this operator`
        : `${String(this.#maxRequests)} requests`;
      throw new OutpostError(
        ErrorCode.limitExceeded,
        `this host remembers ${many} that have not expired, and takes no more; try again later`,
      );
    }
    if (this.#lines < this.#seen.size + slackLines) return;
    closeSync(this.#file);
    this.#file = this.#writeAnew();
  }

  #forgetExpired(): void {
    const now = this.#options.clock.now();
    // Whoever is refused asks again and again, and each time all would be looked at for nothing.
    if (now < this.#firstUntil) return;
    const kept = [...this.#seen].filter(([, until]) => until > now);
    this.#seen.clear();
    this.#counts.clear();
    this.#firstUntil = Infinity;
    for (const [request, until] of kept) this.#remember(request, until);
  }

  #append(line: string): void {
    try {
      const bytes = Buffer.from(line);
      // Half a line is none when it is read; the next one begins its own.
      if (writeSync(this.#file, bytes) < bytes.length) throw new Error("the disk is full");
      this.#lines++;
    } catch (cause) {
      throw new OutpostError(
        ErrorCode.diskFull,
        "this host cannot record the request, so that it could be carried out twice: its disk is full",
        { cause },
      );
    }
  }

  /** Replaces the file as a whole, if there is room; returns it, open to be appended to. */
  #writeAnew(): number {
    const { file } = this.#options;
    this.#forgetExpired();
    const lines = Array.from(this.#seen, ([request, until]) => `${request} ${String(until)}\n`);
    try {
      writeFileSync(`${file}.new`, lines.join(""), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch {
      // The file that is there holds all of it, and more than that.
    }
    this.#lines = lines.length;
    return openSync(file, "a", 0o600);
  }
}

function operatorIn(request: string): string {
  return request.slice(0, request.indexOf("."));
}

function readLines(file: string): [string, number][] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const lines = text.matchAll(/^([0-9a-z]+\.[\w-]+) (\d+)$/gm);
  return Array.from(lines, ([, request, until]) => [request!, Number(until)]);
}
