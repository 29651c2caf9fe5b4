/**
 * The agent's identity on disk: key, certificate, and whom it believes. The files belong together, so they are replaced
 * together, as one directory:
 *
 *     identity.new/ written and synced ──▶ identity/ renamed to identity.old/ ──▶ identity.new/ renamed to identity/
 *
 * A crash leaves the whole old identity or the whole new one. Only between the two renames there is no `identity/`; then
 * `identity.new/` is complete, and stands for it until the next agent puts it in its place.
 */
import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { AgentPaths } from "./directory.ts";

/** All PEM. */
export interface Credentials {
  readonly key: string;
  readonly certificate: string;
  /** The CAs that the controller's certificate may come from. */
  readonly authority: string;
  /** The operators' authority. Absent on a host that joined with an agent of version 0.1, until it is taken over. */
  readonly operators?: string | undefined;
}

type Directory = Pick<AgentPaths, "identity" | "key" | "certificate" | "authority" | "operators">;

/** @throws OutpostError `not_found` when the host has not joined, `internal` when a file cannot be read */
export async function readCredentials(paths: Directory): Promise<Credentials> {
  const { fresh, old } = replacement(paths);
  const whole = [paths.identity, fresh, old].find((directory) => existsSync(directory)) ?? paths.identity;
  const at = (file: string): string => join(whole, basename(file));
  const [key, certificate, authority, operators] = await Promise.all([
    read(at(paths.key), paths.key),
    read(at(paths.certificate), paths.certificate),
    read(at(paths.authority), paths.authority),
    read(at(paths.operators), paths.operators).catch((error: unknown) => {
      if (error instanceof OutpostError && error.code === ErrorCode.notFound) return undefined;
      throw error;
    }),
  ]);
  return { key, certificate, authority, operators };
}

/** @param name what it is called in messages */
async function read(file: string, name: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw new OutpostError(
        ErrorCode.notFound,
        `${name} is missing: this host has not joined a controller; run \`outpost-agent join\` first`,
        { cause: error },
      );
    }
    throw new OutpostError(ErrorCode.internal, `cannot read ${name}: ${String(code)}`, { cause: error });
  }
}

/** Replaces the identity as a whole; what returned survives a power cut. The caller MUST hold the directory's lock. */
export async function writeCredentials(paths: Directory, credentials: Credentials): Promise<void> {
  await settleCredentials(paths);
  const { fresh, old } = replacement(paths);
  const write = (file: string, text: string, mode: number): Promise<void> =>
    writeSynced(join(fresh, basename(file)), text, mode);
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  await write(paths.key, credentials.key, 0o600);
  await write(paths.certificate, credentials.certificate, 0o644);
  await write(paths.authority, credentials.authority, 0o644);
  if (credentials.operators !== undefined) await write(paths.operators, credentials.operators, 0o644);
  await syncDirectory(fresh);
  if (existsSync(paths.identity)) await rename(paths.identity, old);
  await rename(fresh, paths.identity);
  await syncDirectory(dirname(paths.identity));
  await rm(old, { recursive: true, force: true });
}

/** Finishes or undoes what a crash has interrupted. The caller MUST hold the directory's lock. */
export async function settleCredentials(paths: Directory): Promise<void> {
  const { fresh, old } = replacement(paths);
  // Without `identity.old` it was the first identity, and may be incomplete.
  if (!existsSync(paths.identity) && existsSync(old))
    await rename(existsSync(fresh) ? fresh : old, paths.identity);
  await rm(fresh, { recursive: true, force: true });
  await rm(old, { recursive: true, force: true });
}

function replacement({ identity }: Directory): { readonly fresh: string; readonly old: string } {
  return { fresh: `${identity}.new`, old: `${identity}.old` };
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

/** When the certificate begins and ends, in milliseconds since 1970. */
export function validityOf(certificate: string): { readonly from: number; readonly to: number } {
  const { validFrom, validTo } = new X509Certificate(certificate);
  return { from: Date.parse(validFrom), to: Date.parse(validTo) };
}

/** When the certificate ends, in milliseconds since 1970. */
export function expiresAt(certificate: string): number {
  return validityOf(certificate).to;
}
