/** `outpost completion`. */
import { defineCommand, outputOption } from "../command.ts";

const shells = ["bash", "zsh", "fish"] as const;

export const completion = defineCommand({
  name: "completion",
  usage: [`completion ${shells.join("|")}`],
  description:
    "Print a completion script: commands, options, hosts and job ids. Hosts and jobs are asked of the controller.",
  positionals: [{ name: "SHELL", describe: `one of ${shells.join(", ")}`, choices: shells }],
  options: outputOption,
  examples: [
    ["source <(outpost completion bash)", "in ~/.bashrc"],
    ["source <(outpost completion zsh)", "in ~/.zshrc"],
    ["outpost completion fish > ~/.config/fish/completions/outpost.fish", ""],
  ],
  run: async ({ positionals, options }) => {
    const { completionScript } = await import("../completion-script.ts");
    const { print } = await import("../render/records.ts");
    const script = completionScript(positionals[0]!);
    await print(options.output, { json: { shell: positionals[0], script }, text: () => script.trimEnd() });
    return 0;
  },
});
