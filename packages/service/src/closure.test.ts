import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { closureOf } from "./closure.ts";
import { copyPackages } from "./copying.ts";
import { link, writePackage, writeProgram } from "./testing/packages.ts";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "outpost-closure-")));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What the program at `root` says that it and its dependencies are. */
function run(root: string): unknown {
  const env = { PATH: process.env["PATH"] };
  return JSON.parse(execFileSync(process.execPath, [join(root, "dist/main.js")], { encoding: "utf8", env }));
}

const places = (root: string): Record<string, string> =>
  Object.fromEntries(closureOf(root).map(({ place, source }) => [place, source.slice(folder.length + 1)]));

/** A workspace whose packages are links, and whose other packages are in a store. */
function workspace(): string {
  const program = writeProgram(join(folder, "packages/program"), {
    version: "2.0.0",
    dependencies: ["shared", "b"],
    manifest: { devDependencies: { tool: "*" } },
  });
  const shared = writePackage(join(folder, "packages/shared"), "shared", {
    dependencies: ["a"],
    files: { "src/index.ts": "source", "dist/.tsbuildinfo": "{}" },
  });
  const store = (name: string, dependencies: readonly string[] = [], version = "1.0.0"): string =>
    writePackage(join(folder, `node_modules/.pnpm/${name}@${version}/node_modules/${name}`), name, {
      version,
      dependencies,
    });
  const a1 = store("a");
  const a2 = store("a", [], "2.0.0");
  const b = store("b", ["a"]);
  link(join(folder, "node_modules/.pnpm/b@1.0.0/node_modules/a"), a2);
  link(join(program, "node_modules/shared"), shared);
  link(join(program, "node_modules/b"), b);
  link(join(program, "node_modules/tool"), store("tool"));
  link(join(shared, "node_modules/a"), a1);
  return program;
}

describe("a pnpm workspace", () => {
  test("links are followed, a second version is nested, tools stay out", () => {
    expect(places(workspace())).toEqual({
      "": "packages/program",
      "node_modules/shared": "packages/shared",
      "node_modules/b": "node_modules/.pnpm/b@1.0.0/node_modules/b",
      "node_modules/a": "node_modules/.pnpm/a@1.0.0/node_modules/a",
      "node_modules/b/node_modules/a": "node_modules/.pnpm/a@2.0.0/node_modules/a",
    });
  });

  test("the copy finds the same without the workspace", async () => {
    const program = workspace();
    const expected = run(program);
    const copy = join(folder, "copy");
    await copyPackages(closureOf(program), copy);
    rmSync(join(folder, "packages"), { recursive: true });
    rmSync(join(folder, "node_modules"), { recursive: true });
    expect(run(copy)).toEqual(expected);
    expect(expected).toEqual({
      "program@2.0.0": [{ "shared@1.0.0": [{ "a@1.0.0": [] }] }, { "b@1.0.0": [{ "a@2.0.0": [] }] }],
    });
    // Of a package of the workspace only what it would publish.
    expect(readdirSync(join(copy, "node_modules/shared")).toSorted()).toEqual(["dist", "package.json"]);
    expect(readdirSync(join(copy, "node_modules/shared/dist"))).toEqual(["index.js"]);
  });

  test("one that is not built is named", async () => {
    const program = workspace();
    rmSync(join(folder, "packages/shared/dist"), { recursive: true });
    const copied = copyPackages(closureOf(program), join(folder, "copy"));
    await expect(copied).rejects.toThrow(/^shared is not built .*pnpm build/);
  });
});

describe("npm's flat layout", () => {
  const modules = (name: string): string => join(folder, "lib/node_modules", name);

  test("a global install: what is hoisted beside the program is found and put below it", async () => {
    const program = writeProgram(modules("program"), { dependencies: ["a", "b"] });
    writePackage(modules("a"), "a");
    writePackage(modules("b"), "b", { dependencies: ["a", "@scope/c"] });
    writePackage(join(modules("b"), "node_modules/a"), "a", { version: "3.0.0" });
    writePackage(modules("@scope/c"), "@scope/c");
    expect(Object.keys(places(program))).toEqual([
      "",
      "node_modules/a",
      "node_modules/b",
      "node_modules/b/node_modules/a",
      "node_modules/@scope/c",
    ]);
    const copy = join(folder, "copy");
    await copyPackages(closureOf(program), copy);
    expect(run(copy)).toEqual(run(program));
  });

  test("optional packages and peers are taken when they are there, unless nobody needs them", () => {
    const program = writeProgram(modules("program"), {
      dependencies: [],
      optional: ["native-linux", "native-windows"],
      manifest: {
        peerDependencies: { host: "*", types: "*", absent: "*" },
        peerDependenciesMeta: { types: { optional: true } },
      },
    });
    for (const name of ["native-linux", "host", "types"]) writePackage(modules(name), name);
    expect(Object.keys(places(program))).toEqual(["", "node_modules/native-linux", "node_modules/host"]);
  });

  test("a dependency that is nowhere is named", () => {
    const program = writeProgram(modules("program"), { dependencies: ["gone"] });
    const error = (() => {
      try {
        return closureOf(program);
      } catch (reason) {
        return reason;
      }
    })();
    expect(error).toBeInstanceOf(OutpostError);
    expect(error).toMatchObject({ code: ErrorCode.notFound, data: { name: "gone" } });
  });
});

// Any graph of dependencies, several versions of a name included: in the copy every package finds what it found in the
// store. Circles of several versions cannot be copied, and are refused; others can.
test("whatever depends on whatever, the places resolve to what was found", () => {
  const names = ["a", "b", "c", "d"];
  const graph = fc.uniqueArray(
    fc.record({
      name: fc.constantFrom(...names),
      version: fc.constantFrom("1.0.0", "2.0.0", "3.0.0"),
      needs: fc.dictionary(fc.constantFrom(...names), fc.nat(), { maxKeys: 3 }),
    }),
    { minLength: 1, maxLength: 8, selector: ({ name, version }) => `${name}@${version}` },
  );
  fc.assert(
    fc.property(
      graph,
      fc.dictionary(fc.constantFrom(...names), fc.nat(), { minKeys: 1 }),
      (packages, roots) => {
        rmSync(folder, { recursive: true });
        const sources = new Map<string, string>();
        const at = (name: string, version: string): string =>
          join(folder, `store/${name}@${version}/node_modules/${name}`);
        const candidates = (name: string): string[] =>
          packages.filter((each) => each.name === name).map((each) => at(each.name, each.version));
        const edges = new Map<string, Map<string, string>>();
        const choose = (from: string, needs: Readonly<Record<string, number>>): string[] => {
          const chosen = new Map(
            Object.entries(needs).flatMap(([name, index]) => {
              const found = candidates(name);
              return found.length === 0 ? [] : [[name, found[index % found.length]!] as const];
            }),
          );
          edges.set(from, chosen);
          return [...chosen.keys()];
        };
        for (const { name, version, needs } of packages) {
          const source = at(name, version);
          sources.set(source, name);
          writePackage(source, name, { version, dependencies: choose(source, needs) });
        }
        const root = join(folder, "root");
        writePackage(root, "root", { dependencies: choose(root, roots) });
        for (const [from, chosen] of edges) {
          for (const [name, to] of chosen) {
            // A package finds itself before anything beside it.
            if (to !== from) link(join(from, "node_modules", name), to);
            else link(join(from, "node_modules", name), from);
          }
        }
        let placed: ReturnType<typeof closureOf>;
        try {
          placed = closureOf(root);
        } catch (error) {
          expect(error).toMatchObject({ code: ErrorCode.conflict });
          expect(isCircular(edges, root), "only circles are refused").toBe(true);
          return;
        }
        const byPlace = new Map(placed.map(({ place, source }) => [place, source]));
        for (const { source, place } of placed) {
          for (const [name, wanted] of edges.get(source)!) {
            expect(
              resolve(byPlace, place, name),
              `${name} from ${place} in ${JSON.stringify(packages)}`,
            ).toBe(wanted);
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});

function isCircular(edges: ReadonlyMap<string, ReadonlyMap<string, string>>, from: string): boolean {
  const visit = (at: string, above: readonly string[]): boolean =>
    above.includes(at) || [...edges.get(at)!.values()].some((next) => visit(next, [...above, at]));
  return visit(from, []);
}

/** As Node does, in a copy. */
function resolve(placed: ReadonlyMap<string, string>, from: string, name: string): string | undefined {
  for (let at = from; ; at = at.replace(/\/?[^/]+$/, "")) {
    const found = at.endsWith("node_modules") ? undefined : placed.get(join(at, "node_modules", name));
    if (found !== undefined || at === "") return found;
  }
}
