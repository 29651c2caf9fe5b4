/** An emulated fleet whose hosts were enrolled by an earlier run, if there was one: that takes a minute for ten thousand. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EmulatedFleet, type EmulatedFleetOptions } from "../../fleet/emulated-fleet.ts";

/** Certificates of hosts last thirty days, and are renewed after twenty. */
const freshMs = 10 * 24 * 60 * 60 * 1000;

const root = join(import.meta.dirname, "../../..");

/** Another catalogue or protocol is another fleet. */
function key(): string {
  const hash = createHash("sha256");
  for (const file of ["controller/src/server/catalogue/schema.ts", "protocol/src/version.ts"])
    hash.update(readFileSync(join(root, "packages", file)));
  return hash.digest("hex").slice(0, 12);
}

function folder(name: string): string {
  const directory = join(tmpdir(), `outpost-fleet-${name}-${key()}`);
  const made = statSync(join(directory, "controller/ca.crt"), { throwIfNoEntry: false });
  if (existsSync(directory) && (made === undefined || Date.now() - made.mtimeMs > freshMs))
    rmSync(directory, { recursive: true });
  mkdirSync(directory, { recursive: true });
  // What earlier runs recorded is read at the start, and would count.
  rmSync(join(directory, "controller.log"), { force: true });
  return directory;
}

/** Sets a controller up; hosts come with `grow`. @param name fleets of one name MUST NOT be used at the same time */
export function openCachedFleet(name: string, options: EmulatedFleetOptions): Promise<EmulatedFleet> {
  return EmulatedFleet.create(0, { ...options, directory: folder(name) });
}
