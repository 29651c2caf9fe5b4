/** The version of this package. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

// The same from src/ and from dist/.
const packageFile = join(import.meta.dirname, "..", "..", "package.json");

export const version = (JSON.parse(readFileSync(packageFile, "utf8")) as { version: string }).version;

/** What `hello` says of us. */
export const software = `outpost ${version}`;
