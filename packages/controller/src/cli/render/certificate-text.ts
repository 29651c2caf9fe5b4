/** Certificates in words: when they end, and how they are compared. */
import { createHash, X509Certificate } from "node:crypto";
import { splitPem } from "@outpost/protocol";
import { ageText, durationText } from "../duration.ts";
import { printable } from "./printable.ts";

/** A certificate that ends within this time is spoken of, in milliseconds: agents renew theirs long before. */
const soonMs = 7 * 24 * 60 * 60 * 1000;

/** `certificate ends in 3 d 4 h`, `certificate ended 2 h ago`; undefined while there is time. */
export function endingCertificateText(expiresAt: number | undefined, now: number): string | undefined {
  if (expiresAt === undefined || expiresAt - now > soonMs) return undefined;
  return expiresAt > now
    ? `certificate ends in ${durationText(expiresAt - now)}`
    : `certificate ended ${ageText(expiresAt, now)}`;
}

/** SHA-256 of the DER, in hexadecimal, of each certificate of a PEM bundle; empty for what is none. */
export function fingerprints(bundle: string): readonly string[] {
  return certificates(bundle).map(({ raw }) => createHash("sha256").update(raw).digest("hex"));
}

/** As `openssl x509 -fingerprint` and `outpost-agent join` show it: `AB:CD:…`. @param hex in hexadecimal */
export function fingerprintText(hex: string): string {
  return (
    printable(hex)
      .toUpperCase()
      .match(/.{1,2}/gu) ?? []
  ).join(":");
}

/** When the first of them ends, in milliseconds since 1970; undefined for what is none. */
export function firstEnd(bundle: string): number | undefined {
  const ends = certificates(bundle).map(({ validTo }) => Date.parse(validTo));
  return ends.length === 0 ? undefined : Math.min(...ends);
}

function certificates(bundle: string): readonly X509Certificate[] {
  try {
    return splitPem(bundle).map((pem) => new X509Certificate(pem));
  } catch {
    return [];
  }
}
