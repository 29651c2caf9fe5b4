/** The agent's identity on disk: key, certificate, and the CA that it trusts. */
import { X509Certificate } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { AgentPaths } from "./directory.ts";

/** All PEM. */
export interface Credentials {
  readonly key: string;
  readonly certificate: string;
  readonly authority: string;
}

/** @throws OutpostError `not_found` when the host has not joined, `internal` when a file cannot be read */
export async function readCredentials(paths: AgentPaths): Promise<Credentials> {
  const [key, certificate, authority] = await Promise.all([
    read(paths.key),
    read(paths.certificate),
    read(paths.authority),
  ]);
  return { key, certificate, authority };
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw new OutpostError(
        ErrorCode.notFound,
        `${file} is missing: this host has not joined a controller; run \`outpost-agent join\` first`,
        { cause: error },
      );
    }
    throw new OutpostError(ErrorCode.internal, `cannot read ${file}: ${String(code)}`, { cause: error });
  }
}

/** Replaces the identity as a whole: a crash leaves the old one or none, never a key with somebody else's certificate. */
export async function writeCredentials(paths: AgentPaths, credentials: Credentials): Promise<void> {
  const fresh = `${paths.identity}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  await writeSynced(join(fresh, "agent.key"), credentials.key, 0o600);
  await writeSynced(join(fresh, "agent.crt"), credentials.certificate, 0o644);
  await writeSynced(join(fresh, "ca.crt"), credentials.authority, 0o644);
  await rm(paths.identity, { recursive: true, force: true });
  await rename(fresh, paths.identity);
  await syncDirectory(dirname(paths.identity));
}

async function writeSynced(file: string, text: string, mode: number): Promise<void> {
  const handle = await open(file, "wx", mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** So that a rename survives a power cut, too. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** When the certificate ends, in milliseconds since 1970. */
export function expiresAt(certificate: string): number {
  return Date.parse(new X509Certificate(certificate).validTo);
}
