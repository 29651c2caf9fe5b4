/**
 * What makes somebody an operator: handed over once, by a way that others do not read.
 *
 *     outpost-signin1_ base64url( JSON )
 *
 * It holds the key of an invitation, which can make one certificate's worth of one operator: the controller takes the first
 * that it is shown, and no other after `expiresAt`.
 */
import { ErrorCode, OperatorId, OperatorName, OutpostError, Pem } from "@outpost/protocol";
import * as v from "valibot";
import { ControllerUrl } from "./context.ts";

const prefix = "outpost-signin1_";

export type SignInBundle = v.InferOutput<typeof SignInBundle>;
export const SignInBundle = v.object({
  controller: ControllerUrl,
  id: OperatorId,
  name: OperatorName,
  /** The CAs that the controller's certificate may come from, PEM. */
  ca: Pem,
  /** The certificate of the operators' authority, PEM. */
  operators: Pem,
  /** PEM both. */
  invitation: v.object({ certificate: Pem, key: Pem }),
  /** In milliseconds since 1970. */
  expiresAt: v.pipe(v.number(), v.safeInteger()),
});

export function encodeBundle(bundle: SignInBundle): string {
  return prefix + Buffer.from(JSON.stringify(bundle)).toString("base64url");
}

export function isBundle(text: string): boolean {
  return text.trimStart().startsWith(prefix);
}

/** Line breaks in it, as mail puts them there, do no harm. @throws OutpostError `invalid_argument`, without any part of it */
export function decodeBundle(text: string): SignInBundle {
  const joined = text.replaceAll(/\s+/g, "");
  if (!joined.startsWith(prefix)) {
    throw damaged(`this is no sign-in bundle: those begin with ${prefix}`);
  }
  const encoded = joined.slice(prefix.length);
  // Buffer.from leaves out what is not base64url, and would read what was left as something else.
  if (!/^[A-Za-z0-9_-]*$/.test(encoded))
    throw damaged("the sign-in bundle is damaged: it holds strange characters");
  const parsed = v.safeParse(
    v.pipe(v.string(), v.parseJson(), SignInBundle),
    Buffer.from(encoded, "base64url").toString("utf8"),
  );
  if (parsed.success) return parsed.output;
  throw damaged("the sign-in bundle is damaged; was it copied whole?");
}

function damaged(message: string): OutpostError {
  return new OutpostError(ErrorCode.invalidArgument, message);
}
