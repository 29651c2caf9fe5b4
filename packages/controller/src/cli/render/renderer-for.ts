/** Which renderer shows what was asked for. */
import { Presentation } from "./presentation.ts";
import type { Renderer, RendererOptions } from "./renderer.ts";

/** Loads what is needed for it, and no more. */
export async function rendererFor(options: RendererOptions): Promise<Renderer> {
  return new Presentation(await modeFor(options), options);
}

async function modeFor(options: RendererOptions): Promise<Renderer> {
  if (options.outputDirectory !== undefined) {
    const { DirectoryRenderer } = await import("./output-directory/renderer.ts");
    return DirectoryRenderer.open(options.outputDirectory, options);
  }
  switch (options.format) {
    case "stream":
      return new (await import("./text.ts")).TextRenderer(options);
    case "group":
      return new (await import("./group.ts")).GroupRenderer(options);
    case "table":
      return new (await import("./answer-table.ts")).TableRenderer(options);
    case "ndjson":
      return new (await import("./ndjson.ts")).NdjsonRenderer();
    case "json":
      return new (await import("./json.ts")).JsonRenderer();
    default:
      return options.format satisfies never;
  }
}
