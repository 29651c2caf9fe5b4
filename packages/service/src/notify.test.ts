import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Clock } from "@outpost/protocol";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Notifier } from "./notify.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "outpost-notify-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Time that stands still until it is moved; a timer may be held up, as by a busy event loop. */
class HeldClock implements Clock {
  #ms = 0;
  #timers: { due: number; callback: () => void }[] = [];

  now(): number {
    return this.#ms;
  }
  monotonicMs(): number {
    return this.#ms;
  }
  after(delayMs: number, callback: () => void): () => void {
    const timer = { due: this.#ms + delayMs, callback };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((each) => each !== timer));
  }
  /** Runs what is due, in order. */
  pass(ms: number): void {
    const end = this.#ms + ms;
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.due - b.due)[0];
      if (next === undefined || next.due > end) break;
      this.#ms = Math.max(this.#ms, next.due);
      this.#run(next);
    }
    this.#ms = end;
  }
  /** Nothing runs meanwhile; then what is due does. */
  hang(ms: number): void {
    this.#ms += ms;
    this.pass(0);
  }
  #run(timer: { due: number; callback: () => void }): void {
    this.#timers = this.#timers.filter((each) => each !== timer);
    timer.callback();
  }
}

/** A systemd-notify that writes down what it is told. */
class Recorder {
  readonly program: string;
  readonly #file: string;

  constructor(delayS = 0) {
    this.#file = join(folder, "told");
    this.program = join(folder, "notify");
    writeFileSync(this.#file, "");
    const text = `#!/bin/sh\nshift\nsleep ${String(delayS)}\nprintf '%s;' "$@" >>'${this.#file}'\necho >>'${this.#file}'\n`;
    writeFileSync(this.program, text);
    chmodSync(this.program, 0o755);
  }

  get told(): string[] {
    return readFileSync(this.#file, "utf8").split("\n").slice(0, -1);
  }
}

const environment = (more: Record<string, string> = {}): NodeJS.ProcessEnv => ({
  NOTIFY_SOCKET: join(folder, "socket"),
  WATCHDOG_USEC: "30000000",
  WATCHDOG_PID: String(process.pid),
  ...more,
});

describe("what is told", () => {
  test("ready, the last of several statuses, leaving; one after the other", async () => {
    const recorder = new Recorder(0.05);
    using notifier = new Notifier({ environment: environment(), program: recorder.program });
    notifier.status("too early to say");
    const ready = notifier.ready("connecting");
    for (let i = 0; i < 20; i++) notifier.status(`attempt ${String(i)}\nof many`);
    await ready;
    await notifier.stopping();
    notifier.status("too late");
    expect(recorder.told).toEqual([
      "READY=1;STATUS=connecting;",
      "STATUS=attempt 19 of many;",
      "STOPPING=1;",
    ]);
  });

  test("a systemd that cannot be told is a fault, and no more", async () => {
    const fault = vi.fn<(error: Error) => void>();
    using notifier = new Notifier({ environment: environment(), program: join(folder, "absent"), fault });
    await notifier.ready("works");
    expect(fault.mock.calls[0]![0].message).toMatch(/^systemd was not told READY=1, STATUS=works: .*ENOENT/);
  });

  test("nothing without a socket, and no child hears of ours", async () => {
    const recorder = new Recorder();
    const bare: NodeJS.ProcessEnv = { WATCHDOG_USEC: "1000" };
    using silent = new Notifier({ environment: bare, program: recorder.program });
    await silent.ready("works");
    await silent.stopping();
    expect(silent.watchdogMs).toBeUndefined();
    const full = environment({ PATH: "/bin" });
    using _told = new Notifier({ environment: full, program: recorder.program });
    expect([bare, full]).toEqual([{}, { PATH: "/bin" }]);
    expect(recorder.told).toEqual([]);
  });
});

describe("the watchdog", () => {
  const feedings = (recorder: Recorder): number =>
    recorder.told.filter((line) => line.includes("WATCHDOG=1")).length;
  const started = async (recorder: Recorder, clock: Clock, more = {}): Promise<Notifier> => {
    const notifier = new Notifier({ environment: environment(more), program: recorder.program, clock });
    await notifier.ready("works");
    return notifier;
  };

  test("is fed at half of its time", async () => {
    const recorder = new Recorder();
    const clock = new HeldClock();
    using _notifier = await started(recorder, clock);
    clock.pass(14_999);
    expect(feedings(recorder)).toBe(0);
    for (let fed = 1; fed <= 4; fed++) {
      clock.pass(15_000);
      await vi.waitFor(() => expect(feedings(recorder)).toBe(fed));
    }
  });

  test("is not fed by an event loop that lags, and is again once that keeps up", async () => {
    const recorder = new Recorder();
    const clock = new HeldClock();
    using notifier = await started(recorder, clock);
    clock.hang(15_000 + 7_501);
    // Lags on: each look comes late again.
    for (let i = 0; i < 3; i++) clock.hang(1_000 + 7_501);
    await notifier.stopping();
    expect(recorder.told.at(-1), "whatever was to be told before it, was").toBe("STOPPING=1;");
    expect(feedings(recorder)).toBe(0);
    using _other = await started(recorder, clock);
    clock.hang(15_000 + 7_501);
    clock.pass(1_000);
    await vi.waitFor(() => expect(feedings(recorder)).toBe(1));
  });

  test("is not fed while the service leaves, nor after it was disposed", async () => {
    const recorder = new Recorder();
    const clock = new HeldClock();
    const leaving = await started(recorder, clock);
    await leaving.stopping();
    const disposed = await started(recorder, clock);
    disposed[Symbol.dispose]();
    clock.pass(600_000);
    using last = await started(recorder, clock);
    await last.stopping();
    expect(feedings(recorder)).toBe(0);
  });

  test("of another process is not ours", async () => {
    const recorder = new Recorder();
    using notifier = await started(recorder, new HeldClock(), { WATCHDOG_PID: "1" });
    expect(notifier.watchdogMs).toBeUndefined();
  });
});

// The real systemd-notify, and a socket as systemd's: a datagram's sender shows in its credentials.
const hasBoth = [
  ["systemd-notify", "--version"],
  ["python3", "--version"],
].every(([program, option]) => spawnSync(program!, [option!]).status === 0);

describe.skipIf(!hasBoth)("a datagram socket", () => {
  const listener = `
import socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind(sys.argv[1])
print("listens", flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, 1024)
    pid = [struct.unpack("3i", value[:12])[0] for _, kind, value in ancillary if kind == socket.SCM_CREDENTIALS]
    for kind, value in [(kind, value) for _, kind, value in ancillary if kind == socket.SCM_RIGHTS]:
        for fd in struct.unpack(str(len(value) // 4) + "i", value): __import__("os").close(fd)
    print(pid[0], data.decode().replace("\\n", ";"), flush=True)
`;
  let child: ChildProcess;
  afterEach(() => void child.kill("SIGKILL"));

  test("gets it, as root in the name of the service itself", async () => {
    const socket = join(folder, "socket");
    child = spawn("python3", ["-c", listener, socket], { stdio: ["ignore", "pipe", "inherit"] });
    const lines: string[] = [];
    createInterface({ input: child.stdout! }).on("line", (line) => lines.push(line));
    await vi.waitFor(() => expect(lines).toEqual(["listens"]), 10_000);
    const faults: Error[] = [];
    const fault = (error: Error): void => void faults.push(error);
    using notifier = new Notifier({ environment: environment({ WATCHDOG_USEC: "100000" }), fault });
    await notifier.ready("connecting");
    await vi.waitFor(
      () => expect(lines.filter((line) => line.includes("WATCHDOG=1")).length).toBeGreaterThan(2),
      10_000,
    );
    await notifier.stopping();
    expect(faults).toEqual([]);
    const said = lines.slice(1).filter((line) => !line.includes("BARRIER"));
    expect(said[0]).toMatch(/^\d+ READY=1;STATUS=connecting/);
    expect(said.at(-1)).toMatch(/^\d+ STOPPING=1/);
    // What `NotifyAccess=main` asks for.
    if (process.getuid?.() === 0) {
      expect(new Set(said.map((line) => line.split(" ")[0]))).toEqual(new Set([String(process.pid)]));
    }
  });
});
