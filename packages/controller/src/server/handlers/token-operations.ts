/** What the controller answers to an operator about enrolment tokens. */
import type { Handlers, TokenCreateParams } from "@outpost/protocol";
import type { TokenRecord } from "../catalogue/tokens.ts";
import type { Services } from "../services.ts";
import type { Guard, OperatorMethods } from "./guard.ts";

export function tokenOperations(
  { tokens }: Services,
  guard: Guard,
): Pick<Handlers<OperatorMethods>, "token.create" | "token.list" | "token.revoke"> {
  return {
    "token.create": guard<"token.create", undefined>("token.create", {
      action: "token.create",
      select: (params) => ({ subject: undefined, what: createdText(params) }),
      run: (_subject, params, { operator }) => tokens.create(params, operator.name),
    }),

    "token.list": guard<"token.list", undefined>("token.list", {
      action: "token.list",
      select: () => ({ subject: undefined }),
      run: () => ({ tokens: tokens.list() }),
    }),

    "token.revoke": guard<"token.revoke", TokenRecord>("token.revoke", {
      action: "token.revoke",
      select: ({ id }) => ({ subject: tokens.get(id), about: id }),
      run: ({ id }, _params, { operator }) => ({ token: tokens.revoke(id, operator.name) }),
    }),
  };
}

function createdText({ ttlMs, uses, name, labels = {}, quarantine }: TokenCreateParams): string {
  const fixed = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return [
    `for ${String(uses)} ${uses === 1 ? "host" : "hosts"}, for ${String(Math.round(ttlMs / 1000))} s`,
    ...(name === undefined ? [] : [`called ${name}`]),
    ...(fixed.length === 0 ? [] : [`with ${fixed.join(",")}`]),
    ...(quarantine === true ? ["in quarantine"] : []),
  ].join(", ");
}
