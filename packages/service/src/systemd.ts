/** The machine's systemd, as far as a service of ours needs it. The one place that runs systemctl and journalctl. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { waitFor } from "./waiting.ts";

/** What systemd says of a unit. */
export interface UnitState {
  /** False: systemd knows no such unit. */
  readonly isLoaded: boolean;
  /** `active`, `activating`, `deactivating`, `inactive`, `failed`, `reloading`. */
  readonly active: string;
  /** E.g. `running`, `auto-restart`. */
  readonly sub: string;
  /** `enabled`, `disabled`, …; empty when there is no unit. */
  readonly enabled: string;
  /** The main process; `undefined` when there is none. */
  readonly pid: number | undefined;
  /** How often systemd has started it again by itself. */
  readonly restarts: number;
  /** When it became active, as systemd writes it; empty when it is not. */
  readonly since: string;
  /** The last `STATUS=` that it sent. */
  readonly status: string;
  /** `success`, `exit-code`, `watchdog`, `signal`, `timeout`, … of its last end. */
  readonly result: string;
}

const properties = {
  LoadState: "",
  ActiveState: "",
  SubState: "",
  UnitFileState: "",
  MainPID: "",
  NRestarts: "",
  ActiveEnterTimestamp: "",
  StatusText: "",
  Result: "",
};

export interface SystemdOptions {
  /** Where units of the administrator are. Default `/etc/systemd/system`. */
  readonly units?: string;
  /** Default `systemctl`, from the PATH. */
  readonly systemctl?: string;
  /** Default `journalctl`, from the PATH. */
  readonly journalctl?: string;
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Systemd {
  readonly #units: string;
  readonly #systemctl: string;
  readonly #journalctl: string;

  constructor(options: SystemdOptions = {}) {
    this.#units = options.units ?? "/etc/systemd/system";
    this.#systemctl = options.systemctl ?? "systemctl";
    this.#journalctl = options.journalctl ?? "journalctl";
  }

  /** Whether systemd is this machine's first process; as sd_booted(3) tells. */
  static get isRunning(): boolean {
    return existsSync("/run/systemd/system");
  }

  file(unit: string): string {
    return join(this.#units, unit);
  }

  /** The text of a unit of ours; `undefined` when there is none. */
  read(unit: string): string | undefined {
    try {
      return readFileSync(this.file(unit), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Writes a unit, whole or not at all, and tells systemd. Does nothing when it says that already. */
  async write(unit: string, text: string): Promise<void> {
    if (this.read(unit) !== text) {
      const file = this.file(unit);
      await mkdir(this.#units, { recursive: true });
      await writeFile(`${file}.new`, text, { mode: 0o644, flush: true });
      await rename(`${file}.new`, file);
    }
    // Always: a crash may have come between the two last time.
    await this.#must("daemon-reload");
  }

  async remove(unit: string): Promise<void> {
    await rm(this.file(unit), { force: true });
    await this.#must("daemon-reload");
    await this.#run("reset-failed", unit);
  }

  async enable(unit: string): Promise<void> {
    await this.#must("enable", "--quiet", unit);
  }

  /** Stops it, waits for its end, and starts it at no boot any more. Nothing when it is not there. */
  async disable(unit: string): Promise<void> {
    if (!(await this.show(unit)).isLoaded) return;
    await this.#must("stop", unit);
    await this.#must("disable", "--quiet", unit);
  }

  /** Only asks for it: `started` tells what became of it. */
  async restart(unit: string): Promise<void> {
    // One that fails over and over would show its old failures for those of this start.
    if ((await this.show(unit)).active === "activating") await this.#must("stop", unit);
    await this.#run("reset-failed", unit);
    await this.#must("restart", "--no-block", unit);
  }

  /**
   * Waits until a restarted unit has a main process other than `before` that has said that it is ready.
   * @throws OutpostError `start_failed` when it ended instead, `timeout`; both with the journal's last lines
   */
  async started(unit: string, before: number | undefined, timeoutMs: number): Promise<UnitState> {
    const since = Date.now();
    const state = await waitFor(
      async () => {
        const seen = await this.show(unit);
        if (seen.active === "active" && seen.pid !== undefined && seen.pid !== before) return seen;
        // `auto-restart`: systemd tries again by itself; whoever waits wants to know why it must.
        if (seen.active === "failed" || seen.sub === "auto-restart") {
          throw await this.#failed(
            ErrorCode.startFailed,
            `${unit} does not start (${seen.result})`,
            unit,
            since,
          );
        }
        return undefined;
      },
      { timeoutMs },
    );
    if (state !== undefined) return state;
    const seconds = String(Math.round(timeoutMs / 1000));
    throw await this.#failed(
      ErrorCode.timeout,
      `${unit} has not become active within ${seconds} s`,
      unit,
      since,
    );
  }

  async show(unit: string): Promise<UnitState> {
    const names = Object.keys(properties).join(",");
    const { stdout } = await this.#must("show", unit, `--property=${names}`);
    const found = new Map(
      stdout.split("\n").map((line) => {
        const at = line.indexOf("=");
        return [line.slice(0, at), line.slice(at + 1)] as const;
      }),
    );
    const text = (name: keyof typeof properties): string => found.get(name) ?? "";
    const pid = Number(text("MainPID"));
    return {
      isLoaded: text("LoadState") === "loaded",
      active: text("ActiveState"),
      sub: text("SubState"),
      enabled: text("UnitFileState"),
      pid: pid > 0 ? pid : undefined,
      restarts: Number(text("NRestarts")) || 0,
      since: text("ActiveEnterTimestamp"),
      status: text("StatusText"),
      result: text("Result"),
    };
  }

  /**
   * The last lines that a unit has logged, the oldest first, without systemd's notes on processes that are meant to run on;
   * none when the journal cannot be read.
   * @param since in milliseconds since 1970; default: whenever
   */
  async journal(unit: string, lines: number, since?: number): Promise<readonly string[]> {
    const from = since === undefined ? [] : [`--since=@${String(Math.floor(since / 1000))}`];
    // What a process has said just before its end may not be on record yet.
    await run(this.#journalctl, ["--sync"]);
    const args = [
      `--unit=${unit}`,
      `--lines=${String(readLines)}`,
      ...from,
      "--no-pager",
      "--output=cat",
      "--quiet",
    ];
    const { code, stdout } = await run(this.#journalctl, args);
    if (code !== 0) return [];
    return stdout
      .split("\n")
      .filter((line) => line !== "" && !isNoise(line))
      .slice(-lines)
      .map((line) => plainLine(line));
  }

  async #failed(code: ErrorCode, what: string, unit: string, since: number): Promise<OutpostError> {
    const said = await this.journal(unit, quotedLines, since - 1000);
    return new OutpostError(code, what + quoted(said, unit), { data: { unit } });
  }

  #run(...args: readonly string[]): Promise<Ran> {
    return run(this.#systemctl, args);
  }

  /** @throws OutpostError saying what systemctl says */
  async #must(...args: readonly string[]): Promise<Ran> {
    const ran = await this.#run(...args);
    if (ran.code === 0) return ran;
    const said = ran.stderr.trim() === "" ? `it exited with ${String(ran.code)}` : ran.stderr.trim();
    throw new OutpostError(ErrorCode.internal, `systemctl ${args.join(" ")} failed: ${said}`);
  }
}

/** How many lines of the journal are looked through: each job that runs on is noted with two. */
const readLines = 1_000;

/** `KillMode=process` leaves processes, and systemd says so each time, at the stop and at the start. */
function isNoise(line: string): boolean {
  return /Unit process \d+ .* remains running|Found left-over process|This usually indicates unclean/.test(
    line,
  );
}

/** How much of the journal an error quotes. */
const quotedLines = 12;

/** To follow what went wrong: the journal's lines, and where there are more. */
export function quoted(lines: readonly string[], unit: string): string {
  if (lines.length === 0) return `\nIt has logged nothing; see \`systemctl status ${unit}\``;
  return `\nIts journal (\`journalctl -u ${unit}\`) ends with:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

/** Our services log JSON lines, of which people want the message. */
function plainLine(line: string): string {
  try {
    const record: unknown = JSON.parse(line);
    if (typeof record !== "object" || record === null) return line;
    const { msg } = record as { readonly msg?: unknown };
    return typeof msg === "string" ? msg : line;
  } catch {
    return line;
  }
}

function run(program: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    // Messages that we quote are in one language, whoever installs.
    const env = { ...process.env, LC_ALL: "C.UTF-8" };
    execFile(program, [...args], { env, maxBuffer: 8 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, stdout, stderr });
      if (typeof error.code === "number") return resolve({ code: error.code, stdout, stderr });
      reject(
        new OutpostError(ErrorCode.notFound, `${program} cannot be run on this machine: ${error.message}`, {
          cause: error,
        }),
      );
    });
  });
}
