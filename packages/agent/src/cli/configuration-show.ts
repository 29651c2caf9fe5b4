/** `outpost-agent configuration show`. */
import { Configurations } from "../configurations/index.ts";
import { agentPaths } from "../directory.ts";
import { configurationText } from "./configuration-text.ts";
import type { ConfigurationOptions } from "./configuration-list.ts";
import { print } from "./output.ts";

export interface ConfigurationShowOptions extends ConfigurationOptions {
  readonly name: string;
}

/** @throws OutpostError `not_found`; `denied` and `invalid_argument` for one that cannot be used */
export async function showConfiguration({ dir, name, output }: ConfigurationShowOptions): Promise<void> {
  const configuration = new Configurations(agentPaths(dir).configurations).find(name);
  await print(output, configuration, configurationText(configuration));
}
