/** Spans as a collector gets them: a controller as a process of its own, which exports to an HTTP server of the test. */
import { spawn } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startParams, until } from "../testing/bench.ts";
import { RealController } from "../testing/real-controller.ts";
import { batchingIn, isTracingAsked, samplingIn } from "./environment.ts";

interface ExportedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly status: { readonly code?: number };
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: ExportedSpan["attributes"] };
    readonly scopeSpans: readonly { readonly spans: readonly ExportedSpan[] }[];
  }[];
}

describe("what the variables say", () => {
  test.each([
    [{}, false],
    [{ OTEL_SERVICE_NAME: "x" }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "" }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" }, true],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:4318/v1/traces" }, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318", OTEL_SDK_DISABLED: "true" }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318", OTEL_TRACES_EXPORTER: "none" }, false],
  ])("%o: traced %s", (env, asked) => {
    expect(isTracingAsked(env)).toBe(asked);
  });

  test("samplers are those of the specification, and what is none of them is said", () => {
    const sampling = (name: string, arg?: string) =>
      samplingIn({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: arg });
    expect(samplingIn({})).toEqual({ kind: "on", ratio: 1, isParentBased: true });
    expect(sampling("always_off")).toEqual({ kind: "off", ratio: 1, isParentBased: false });
    expect(sampling("parentbased_traceidratio", "0.25")).toEqual({
      kind: "ratio",
      ratio: 0.25,
      isParentBased: true,
    });
    expect(sampling("jaeger_remote").problem).toContain("jaeger_remote");
    expect(sampling("traceidratio", "often").problem).toContain("often");
    expect(batchingIn({ OTEL_BSP_SCHEDULE_DELAY: "250", OTEL_BSP_MAX_QUEUE_SIZE: "no" })).toEqual({
      scheduledDelayMillis: 250,
    });
  });
});

test("without the variables no module of OpenTelemetry or prom-client is loaded", async () => {
  const script = `
    import { registerHooks } from "node:module";
    const seen = [];
    registerHooks({ load(url, context, next) { seen.push(url); return next(url, context); } });
    const { RealController } = await import(${JSON.stringify(new URL("../testing/real-controller.ts", import.meta.url).href)});
    const real = await RealController.create({}, { env: {} });
    await real.ask((client) => client.request("host.list", {}));
    await real[Symbol.asyncDispose]();
    console.log(JSON.stringify(seen.filter((url) => /opentelemetry|prom-client/.test(url))));
  `;
  expect(JSON.parse(await run(script))).toEqual([]);
});

function run(script: string): Promise<string> {
  const argv = ["--conditions=source", "--input-type=module", "--eval", script];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
    child.stderr.on("data", (piece: Buffer) => (err += piece.toString()));
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve(out) : reject(new Error(err))));
  });
}

describe("spans", () => {
  let collector: Server;
  const exports: Export[] = [];
  let env: NodeJS.ProcessEnv;
  const set = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME", "OTEL_BSP_SCHEDULE_DELAY"];

  beforeAll(async () => {
    collector = createServer((request, response) => {
      let body = "";
      request.on("data", (piece: Buffer) => (body += piece.toString()));
      request.on("end", () => {
        if (request.url === "/v1/traces" && request.method === "POST")
          exports.push(JSON.parse(body) as Export);
        response.writeHead(200, { "Content-Type": "application/json" });
        response.end("{}");
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
    const { port } = collector.address() as AddressInfo;
    // The exporter reads the process's own.
    process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = `http://127.0.0.1:${String(port)}`;
    process.env["OTEL_SERVICE_NAME"] = "our-controller";
    process.env["OTEL_BSP_SCHEDULE_DELAY"] = "50";
    env = process.env;
  });
  afterAll(async () => {
    for (const name of set) delete process.env[name];
    collector.closeAllConnections();
    await new Promise((resolve) => collector.close(resolve));
  });

  const spans = (): ExportedSpan[] =>
    exports.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)),
    );
  const valueOf = (span: ExportedSpan | undefined, key: string): unknown =>
    Object.values(span?.attributes.find((attribute) => attribute.key === key)?.value ?? {})[0];

  test("a fan-out job is one trace: its request, itself, its starts, its receive; what fails is an error", async () => {
    await using real = await RealController.create({}, { env });
    const host = await real.join("web1");
    const { FakeAgent } = await import("../testing/fake-agent.ts");
    const agent = new FakeAgent();
    await real.agent(host, agent);
    const params = startParams("web1", { receiving: true });
    const job = params.job;
    await real.ask(async (client) => {
      await until(() => agent.peer !== undefined);
      await client.request("fanout.start", params);
      const ended = client.request("fanout.wait", { job, any: false });
      await until(() => agent.jobs.has(job), "the start");
      agent.job(job).end();
      await ended;
      await expect(client.request("fanout.start", startParams("nobody"))).rejects.toMatchObject({
        code: "not_found",
      });
    });
    await until(() => spans().some(({ name }) => name === "fanout"), "the spans");
    await until(() => spans().some(({ name }) => name === "fanout.wait"), "the last span");
    const of = (name: string): ExportedSpan =>
      spans().find((span) => span.name === name && valueOf(span, "outpost.job") === job)!;
    const [request, fanOut, dispatch] = [of("fanout.start"), of("fanout"), of("dispatch")];
    expect(request.parentSpanId ?? "").toBe("");
    expect(fanOut).toMatchObject({ traceId: request.traceId, parentSpanId: request.spanId });
    expect(dispatch).toMatchObject({ traceId: request.traceId, parentSpanId: fanOut.spanId });
    expect(of("fanout.wait").traceId).toBe(request.traceId);
    expect(valueOf(fanOut, "outpost.hosts")).toBe(1);
    expect(valueOf(fanOut, "outpost.jobs.completed")).toBe(1);
    expect(valueOf(request, "outpost.operator")).toBe("alice");
    const failed = spans().find((span) => valueOf(span, "outpost.outcome") === "not_found");
    expect(failed?.status.code).toBe(2);
    const resource = exports[0]!.resourceSpans[0]!.resource;
    expect(resource.attributes).toContainEqual({
      key: "service.name",
      value: { stringValue: "our-controller" },
    });
  });

  test("what is under way when the controller leaves is exported, too", async () => {
    const real = await RealController.create({}, { env });
    const host = await real.join("web1");
    const { FakeAgent } = await import("../testing/fake-agent.ts");
    const agent = new FakeAgent();
    await real.agent(host, agent);
    const params = startParams("web1");
    await real.ask((client) => client.request("fanout.start", params));
    await until(() => agent.jobs.has(params.job), "the start");
    await real[Symbol.asyncDispose]();
    const left = spans().find(
      (span) => span.name === "fanout" && valueOf(span, "outpost.job") === params.job,
    );
    expect(valueOf(left, "outpost.outcome")).toBe("controller_stopped");
  });
});
