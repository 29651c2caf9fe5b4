/** Who may do what on Outpost's hosts, and what they did: what controller, hosts and clients must agree on. */
export type { NewAuditEntry } from "./audit/audit-line.ts";
export { AuditLog, type AuditLogOptions } from "./audit/audit-log.ts";
export { listAuditLog } from "./audit/listing.ts";
export { verifyAuditLog } from "./audit/verification.ts";
export type { Bound } from "./bound.ts";
export {
  type Document,
  type DocumentProblem,
  type Path,
  readDocument,
  type ReadDocument,
} from "./document.ts";
export { type Identity, identityOf, identityUrn } from "./identity.ts";
export {
  type AlternativeName,
  createRoot,
  type Credentials,
  generateKeys,
  Issuer,
  type PublicKey,
  requestedKey,
} from "./issuing.ts";
export { type OperatorIdentity, verifyOperatorChain } from "./operator-chain.ts";
export { acceptInvitation, OperatorsAuthority, type OperatorOwner } from "./operators-authority.ts";
export { keyFingerprint, splitPem } from "./pem.ts";
export { isAboutHosts } from "./policy/action-patterns.ts";
export { initialPolicy } from "./policy/initial.ts";
export {
  checkPolicy,
  closedPolicy,
  type Decision,
  permissivePolicy,
  Policy,
  type PolicyProblem,
} from "./policy/policy.ts";
export type { PolicyRequest } from "./policy/rule.ts";
export { type Request, type Signer, signerOf, signRequest, type SignOptions } from "./signing.ts";
export {
  clockSkewMs,
  maxLifetimeMs,
  RequestVerifier,
  type SignatureChecks,
  signatureChecks,
  type VerifiedRequest,
  type VerifyingHost,
} from "./statement.ts";
