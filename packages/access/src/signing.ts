/**
 * Signing requests: the client's half of `statement.ts`, apart from it because every short command waits for what it loads.
 */
import { createHash, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import {
  type Action,
  type Authorization,
  type Clock,
  encodeCanonical,
  type OperatorName,
  type Statement,
} from "@outpost/protocol";
import { type Bound, boundBytes } from "./bound.ts";
import { splitPem } from "./pem.ts";

export type { Bound } from "./bound.ts";
export { splitPem } from "./pem.ts";

/** With whose key requests are signed. */
export interface Signer {
  readonly operator: OperatorName;
  /** DER: the operator's, then whoever issued it, without the operators' authority. */
  readonly certificates: readonly Uint8Array[];
  readonly key: KeyObject;
}

/** What a request is about. */
export interface Request {
  readonly action: Action;
  /** The job's or session's id. */
  readonly subject: string;
  readonly bound: Bound;
}

export interface SignOptions extends Request {
  /** A target expression; absent: every host that has the subject. */
  readonly targets?: string | undefined;
  /** How long it may be carried out, in milliseconds. */
  readonly lifetimeMs: number;
}

/** How statements are signed, and verified. */
export const signatureFormat = { hash: "sha256", encoding: "ieee-p1363" } as const;
const nonceBytes = 16;

/** Signs a request once, for all of its hosts. */
export function signRequest(signer: Signer, options: SignOptions, clock: Pick<Clock, "now">): Authorization {
  const { action, subject, targets, bound, lifetimeMs } = options;
  const issuedAt = clock.now();
  const statement = encodeCanonical({
    action,
    operator: signer.operator,
    subject,
    targets,
    digest: digestOf(boundBytes(bound)),
    issuedAt,
    expiresAt: issuedAt + lifetimeMs,
    nonce: randomBytes(nonceBytes),
  } satisfies { [K in keyof Statement]: Statement[K] | undefined });
  return {
    certificates: [...signer.certificates],
    statement,
    signature: sign(signatureFormat.hash, statement, {
      key: signer.key,
      dsaEncoding: signatureFormat.encoding,
    }),
  };
}

/** The signer of an operator's credentials. @param certificates PEM, the operator's first */
export function signerOf(operator: OperatorName, certificates: string, key: KeyObject): Signer {
  return { operator, certificates: splitPem(certificates).map((pem) => new X509Certificate(pem).raw), key };
}

/** SHA-256: what stands in a statement for everything else that is bound. */
export function digestOf(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
