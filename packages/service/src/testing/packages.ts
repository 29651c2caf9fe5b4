/** Packages on disk, as package managers lay them out. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

export interface PackageOptions {
  readonly version?: string;
  readonly dependencies?: readonly string[];
  readonly optional?: readonly string[];
  /** Besides package.json and index.js, by path. */
  readonly files?: Readonly<Record<string, string>>;
  readonly manifest?: Readonly<Record<string, unknown>>;
}

/** Writes a package whose module prints its name and version, and what its dependencies print, indented. */
export function writePackage(folder: string, name: string, options: PackageOptions = {}): string {
  const { version = "1.0.0", dependencies = [], optional = [], files = {}, manifest = {} } = options;
  mkdirSync(folder, { recursive: true });
  const any = (names: readonly string[]): Record<string, string> =>
    Object.fromEntries(names.map((each) => [each, "*"]));
  const own = { name, version, type: "module", main: "dist/index.js", dependencies: any(dependencies) };
  writeJson(join(folder, "package.json"), { ...own, optionalDependencies: any(optional), ...manifest });
  const imports = dependencies.map((each, index) => `import d${String(index)} from ${JSON.stringify(each)};`);
  const found = dependencies.map((_, index) => `d${String(index)}`).join(", ");
  const text = `${imports.join("\n")}\nexport default { ${JSON.stringify(`${name}@${version}`)}: [${found}] };\n`;
  writeText(join(folder, "dist/index.js"), text);
  for (const [path, content] of Object.entries(files)) writeText(join(folder, path), content);
  return folder;
}

/** A program that answers `--version`, and else prints what it and its dependencies are. */
export function writeProgram(folder: string, options: PackageOptions = {}): string {
  const main =
    'import { readFileSync } from "node:fs";\n' +
    'const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));\n' +
    'if (process.argv[2] === "--version") console.log(version);\n' +
    'else if (process.argv[2] === "wait") { console.log("waits"); setInterval(() => {}, 1000); }\n' +
    'else console.log(JSON.stringify((await import("./index.js")).default));\n';
  return writePackage(folder, "program", {
    ...options,
    files: { "dist/main.js": main, ...options.files },
  });
}

export function link(at: string, to: string): void {
  mkdirSync(dirname(at), { recursive: true });
  symlinkSync(relative(dirname(at), to), at);
}

function writeJson(file: string, value: unknown): void {
  writeText(file, JSON.stringify(value));
}

function writeText(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
