/** How a job's answer is shown: the options of every command that receives one. */
import { choice, flag, type Given, type Option, type OutputFormat, value } from "./command.ts";
import type { JobOutputFormat, RendererOptions } from "./render/renderer.ts";
import { UsageError } from "./usage-error.ts";

const formats: readonly JobOutputFormat[] = ["stream", "group", "table", "json", "ndjson"];

const output: Option<JobOutputFormat> = {
  kind: "value",
  describe:
    "stream: as it comes; group: equal answers together, at the end; table: a row for each host; for programs json, one " +
    "document, or ndjson, an object for each event",
  choices: formats,
  argument: "FORMAT",
  defaultText: "stream",
  read: ([text = "stream"]) => {
    // What `stream` is called where records are printed.
    const found = text === "text" ? "stream" : formats.find((each) => each === text);
    if (found === undefined) throw new Error(`is none of ${formats.join(", ")}`);
    return found;
  },
};

export const jobOutputOption = {
  output,
  diff: flag(
    "The most common answer, and how the others differ from it (with --output group, which it implies)",
  ),
  "output-dir": value("Write each host's output to files of its own in DIR instead of showing it", {
    argument: "DIR",
    complete: "directories",
    parse: parseDirectory,
  }),
  "no-progress": flag("No status line on the terminal"),
  "no-prefix": flag("Lines of several hosts without the host before them"),
  color: choice("Colours; `auto` is on a terminal, and heeds NO_COLOR and FORCE_COLOR", [
    "auto",
    "always",
    "never",
  ]),
} as const;

function parseDirectory(text: string): string {
  if (text === "") throw new Error("is no directory");
  return text;
}

/** What these options ask for. @param name of the command, for errors. @throws UsageError for those that exclude each other */
export function renderingOf(
  name: string,
  options: Given<typeof jobOutputOption>["options"] & { readonly timestamps: boolean },
): RendererOptions {
  const { output: format, diff, timestamps, color, "output-dir": outputDirectory } = options;
  if (diff && format !== "stream" && format !== "group") {
    throw new UsageError(`--diff compares texts; with --output ${format} there are none`, name);
  }
  if (outputDirectory !== undefined && (diff || format !== "stream")) {
    const other = diff ? "--diff" : `--output ${format}`;
    throw new UsageError(`--output-dir writes the output to files and shows none; leave ${other} out`, name);
  }
  const shown = diff ? "group" : format;
  if (timestamps && (shown === "group" || shown === "table" || outputDirectory !== undefined)) {
    const other = outputDirectory === undefined ? (diff ? "--diff" : `--output ${shown}`) : "--output-dir";
    throw new UsageError(`${other} shows no times; leave --timestamps out, or take --output stream`, name);
  }
  return {
    format: shown,
    timestamps,
    diff,
    outputDirectory,
    progress: !options["no-progress"],
    prefix: !options["no-prefix"],
    color,
  };
}

/** In which format records are printed (a plan, a job's id) where a job's output was asked for in this one. */
export function recordsFormat(format: JobOutputFormat): OutputFormat {
  return format === "json" || format === "ndjson" ? format : "text";
}
