/** What the controller answers to an operator about its audit log. */
import type { Handlers } from "@outpost/protocol";
import type { Services } from "../services.ts";
import type { Guard, OperatorMethods } from "./guard.ts";

type AuditOperation = Extract<keyof OperatorMethods, `audit.${string}`>;

export function auditOperations(
  { audit }: Services,
  guard: Guard,
): Pick<Handlers<OperatorMethods>, AuditOperation> {
  return {
    "audit.list": guard<"audit.list", undefined>("audit.list", {
      action: "audit.read",
      select: () => ({ subject: undefined, what: "list" }),
      run: (_, filter) => audit.list(filter),
    }),

    "audit.verify": guard<"audit.verify", undefined>("audit.verify", {
      action: "audit.read",
      select: () => ({ subject: undefined, what: "verify" }),
      run: () => audit.verify(),
    }),
  };
}
