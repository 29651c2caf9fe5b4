/** A key and certificate for both ends of a benchmark's TLS connections, made by openssl in a folder. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export function makeCertificate(directory: string): void {
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "1",
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost",
      "-keyout",
      join(directory, "key.pem"),
      "-out",
      join(directory, "cert.pem"),
    ],
    { stdio: "ignore" },
  );
}

export function credentials(directory: string): { key: Buffer; cert: Buffer; ca: Buffer } {
  const cert = readFileSync(join(directory, "cert.pem"));
  return { key: readFileSync(join(directory, "key.pem")), cert, ca: cert };
}
