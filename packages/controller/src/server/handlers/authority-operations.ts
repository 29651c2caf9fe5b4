/** What the controller answers to an operator about the certificate authorities. */
import type { Handlers } from "@outpost/protocol";
import type { Services } from "../services.ts";
import type { Guard, OperatorMethods } from "./guard.ts";

export function authorityOperations(
  { rotation }: Services,
  guard: Guard,
): Pick<Handlers<OperatorMethods>, "authority.show" | "authority.rotate"> {
  return {
    "authority.show": guard<"authority.show", undefined>("authority.show", {
      action: "authority.read",
      select: () => ({ subject: undefined }),
      run: () => rotation.show(),
    }),

    "authority.rotate": guard<"authority.rotate", undefined>("authority.rotate", {
      action: "authority.rotate",
      audit: "outcome",
      select: ({ step, force }) => ({ subject: undefined, what: force ? `${step}, by force` : step }),
      run: (_subject, params) => rotation.rotate(params),
    }),
  };
}
