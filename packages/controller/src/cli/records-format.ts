/** In which format a command prints records that could also print a job's output. */
import type { OutputFormat } from "./command.ts";
import type { RendererOptions } from "./render/renderer.ts";

export function recordsFormat(format: RendererOptions["format"]): OutputFormat {
  return format === "json" || format === "ndjson" ? format : "text";
}
