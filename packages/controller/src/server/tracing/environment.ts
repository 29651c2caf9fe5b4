/** What the standard variables of OpenTelemetry say to us. Loads nothing of it. */

/** Whether spans are to be exported at all. */
export function isTracingAsked(env: NodeJS.ProcessEnv): boolean {
  if (env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true" || env["OTEL_TRACES_EXPORTER"] === "none")
    return false;
  return isSet(env["OTEL_EXPORTER_OTLP_ENDPOINT"]) || isSet(env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]);
}

/** `OTEL_TRACES_SAMPLER`, taken apart. */
export interface Sampling {
  readonly kind: "on" | "off" | "ratio";
  /** Of all traces, between 0 and 1. */
  readonly ratio: number;
  /** Whoever asks decides, where they say so. */
  readonly isParentBased: boolean;
}

const samplers: Readonly<Record<string, Sampling["kind"]>> = {
  always_on: "on",
  always_off: "off",
  traceidratio: "ratio",
};

/** @returns with `problem` when what is set is none; then the default holds, which is `parentbased_always_on` */
export function samplingIn(env: NodeJS.ProcessEnv): Sampling & { readonly problem?: string } {
  const { OTEL_TRACES_SAMPLER: name = "parentbased_always_on", OTEL_TRACES_SAMPLER_ARG: given = "1" } = env;
  const isParentBased = name.startsWith("parentbased_");
  const kind = samplers[isParentBased ? name.slice("parentbased_".length) : name];
  const all = { kind: "on", ratio: 1, isParentBased: true } as const;
  if (kind === undefined) return { ...all, problem: `OTEL_TRACES_SAMPLER: there is no sampler ${name}` };
  if (kind !== "ratio") return { kind, ratio: 1, isParentBased };
  const ratio = Number(given);
  if (given.trim() !== "" && ratio >= 0 && ratio <= 1) return { kind, ratio, isParentBased };
  return { ...all, problem: `OTEL_TRACES_SAMPLER_ARG: ${given} is not a number from 0 to 1` };
}

/** How spans wait to be exported: what of `OTEL_BSP_*` is set, and the library's defaults for the rest. */
export function batchingIn(env: NodeJS.ProcessEnv): {
  readonly scheduledDelayMillis?: number;
  readonly exportTimeoutMillis?: number;
  readonly maxQueueSize?: number;
  readonly maxExportBatchSize?: number;
} {
  const number = <K extends string>(key: K, variable: string): { [_ in K]?: number } => {
    const value = Number(env[variable] ?? Number.NaN);
    return (Number.isInteger(value) && value > 0 ? { [key]: value } : {}) as { [_ in K]?: number };
  };
  return {
    ...number("scheduledDelayMillis", "OTEL_BSP_SCHEDULE_DELAY"),
    ...number("exportTimeoutMillis", "OTEL_BSP_EXPORT_TIMEOUT"),
    ...number("maxQueueSize", "OTEL_BSP_MAX_QUEUE_SIZE"),
    ...number("maxExportBatchSize", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
  };
}

function isSet(text: string | undefined): boolean {
  return text !== undefined && text.trim() !== "";
}
