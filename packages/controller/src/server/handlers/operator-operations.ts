/** What the controller answers to an operator about operators. */
import type { Handlers } from "@outpost/protocol";
import type { OperatorRecord } from "../catalogue/operators.ts";
import type { Services } from "../services.ts";
import type { Guard, OperatorMethods } from "./guard.ts";

export function operatorOperations(
  { operators, rollouts, log }: Services,
  guard: Guard,
): Pick<Handlers<OperatorMethods>, "operator.list" | "operator.add" | "operator.remove"> {
  return {
    "operator.list": guard<"operator.list", undefined>("operator.list", {
      action: "operator.list",
      select: () => ({ subject: undefined }),
      run: () => ({ operators: operators.list() }),
    }),

    "operator.add": guard<"operator.add", undefined>("operator.add", {
      action: "operator.add",
      select: ({ name }) => ({ subject: undefined, about: name }),
      run: (_subject, params, { operator }) => ({ added: operators.add(params, operator.name) }),
    }),

    "operator.remove": guard<"operator.remove", OperatorRecord>("operator.remove", {
      action: "operator.remove",
      select: ({ name }) => ({ subject: operators.get(name), about: name }),
      run({ name }, _params, { operator }) {
        const removed = operators.remove(name, operator.name);
        rollouts.operatorRemoved(name, operator.name);
        log.info({ removed: name, operator: operator.name }, "an operator was removed");
        return { removed };
      },
    }),
  };
}
