/** Certificates as openssl(1) makes them: nothing of ours, and so also some that we would not make. For tests. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Server {
  readonly key: string;
  readonly cert: string;
}

/** Two CAs, and servers of the first at 127.0.0.1: one that is good, and one whose certificate has expired. */
export function certificates(): {
  readonly authority: string;
  readonly other: string;
  readonly good: Server;
  readonly expired: Server;
} {
  const directory = mkdtempSync(join(tmpdir(), "outpost-certificates-"));
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  };
  const read = (name: string): string => readFileSync(join(directory, name), "utf8");
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const ca = (name: string): string => {
    openssl(
      "req",
      "-x509",
      ...ec,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.crt`,
      "-subj",
      `/CN=${name}`,
      "-days",
      "9",
    );
    return read(`${name}.crt`);
  };
  const server = (name: string, ...validity: string[]): Server => {
    openssl("req", ...ec, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    writeFileSync(
      join(directory, "extensions"),
      "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
    );
    const issue = ["-CA", "ours.crt", "-CAkey", "ours.key", "-CAcreateserial", "-extfile", "extensions"];
    openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.crt`, ...issue, ...validity);
    return { key: read(`${name}.key`), cert: read(`${name}.crt`) };
  };
  try {
    const authority = ca("ours");
    return {
      authority,
      other: ca("theirs"),
      good: server("good", "-days", "90"),
      expired: server("expired", "-days", "-1"),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
