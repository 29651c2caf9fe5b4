/** `outpost doctor`. */
import { defineCommand, outputOption } from "../command.ts";
import { targetsPositional } from "../job-options.ts";

export const doctor = defineCommand({
  name: "doctor",
  usage: ["doctor [TARGETS]"],
  description:
    "Check a set-up from end to end: this operator's context and certificate, the way to the controller, its certificate, what the " +
    "policy lets us do, how the hosts stand, and a real job there and back. For everything that is wrong it says what to do. " +
    "On the controller's own machine it looks at the controller's directory and service, too.",
  positionals: [
    {
      ...targetsPositional,
      optional: true,
      describe: "the hosts on which the job runs; default: five that are connected",
    },
  ],
  options: outputOption,
  examples: [
    ["outpost doctor", ""],
    ["outpost doctor 'role=web'", "a job on all of these"],
    ["sudo outpost doctor", "on the controller's machine, whose directory is not everybody's to read"],
    ["outpost doctor --output json", ""],
  ],
  epilogue:
    "Exit codes: 0 nothing is wrong (warnings do not count), 1 something is. On a host: outpost-agent doctor.",
  run: async ({ positionals, options }) => {
    const { diagnose } = await import("../doctor/index.ts");
    return diagnose(positionals[0], options.output);
  },
});
