/** A directory for an audit log in a test, and what tests do to its files. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog, type AuditLogOptions } from "../audit-log.ts";

export class LogDirectory implements Disposable {
  readonly #base = mkdtempSync(join(tmpdir(), "outpost-audit-"));
  readonly path = join(this.#base, "audit");
  /** The time of the next line; each line takes a second. */
  now = 1_700_000_000_000;

  open(options: Partial<AuditLogOptions> = {}): AuditLog {
    return AuditLog.open({ directory: this.path, clock: { now: () => (this.now += 1_000) }, ...options });
  }

  file(name = "audit.ndjson"): string {
    return join(this.path, name);
  }

  /** The oldest first. */
  names(): string[] {
    return readdirSync(this.path).sort((left, right) => (left < right ? -1 : 1));
  }

  read(name?: string): string {
    return readFileSync(this.file(name), "utf8");
  }

  write(content: string | Uint8Array, name?: string): void {
    writeFileSync(this.file(name), content);
  }

  /** Without their newlines. */
  lines(name?: string): string[] {
    return this.read(name).split("\n").slice(0, -1);
  }

  setLines(lines: readonly string[], name?: string): void {
    this.write(lines.map((line) => `${line}\n`).join(""), name);
  }

  [Symbol.dispose](): void {
    rmSync(this.#base, { recursive: true, force: true });
  }
}
