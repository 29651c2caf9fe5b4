/**
 * What a package needs to run: itself and the packages that it resolves to, and theirs, as Node would find them from
 * where it is now. And where each of them has to lie in a folder of its own, so that Node finds the same again.
 *
 *     found (pnpm: links into a store)             placed (plain folders)
 *     agent/node_modules/a ─▶ store/a@1            node_modules/a            a@1
 *     agent/node_modules/b ─▶ store/b@1            node_modules/b            b@1
 *     store/b@1/../a       ─▶ store/a@2            node_modules/b/node_modules/a   a@2: the other one is taken
 */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";

/** A package and its place. */
export interface PlacedPackage {
  readonly name: string;
  /** Its folder, as it is now; no link. */
  readonly source: string;
  /** Its folder in the copy, relative to that: `""` for the package itself, else `node_modules/…`. */
  readonly place: string;
}

interface Manifest {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/**
 * The package in `root` first, then what it needs. Left out are development dependencies, optional peers, and what is
 * optional or a peer and not there.
 * @throws OutpostError `not_found` naming a dependency that is not installed; `conflict` when several versions of packages
 * need each other in a circle, which plain folders cannot hold
 */
export function closureOf(root: string): readonly PlacedPackage[] {
  const first = { name: readManifest(root).name ?? basename(root), source: realpathSync(root), place: "" };
  const placed = new Map<string, PlacedPackage>([["", first]]);
  // A package's own dependencies are all placed before theirs: so nothing that comes later lies between somebody and
  // what they have found.
  const queue = [first];
  for (let needing = queue.shift(); needing !== undefined; needing = queue.shift()) {
    for (const { name, source } of dependenciesOf(needing.source)) {
      const place = placeOf(name, source, needing.place, placed);
      if (place === undefined) continue;
      refuseEndless(name, source, needing.place, placed);
      const found = { name, source, place };
      placed.set(place, found);
      queue.push(found);
    }
  }
  return [...placed.values()];
}

/** Where to put it so that `from` finds it; `undefined` when `from` finds it already. */
function placeOf(
  name: string,
  source: string,
  from: string,
  placed: ReadonlyMap<string, PlacedPackage>,
): string | undefined {
  for (const folder of foldersUpFrom(from)) {
    const place = join(folder, "node_modules", name);
    const there = placed.get(place);
    if (there?.source === source) return undefined;
    // Another version is the nearest: ours must be nearer.
    if (there !== undefined) return join(from, "node_modules", name);
  }
  return join("node_modules", name);
}

/** A package below itself that does not find itself would need another one below that, and so on. */
function refuseEndless(
  name: string,
  source: string,
  from: string,
  placed: ReadonlyMap<string, PlacedPackage>,
): void {
  if (!foldersUpFrom(from).some((folder) => folder !== "" && placed.get(folder)?.source === source)) return;
  throw new OutpostError(
    ErrorCode.conflict,
    `${name} (${source}) needs another version of itself in a circle, which cannot be copied into folders`,
    { data: { name } },
  );
}

/** The places whose `node_modules` Node looks into, the nearest first. */
function foldersUpFrom(place: string): readonly string[] {
  const folders = [place];
  for (let at = place.lastIndexOf("node_modules"); at > 0; at = place.lastIndexOf("node_modules", at - 1)) {
    folders.push(place.slice(0, at - 1));
  }
  return place === "" ? folders : [...folders, ""];
}

function dependenciesOf(folder: string): { readonly name: string; readonly source: string }[] {
  const manifest = readManifest(folder);
  const { dependencies = {}, optionalDependencies = {} } = manifest;
  const names = new Set([
    ...Object.keys(dependencies),
    ...Object.keys(optionalDependencies),
    ...neededPeers(manifest),
  ]);
  return [...names].flatMap((name) => {
    const source = resolvePackage(name, folder);
    if (source !== undefined) return [{ name, source }];
    // npm lists optional dependencies among the dependencies, too.
    const isOptional = !Object.hasOwn(dependencies, name) || Object.hasOwn(optionalDependencies, name);
    if (isOptional) return [];
    throw new OutpostError(
      ErrorCode.notFound,
      `${folder} needs ${name}, which is not installed: install its dependencies first`,
      { data: { folder, name } },
    );
  });
}

/** Who wants an optional one has it among its own dependencies. (valibot's would be the whole of TypeScript.) */
function neededPeers({ peerDependencies = {}, peerDependenciesMeta = {} }: Manifest): readonly string[] {
  return Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true);
}

/** As Node looks for it (`node_modules` of the folder and of all above it), links resolved; `undefined` when it is nowhere. */
function resolvePackage(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", name);
    if (basename(folder) !== "node_modules" && existsSync(join(candidate, "package.json"))) {
      return realpathSync(candidate);
    }
    if (dirname(folder) === folder) return undefined;
  }
}

function readManifest(folder: string): Manifest {
  const file = join(folder, "package.json");
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Manifest;
  } catch (cause) {
    throw new OutpostError(ErrorCode.notFound, `${file} is not there, or is not JSON`, { cause });
  }
}
