/** Certificates while a host is a host: renewed before they expire, and when the controller's CA changes. */
import * as v from "valibot";
import { HostName } from "../ids.ts";
import { Time } from "./stream.ts";

/** Certificates and requests as PEM text (RFC 7468); several behind each other where a bundle is meant. */
export const Pem = v.pipe(v.string(), v.maxLength(16 * 1024));

export const CertificateRenewParams = v.object({
  /** A PKCS #10 certificate signing request (RFC 2986), for a key made for it. */
  request: Pem,
});
export type CertificateRenewParams = v.InferOutput<typeof CertificateRenewParams>;

/** What a host believes, and who it is. */
export const Trust = {
  /** The host's certificate. */
  certificate: Pem,
  /** The CAs that the controller's own certificate may come from: one, or two while the CA is changed. */
  authority: Pem,
  /** The operators' authority. A host takes it over once, and MUST ignore it from then on. */
  operators: Pem,
} as const;
export const CertificateRenewResult = v.object(Trust);
export type CertificateRenewResult = v.InferOutput<typeof CertificateRenewResult>;

/** One of the controller's CAs. `incoming` signs already, and becomes `current` when the change is finished. `abandoned`
 * signs nothing any more, and is trusted until no host has a certificate of it. */
export type AuthorityInfo = v.InferOutput<typeof AuthorityInfo>;
export const AuthorityInfo = v.object({
  /** SHA-256 of the certificate's DER, in hexadecimal. */
  fingerprint: v.string(),
  state: v.picklist(["current", "incoming", "abandoned"]),
  expiresAt: Time,
});

export const AuthorityShowResult = v.object({
  authorities: v.array(AuthorityInfo),
  /** The operators' authority: its fingerprint. Its key is not the controller's. */
  operators: v.string(),
  /** While the CA is changed: hosts that do not have a certificate of the incoming one yet; or after that was abandoned,
   * hosts that still have one of it. */
  waiting: v.array(HostName),
});
export type AuthorityShowResult = v.InferOutput<typeof AuthorityShowResult>;

/** `begin`: a new CA signs from now on, both are trusted. `finish`: the old one is forgotten. `abandon`: the new one is.
 * `force`: finish though hosts wait; they have to join again. */
export const AuthorityRotateParams = v.object({
  step: v.picklist(["begin", "finish", "abandon"]),
  force: v.boolean(),
});
export type AuthorityRotateParams = v.InferOutput<typeof AuthorityRotateParams>;
