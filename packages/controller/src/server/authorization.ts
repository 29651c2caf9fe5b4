/** What an operator has signed for the hosts, as bytes for the catalogue. The controller never looks into it. */
import { Authorization, decodeValue, encodeCanonical, ErrorCode, OutpostError } from "@outpost/protocol";
import * as v from "valibot";

export function packAuthorization(authorization: Authorization): Uint8Array {
  return encodeCanonical(authorization);
}

/** @throws OutpostError `internal` when the bytes are damaged */
export function unpackAuthorization(bytes: Uint8Array): Authorization {
  const parsed = v.safeParse(Authorization, decodeValue(bytes));
  if (parsed.success) return parsed.output;
  throw new OutpostError(ErrorCode.internal, "a signed request in the catalogue is damaged");
}

/** For what is stored as JSON. */
export function authorizationText(authorization: Authorization | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  return Buffer.from(packAuthorization(authorization)).toString("base64");
}

export function authorizationOf(text: string | undefined): Authorization | undefined {
  return text === undefined ? undefined : unpackAuthorization(Buffer.from(text, "base64"));
}
