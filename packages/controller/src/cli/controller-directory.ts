/** Where a controller of this machine keeps its state, and what the CLI keeps there. */
import { readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { value } from "./command.ts";
import { type Listen, listenText, parseListen } from "./listen.ts";
import { type MetricsOffer, metricsText, parseMetrics } from "./metrics-option.ts";

export const directoryOption = {
  dir: value("The controller's directory", {
    argument: "DIR",
    defaultText:
      "$OUTPOST_CONTROLLER_DIR, else /var/lib/outpost-controller (root) or ~/.local/state/outpost-controller",
    complete: "directories",
  }),
} as const;

/** @param given `--dir` */
export function controllerDirectory(given: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  const set = given ?? env["OUTPOST_CONTROLLER_DIR"];
  if (set !== undefined && set !== "") return resolve(set);
  return process.getuid?.() === 0
    ? "/var/lib/outpost-controller"
    : join(homedir(), ".local", "state", "outpost-controller");
}

const fileName = "controller.json";

/** What `controller start` is to do, where it is not told otherwise. */
export interface StartSettings {
  readonly listen?: Listen | undefined;
  readonly metrics?: MetricsOffer | undefined;
}

/** Writes down what is given, for `controller start`; the rest stays. */
export async function writeStartSettings(directory: string, settings: StartSettings): Promise<void> {
  const { listen, metrics } = { ...(await readStartSettings(directory)), ...known(settings) };
  const written = {
    ...(listen === undefined ? {} : { listen: listenText(listen) }),
    ...(metrics === undefined ? {} : { metrics: metricsText(metrics) }),
  };
  await writeFile(join(directory, fileName), `${JSON.stringify(written, undefined, 2)}\n`);
}

/** What was not written, or somebody has made unreadable, is left out: then the default holds. */
export async function readStartSettings(directory: string): Promise<StartSettings> {
  const text = await readFile(join(directory, fileName), "utf8").catch(() => "{}");
  const { listen, metrics } = parsed(() => JSON.parse(text) as Record<string, unknown>) ?? {};
  return known({
    listen: typeof listen === "string" ? parsed(() => parseListen(listen)) : undefined,
    metrics: typeof metrics === "string" ? parsed(() => parseMetrics(metrics)) : undefined,
  });
}

function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

function known({ listen, metrics }: StartSettings): StartSettings {
  return { ...(listen === undefined ? {} : { listen }), ...(metrics === undefined ? {} : { metrics }) };
}
