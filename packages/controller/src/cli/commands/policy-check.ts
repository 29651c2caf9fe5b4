/** `outpost policy check`. */
import { join } from "node:path";
import { defineCommand, outputOption } from "../command.ts";
import { controllerDirectory, directoryOption } from "../controller-directory.ts";

export const policyCheck = defineCommand({
  name: "policy check",
  usage: ["policy check [FILE]"],
  description:
    "Check a policy file, here and without a controller: what is wrong with it, by line and column. The controller takes a " +
    "policy over only when nothing is. Policies of hosts have the same grammar.",
  positionals: [
    {
      name: "FILE",
      describe: "the file, or - for standard input; default: policy.yaml in the controller's directory",
      optional: true,
      complete: "files",
    },
  ],
  options: { ...directoryOption, ...outputOption },
  examples: [
    ["outpost policy check", "on the controller's machine"],
    ["outpost policy check new-policy.yaml", "before it is put there"],
  ],
  epilogue: "Exit codes: 0 nothing is wrong, 1 something is, 252 the file cannot be read.",
  run: async ({ positionals, options }) => {
    const { checkPolicyFile } = await import("../policy-check.ts");
    const file = positionals[0] ?? join(controllerDirectory(options.dir), "policy.yaml");
    return checkPolicyFile(file, options.output);
  },
});
