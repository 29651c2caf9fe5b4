/** The certificate authorities, for people. */
import type { AuthorityShowResult } from "@outpost/protocol";
import { fold } from "@outpost/protocol/targets";
import { durationText } from "../duration.ts";
import { fingerprintText } from "./certificate-text.ts";
import { printable } from "./printable.ts";

export function authorityText(
  { authorities, operators, waiting, trusted }: AuthorityShowResult & { readonly trusted: boolean },
  now: number = Date.now(),
): string {
  const own = authorities.flatMap(({ fingerprint, state, expiresAt }) => {
    const end = expiresAt > now ? `ends in ${durationText(expiresAt - now)}` : "has ended";
    return [`the controller's CA, ${state}, ${end}:`, `  ${fingerprintText(fingerprint)}`];
  });
  const whose = trusted
    ? "the one that this context knows"
    : "NOT the one that this context knows: has somebody taken the controller over, or was it set up anew?";
  return [
    ...own,
    `the operators' authority, ${whose}:`,
    `  ${fingerprintText(operators)}`,
    ...stepText(authorities.length > 1, waiting.map(printable)),
  ].join("\n");
}

function stepText(isChanging: boolean, waiting: readonly string[]): readonly string[] {
  if (!isChanging) return [];
  return waiting.length === 0
    ? ["every host has a certificate of the incoming CA; next: outpost authority rotate finish"]
    : [`waiting for ${fold(waiting)}; then: outpost authority rotate finish`];
}
