/** `outpost policy explain`. */
import { Action, type PolicyExplainResult } from "@outpost/protocol";
import { defineCommand, outputOption, value } from "../command.ts";
import { configurationOptions } from "../configuration-options.ts";
import { targetsPositional } from "../job-options.ts";
import { suggest } from "../suggest.ts";
import { withClient } from "../with-client.ts";
import { UsageError } from "../usage-error.ts";

const actions: readonly Action[] = Action.options;

export const policyExplain = defineCommand({
  name: "policy explain",
  usage: ["policy explain OPERATOR ACTION [TARGETS] [OPTIONS]"],
  description:
    "Say whether the controller's policy lets an operator do something, on which hosts, and which rule decides. A host's own " +
    "policy may be narrower: `outpost-agent policy check` shows that one.",
  positionals: [
    { name: "OPERATOR", describe: "the operator's name", complete: "operators" },
    { name: "ACTION", describe: `one of ${actions.join(", ")}`, choices: actions },
    { ...targetsPositional, optional: true },
  ],
  options: {
    ...configurationOptions,
    owner: value("Whose job or session it is; default: nobody's", {
      argument: "OPERATOR",
      complete: "operators",
    }),
    ...outputOption,
  },
  examples: [
    ["outpost policy explain ada invoke role=web", ""],
    ["outpost policy explain ada invoke db1 --configuration maintenance --user postgres", ""],
    ["outpost policy explain ada job.stop web1 --owner grace", "somebody else's job"],
  ],
  run: async ({ positionals, options }) => {
    const [operator, action, targets] = positionals;
    const { configuration, user, owner, output } = options;
    const { print } = await import("../render/records.ts");
    const question = { operator: operator!, action: actionOf(action!), targets, configuration, user, owner };
    return withClient(async (client) => {
      const explained = await client.administration.explainPolicy(question);
      await print(output, { json: explained, records: explained.decisions, text: () => asText(explained) });
      return 0;
    });
  },
});

function actionOf(text: string): Action {
  const found = actions.find((action) => action === text);
  if (found !== undefined) return found;
  const meant = suggest(text, actions);
  const hint = meant === undefined ? `one of: ${actions.join(", ")}` : `did you mean ${meant}?`;
  throw new UsageError(`there is no action ${JSON.stringify(text)}; ${hint}`, "policy explain");
}

async function asText({ decisions, rules }: PolicyExplainResult): Promise<string> {
  const { table } = await import("../render/table.ts");
  const rows = decisions.map(({ host, allowed, rule, reason }) => [
    host ?? "-",
    allowed ? "allowed" : "denied",
    rule,
    reason,
  ]);
  const decided =
    rows.length === 0 ? "there are no hosts" : table({ head: ["HOST", "DECISION", "RULE", "WHY"], rows });
  if (rules.length === 0) return decided;
  const said = table({ head: ["RULE", "SAYS"], rows: rules.map(({ rule, says }) => [rule, says]) });
  return `${decided}\n\n${said}`;
}
