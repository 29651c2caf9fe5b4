/** `outpost-agent configuration list`. */
import { Configurations } from "../configurations/index.ts";
import { agentPaths } from "../directory.ts";
import { print } from "./output.ts";

export interface ConfigurationOptions {
  readonly dir: string;
  readonly output: "text" | "json";
}

export async function listConfigurations({ dir, output }: ConfigurationOptions): Promise<void> {
  const listed = new Configurations(agentPaths(dir).configurations).list();
  const documents = listed.map(({ name, file, configuration, error }) => ({
    name,
    ...(file === undefined ? {} : { file }),
    ...(configuration?.description === undefined ? {} : { description: configuration.description }),
    ...(error === undefined ? {} : { error: error.message }),
  }));
  const width = Math.max(...listed.map(({ name }) => name.length));
  const lines = listed.map(({ name, file, configuration, error }) => {
    const usual = file === undefined ? "what every host offers: there is no file" : "";
    const said =
      error === undefined ? (configuration?.description ?? usual) : `CANNOT BE USED: ${error.message}`;
    return `${name.padEnd(width)}  ${said}`.trimEnd();
  });
  await print(output, { configurations: documents }, lines.join("\n"));
}
