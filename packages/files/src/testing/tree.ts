/** Trees of files for tests: made of descriptions, and described again. */
import {
  chmodSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Node =
  | { readonly kind: "file"; readonly content: string; readonly mode: number; readonly mtime: number }
  | { readonly kind: "link"; readonly target: string; readonly mtime: number }
  | { readonly kind: "directory"; readonly mode: number; readonly mtime: number; readonly entries: Tree };
export interface Tree {
  readonly [name: string]: Node;
}

/** Makes everything of a tree in a directory. */
export function makeTree(folder: string, tree: Tree): void {
  for (const [name, node] of Object.entries(tree)) {
    const path = join(folder, name);
    if (node.kind === "link") {
      symlinkSync(node.target, path);
      lutimesSync(path, seconds(node.mtime), seconds(node.mtime));
      continue;
    }
    if (node.kind === "file") writeFileSync(path, Buffer.from(node.content, "latin1"));
    else {
      mkdirSync(path);
      makeTree(path, node.entries);
    }
    chmodSync(path, node.mode);
    utimesSync(path, seconds(node.mtime), seconds(node.mtime));
  }
}

export function readTree(folder: string): Tree {
  const entries = readdirSync(folder).map((name): [string, Node] => {
    const path = join(folder, name);
    const stats = lstatSync(path);
    const mtime = Math.round(stats.mtimeMs);
    const mode = stats.mode & 0o7777;
    if (stats.isSymbolicLink()) return [name, { kind: "link", target: readlinkSync(path), mtime }];
    if (stats.isDirectory()) return [name, { kind: "directory", mode, mtime, entries: readTree(path) }];
    return [name, { kind: "file", content: readFileSync(path, "latin1"), mode, mtime }];
  });
  return Object.fromEntries(entries);
}

/** The paths of everything below a directory. (Node's own recursive reading follows links, round and round.) */
export function namesBelow(folder: string): string[] {
  const found = readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const inside = entry.isDirectory() ? namesBelow(join(folder, entry.name)) : [];
    return [entry.name, ...inside.map((name) => `${entry.name}/${name}`)];
  });
  return found.toSorted();
}

export interface Scratch extends Disposable {
  readonly path: string;
  /** A new directory in it. */
  folder(name: string): string;
}

export function scratch(): Scratch {
  const path = mkdtempSync(join(realpathSync(tmpdir()), "outpost-files-"));
  return {
    path,
    folder(name) {
      mkdirSync(join(path, name));
      return join(path, name);
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Node takes negative numbers for a mistake, and negative dates not. */
function seconds(timeMs: number): number | Date {
  return timeMs < 0 ? new Date(timeMs) : timeMs / 1000;
}
