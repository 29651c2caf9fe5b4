/**
 * Spans for OpenTelemetry, exported by OTLP over HTTP. Loaded only where the standard variables ask for it. One trace a fan-out job:
 *
 *     fanout.start ──▶ fanout (until its last job has ended) ──▶ dispatch      starts sent, until the last of them is answered
 *                                                           └──▶ fanout.receive, fanout.stop, …   what else is asked about it
 *
 * Every other request of an operator is a trace of its own. No span holds a command, output, or anything of a host.
 */
import {
  type Context,
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { JobState } from "@outpost/protocol";
import type { Logger } from "pino";
import type { FanOut } from "../fan-out.ts";
import { softwareVersion } from "../greeting.ts";
import type { ObservedRequest, Observer, RequestAbout } from "../observer.ts";
import { batchingIn, type Sampling, samplingIn } from "./environment.ts";

export interface Tracing extends Observer, AsyncDisposable {}

/** What is open of a fan-out job. */
interface OpenFanOut {
  readonly span: Span;
  readonly context: Context;
  dispatch: Span | undefined;
  unanswered: number;
}

/** Outcomes that are nobody's fault: whoever asked does not want to know any more. */
const calm: ReadonlySet<string> = new Set(["ok", "cancelled", "disconnected"]);

/** How long the last spans may take to be exported when the controller leaves, in milliseconds. */
const leavingMs = 3_000;

/** @param env is `process.env`: the exporter reads its own variables there */
export function startTracing(env: NodeJS.ProcessEnv, log: Logger): Tracing {
  const say = (message: string): void => log.warn(`tracing: ${message}`);
  diag.setLogger(
    { error: say, warn: say, info() {}, debug() {}, verbose() {} },
    { logLevel: DiagLogLevel.WARN },
  );
  const { problem, ...sampling } = samplingIn(env);
  if (problem !== undefined) say(`${problem}; everything is traced`);
  const protocol = env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] ?? env["OTEL_EXPORTER_OTLP_PROTOCOL"];
  if (protocol !== undefined && protocol !== "http/json") {
    say(
      `OTLP is spoken as http/json, not as ${protocol}; collectors take that at the same port as http/protobuf`,
    );
  }
  const resource = defaultResource()
    .merge(
      resourceFromAttributes({ "service.name": "outpost-controller", "service.version": softwareVersion }),
    )
    .merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }));
  const processor = new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), ...batchingIn(env) });
  const provider = new TracerProvider({
    sampler: samplerOf(sampling),
    resource,
    spanProcessors: [processor],
  });
  return new Spans(provider, log);
}

function samplerOf({ kind, ratio, isParentBased }: Sampling): Sampler {
  const root = {
    on: () => new AlwaysOnSampler(),
    off: () => new AlwaysOffSampler(),
    ratio: () => new TraceIdRatioBasedSampler(ratio),
  }[kind]();
  return isParentBased ? new ParentBasedSampler({ root }) : root;
}

class Spans implements Tracing {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #log: Logger;
  /** By the fan-out job's id. */
  readonly #fanOuts = new Map<string, OpenFanOut>();
  /** Requests that begin a fan-out job, by its id. */
  readonly #starts = new Map<string, Context>();

  constructor(provider: TracerProvider, log: Logger) {
    this.#provider = provider;
    this.#tracer = provider.getTracer("outpost-controller", softwareVersion);
    this.#log = log;
  }

  request({ method, operator, params }: RequestAbout): ObservedRequest {
    const job = "job" in params && typeof params.job === "string" ? params.job : undefined;
    const parent = this.#fanOuts.get(job ?? "")?.context ?? ROOT_CONTEXT;
    const attributes = {
      "rpc.method": method,
      "outpost.operator": operator,
      ...(job === undefined ? {} : { "outpost.job": job }),
    };
    const span = this.#tracer.startSpan(method, { kind: SpanKind.SERVER, attributes }, parent);
    const begins = method === "fanout.start" ? job : undefined;
    if (begins !== undefined) this.#starts.set(begins, trace.setSpan(parent, span));
    return {
      ended: (code) => {
        if (begins !== undefined) this.#starts.delete(begins);
        span.setAttribute("outpost.outcome", code);
        if (!calm.has(code)) {
          span.setAttribute("error.type", code);
          span.setStatus({ code: SpanStatusCode.ERROR, message: code });
        }
        span.end();
      },
    };
  }

  fanOutBegun({ id, jobs, operator, mode }: FanOut): void {
    const parent = this.#starts.get(id) ?? ROOT_CONTEXT;
    const attributes = {
      "outpost.job": id,
      "outpost.operator": operator,
      "outpost.mode": mode,
      "outpost.hosts": jobs.length,
    };
    const span = this.#tracer.startSpan("fanout", { attributes }, parent);
    this.#fanOuts.set(id, { span, context: trace.setSpan(parent, span), dispatch: undefined, unanswered: 0 });
  }

  startSent({ id }: FanOut): void {
    const open = this.#fanOuts.get(id);
    if (open === undefined) return;
    open.dispatch ??= this.#tracer.startSpan("dispatch", { attributes: { "outpost.job": id } }, open.context);
    open.unanswered++;
  }

  startAnswered({ id }: FanOut): void {
    const open = this.#fanOuts.get(id);
    if (open === undefined || --open.unanswered > 0) return;
    open.dispatch?.end();
    open.dispatch = undefined;
  }

  fanOutEnded({ id, jobs }: FanOut): void {
    const open = this.#fanOuts.get(id);
    if (open === undefined) return;
    const counts: Partial<Record<JobState, number>> = {};
    for (const { status } of jobs) counts[status.state] = (counts[status.state] ?? 0) + 1;
    for (const [state, count] of Object.entries(counts))
      open.span.setAttribute(`outpost.jobs.${state}`, count);
    this.#end(id, open);
  }

  // Of these there are numbers (`metrics/`), and no spans.
  accepted(): void {}
  refused(): void {}
  presence(): void {}
  jobEnded(): void {}
  relayed(): void {}
  reading(): void {}

  /** What goes on without the controller ends here as a span. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [id, open] of this.#fanOuts) {
      open.span.setAttribute("outpost.outcome", "controller_stopped");
      this.#end(id, open);
    }
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, leavingMs);
    const shutdown = this.#provider.shutdown().catch((error: unknown) => {
      this.#log.warn({ err: error }, "tracing: the last spans were not exported");
    });
    await Promise.race([shutdown, late]);
    clearTimeout(timer);
  }

  #end(id: string, open: OpenFanOut): void {
    open.dispatch?.end();
    open.span.end();
    this.#fanOuts.delete(id);
  }
}
