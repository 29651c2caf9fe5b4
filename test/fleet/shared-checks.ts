/**
 * The signature checks of a fleet in one process. Ten thousand hosts verify a request on ten thousand machines at the
 * same time; here the same bytes, signed with the same key, are verified once, and all hosts are told. What each host
 * decides with it (its own name, labels, clock, policy, what it was asked before) it decides for itself.
 */
import { createHash } from "node:crypto";
import { type SignatureChecks, signatureChecks } from "@outpost/access";

/** Requests are fanned out one after the other, so that few are under way at a time. */
const remembered = 64;

interface Checked {
  readonly bytes: Uint8Array;
  readonly key: unknown;
  readonly signature: Uint8Array;
  readonly isValid: boolean;
}

export function sharedChecks(): SignatureChecks {
  const checked: Checked[] = [];
  const chains = new Map<string, ReturnType<SignatureChecks["chain"]>>();
  const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
  return {
    chain(certificates, operators, now) {
      const hash = createHash("sha256");
      for (const { raw } of operators) hash.update(raw);
      for (const der of certificates) hash.update(der);
      const id = hash.digest("base64");
      const known = chains.get(id);
      if (known !== undefined && known.expiresAt > now) return known;
      const identity = signatureChecks.chain(certificates, operators, now);
      chains.set(id, identity);
      return identity;
    },
    signature(bytes, key, signature) {
      const known = checked.find(
        (each) => each.key === key && isSame(each.signature, signature) && isSame(each.bytes, bytes),
      );
      if (known !== undefined) return known.isValid;
      const isValid = signatureChecks.signature(bytes, key, signature);
      checked.unshift({ bytes: Uint8Array.from(bytes), key, signature: Uint8Array.from(signature), isValid });
      checked.length = Math.min(checked.length, remembered);
      return isValid;
    },
  };
}
