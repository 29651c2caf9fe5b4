/** os-release(5): what a Linux distribution says of itself. */

export interface OsRelease {
  /** `PRETTY_NAME`, or its default `Linux`. */
  readonly name: string;
  readonly id?: string;
  readonly version?: string;
  readonly like?: readonly string[];
}

export function parseOsRelease(text: string): OsRelease {
  const id = valueOf(text, "ID");
  const version = valueOf(text, "VERSION_ID");
  const like = valueOf(text, "ID_LIKE")
    ?.split(/\s+/)
    .filter((word) => word !== "");
  return {
    name: valueOf(text, "PRETTY_NAME") ?? "Linux",
    ...(id === undefined ? {} : { id }),
    ...(version === undefined ? {} : { version }),
    ...(like === undefined || like.length === 0 ? {} : { like }),
  };
}

function valueOf(text: string, key: string): string | undefined {
  const value = new RegExp(`^${key}=(.*)$`, "m").exec(text)?.[1]?.trim();
  if (value === undefined || value === "") return undefined;
  const quoted = /^(["'])(.*)\1$/.exec(value);
  // Shell quoting, of which os-release(5) allows backslashes before $, ", ', \ and `.
  const plain = (quoted === null ? value : quoted[2]!).replace(/\\(["'$`\\])/g, "$1");
  return plain === "" ? undefined : plain;
}
