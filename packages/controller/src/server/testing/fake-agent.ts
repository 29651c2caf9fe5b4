/**
 * An agent whose jobs and sessions are scripted: it speaks the real protocol over any socket and keeps them over its connections, as
 * a host does. For tests of the controller.
 */
import {
  agentMethods,
  type Authorization,
  controllerAgentMethods,
  type EndReason,
  ErrorCode,
  type Exit,
  type Facts,
  type Handlers,
  type JobId,
  type JobOrigin,
  type JobStartParams,
  type JobState,
  type JobStatus,
  limits,
  type MessageSocket,
  newJobId,
  OutpostError,
  type OutputName,
  Peer,
  type StreamName,
  supportedVersions,
  type Tail,
} from "@outpost/protocol";
import { FakeSessions } from "./fake-sessions.ts";

type Methods = typeof agentMethods;
type FakePeer = Peer<Methods, typeof controllerAgentMethods>;

export const fakeFacts: Facts = {
  platform: "linux",
  os: "Test Linux",
  kernel: "1",
  arch: "x64",
  hostname: "fake",
  cpus: 1,
  memoryBytes: 1,
  agentVersion: "0",
  bootId: "boot",
};

/** A job on the fake host. */
export class FakeJob {
  readonly params: JobStartParams;
  readonly output: Record<StreamName, Buffer> = {
    stdout: Buffer.alloc(0),
    stderr: Buffer.alloc(0),
    timeline: Buffer.alloc(0),
  };
  readonly received: Record<OutputName, number> = { stdout: 0, stderr: 0 };
  state: JobState = "running";
  exit: Exit | undefined;
  reason: EndReason | undefined;
  isRemoved = false;
  /** Set: it was started on the host itself. */
  origin: JobOrigin | undefined;
  input: Buffer = Buffer.alloc(0);
  isInputComplete = false;
  readonly #changed: () => void;

  constructor(params: JobStartParams, changed: () => void) {
    this.params = params;
    this.#changed = changed;
  }

  write(name: StreamName, bytes: Uint8Array | string): void {
    this.output[name] = Buffer.concat([this.output[name], Buffer.from(bytes)]);
    this.#changed();
  }

  end(code = 0): void {
    this.exit = { code };
    this.state = code === 0 ? "completed" : "failed";
    this.#changed();
  }

  get isEnded(): boolean {
    return this.state !== "running" && this.state !== "pending";
  }

  get status(): JobStatus {
    return {
      job: this.params.job,
      state: this.state,
      startedAt: 1_000,
      ...(this.isEnded ? { endedAt: 2_000 } : {}),
      ...(this.exit === undefined ? {} : { exit: this.exit }),
      ...(this.reason === undefined ? {} : { reason: this.reason }),
      ...(this.origin === undefined ? {} : { origin: this.origin }),
      ...(this.isRemoved ? { removed: true } : {}),
      output: {
        stdout: { written: this.output.stdout.byteLength, received: this.received.stdout },
        stderr: { written: this.output.stderr.byteLength, received: this.received.stderr },
      },
    };
  }
}

export class FakeAgent {
  readonly jobs = new Map<JobId, FakeJob>();
  readonly sessions = new FakeSessions();
  /** The methods that were asked, and with which params. */
  readonly calls: string[] = [];
  readonly requests: { readonly method: string; readonly params: unknown }[] = [];
  /** The protocol versions that it speaks. */
  versions: { readonly min: number; readonly max: number } = supportedVersions;
  /** The next start is lost: the connection ends with it, and the host has not heard of it. */
  losesStart = false;
  /** When set, reads, stops and removals are answered with this. */
  refuse: OutpostError | undefined;
  /** Called for each job that really starts. */
  onStart: (job: FakeJob) => void = () => {};
  /** When set, starts are answered with this. */
  refuseStart: OutpostError | undefined;
  /** The largest piece of output that is sent at once, in bytes. */
  pieceBytes = 8_000;
  peer: FakePeer | undefined;
  readonly #waiting = new Set<() => void>();

  /** Says hello and tells what it holds. Resolves when the controller has taken it in. */
  async connect(socket: MessageSocket): Promise<FakePeer> {
    const peer: FakePeer = new Peer(socket, {
      local: agentMethods,
      remote: controllerAgentMethods,
      handlers: this.#handlers(() => peer),
    });
    this.peer = peer;
    await peer.request("hello", {
      versions: this.versions,
      software: "fake",
      maxMessageBytes: limits.maxMessageBytes,
      facts: fakeFacts,
    });
    const jobs = [...this.jobs.values()].filter((job) => !job.isRemoved).map((job) => job.status);
    await peer.request("inventory", { jobs, last: true });
    await this.sessions.connected(peer);
    return peer;
  }

  /** Starts a job as somebody on the host does; the controller is told, if it is connected. */
  startLocally(origin: JobOrigin, id: JobId = newJobId()): FakeJob {
    const job = this.#hold({
      job: id,
      spec: { command: { kind: "shell", text: origin.command }, env: {}, input: { kind: "none" } },
      operator: origin.user,
      expiresAt: 0,
      inlineWaitMs: 0,
    });
    job.origin = origin;
    this.#changed(job, true);
    return job;
  }

  job(id: JobId): FakeJob {
    const job = this.jobs.get(id);
    if (job === undefined) throw new Error(`no job ${id} on the fake host`);
    return job;
  }

  count(method: string): number {
    return this.calls.filter((call) => call === method).length;
  }

  /** What was signed of each request of that method, in their order. */
  authorizations(method: string): (Authorization | undefined)[] {
    return this.requests.flatMap((request) =>
      request.method === method ? [(request.params as { authorization?: Authorization }).authorization] : [],
    );
  }

  #hold(params: JobStartParams): FakeJob {
    let state = "";
    const job: FakeJob = new FakeJob(params, () => {
      const isState = job.state !== state;
      state = job.state;
      this.#changed(job, isState);
    });
    this.jobs.set(params.job, job);
    return job;
  }

  #changed(job: FakeJob | undefined, isState: boolean): void {
    for (const wake of this.#waiting) wake();
    if (job !== undefined && isState) this.peer?.notify("job.changed", { status: job.status });
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", () => {
        this.#waiting.delete(wake);
        reject(signal.reason as Error);
      });
    });
  }

  #find(id: JobId): FakeJob {
    const job = this.jobs.get(id);
    if (job === undefined) throw new OutpostError(ErrorCode.notFound, `no job ${id} here`);
    return job;
  }

  #handlers(peer: () => FakePeer): Handlers<Methods> {
    const counted = <T extends unknown[], R>(method: string, handler: (...args: T) => R) => {
      return (...args: T): R => {
        this.calls.push(method);
        this.requests.push({ method, params: args[0] });
        return handler(...args);
      };
    };
    return {
      "job.start": counted("job.start", async (params, call) => {
        if (this.refuseStart !== undefined) throw this.refuseStart;
        if (this.losesStart) {
          this.losesStart = false;
          const lost = new OutpostError(ErrorCode.disconnected, "the start was lost");
          peer().abort(lost);
          throw lost;
        }
        let job = this.jobs.get(params.job);
        if (job === undefined) {
          job = this.#hold(params);
          this.onStart(job);
        }
        const deadline = performance.now() + params.inlineWaitMs;
        while (!job.isEnded && performance.now() < deadline) {
          const timeout = AbortSignal.timeout(Math.ceil(deadline - performance.now()));
          await this.#next(AbortSignal.any([call.signal, timeout])).catch(() => {});
          call.signal.throwIfAborted();
        }
        return { status: job.status, ...this.#tail(job) };
      }),
      "job.read": counted("job.read", async (params, call) => {
        if (this.refuse !== undefined) throw this.refuse;
        const job = this.#find(params.job);
        const names = (["stdout", "stderr", "timeline"] as const).filter(
          (name) => params.from[name] !== undefined,
        );
        await Promise.all(
          names.map(async (name) => {
            const stream = peer().openStream();
            let from = params.from[name]!;
            if (job.isRemoved && from < job.output[name].byteLength) {
              call.emit("read.gap", {
                name,
                gap: { from, to: job.output[name].byteLength, reason: "received" },
              });
              from = job.output[name].byteLength;
            }
            call.emit("read.opened", { stream: stream.number, name, offset: from });
            stream.begin(from, params.window);
            for (;;) {
              const left = job.output[name].byteLength - stream.offset;
              if (left > 0) {
                const room = Math.min(await stream.ready(call.signal), left, this.pieceBytes);
                stream.send(job.output[name].subarray(stream.offset, stream.offset + room));
              } else if (job.isEnded || !params.follow) break;
              else await this.#next(call.signal);
            }
            stream.end();
          }),
        );
        return { status: job.status };
      }),
      "job.acknowledge": counted("job.acknowledge", ({ job: id, received }) => {
        const job = this.jobs.get(id);
        if (job === undefined) return {};
        for (const name of ["stdout", "stderr"] as const) {
          job.received[name] = Math.max(job.received[name], received[name] ?? 0);
        }
        const isAll = (["stdout", "stderr"] as const).every(
          (name) => job.received[name] >= job.output[name].byteLength,
        );
        if (job.isEnded && isAll) job.isRemoved = true;
        return {};
      }),
      "job.status": counted("job.status", ({ jobs }) => ({
        jobs: jobs.flatMap((id) => (this.jobs.has(id) ? [this.job(id).status] : [])),
      })),
      "job.stop": counted("job.stop", ({ job: id, operator }) => {
        if (this.refuse !== undefined) throw this.refuse;
        const job = this.#find(id);
        if (!job.isEnded) {
          job.exit = { signal: "SIGTERM" };
          job.reason = { code: "stopped", message: `stopped by ${operator}`, by: operator };
          job.state = "stopped";
          this.#changed(job, true);
        }
        return { status: job.status };
      }),
      "job.remove": counted("job.remove", ({ job: id }) => {
        if (this.refuse !== undefined) throw this.refuse;
        const job = this.jobs.get(id);
        if (job?.isEnded === false) throw new OutpostError(ErrorCode.conflict, "it still runs");
        if (job !== undefined) job.isRemoved = true;
        return {};
      }),
      "job.input": counted("job.input", async ({ job: id, stream: number }, call) => {
        const job = this.#find(id);
        const done = Promise.withResolvers<void>();
        const stream = peer().acceptStream(
          number,
          { offset: job.input.byteLength, window: 64 * 1024 },
          {
            chunk(offset, bytes) {
              job.input = Buffer.concat([job.input, bytes]);
              stream.grant(offset + bytes.byteLength + 64 * 1024);
            },
            end: (error) => (error === undefined ? done.resolve() : done.reject(error)),
          },
        );
        call.emit("input.ready", { offset: job.input.byteLength, window: 64 * 1024 });
        await done.promise;
        job.isInputComplete = true;
        return { size: job.input.byteLength };
      }),
      ...this.sessions.handlers(peer, counted),
      goodbye: () => {},
      "certificate.outdated": () => {
        this.calls.push("certificate.outdated");
      },
    };
  }

  #tail(job: FakeJob): { tail?: Tail } {
    const { stdout, stderr, timeline } = job.output;
    if (
      !job.isEnded ||
      stdout.byteLength + stderr.byteLength + timeline.byteLength > limits.maxInlineOutputBytes
    )
      return {};
    const chunk = (bytes: Uint8Array) => ({ offset: 0, bytes });
    return { tail: { stdout: chunk(stdout), stderr: chunk(stderr), timeline: chunk(timeline) } };
  }
}
