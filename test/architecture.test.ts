/** What the linter cannot say about the layout: who may import which dependency, and that the documents know the code. */
import { readdirSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import * as protocol from "@outpost/protocol";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

interface Source {
  readonly path: string;
  readonly text: string;
  /** What it imports at run time, dynamic imports included; not `import type`. */
  readonly imports: readonly string[];
}

/** Every source that is published: no tests, and no `testing/` folders, which the builds leave out. */
const sources: readonly Source[] = readdirSync(`${root}/packages`)
  .flatMap((name) => readdirSync(`${root}/packages/${name}/src`, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
  .map((entry) => relative(root, `${entry.parentPath}/${entry.name}`).replaceAll("\\", "/"))
  .filter((path) => !path.includes("/testing/"))
  .map((path) => ({ path, text: read(path), imports: importsOf(read(path)) }));

function importsOf(text: string): string[] {
  const code = text.replaceAll(/\/\*[^]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
  const statics = code.matchAll(/^\s*(?:import|export)\s+(?!type\b)(?:[^"';]*?\bfrom\s+)?["']([^"']+)["']/gm);
  const dynamics = code.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g);
  return [...statics, ...dynamics].map((match) => match[1]!);
}

/** The package of an import: `@outpost/protocol/memory` → `@outpost/protocol`. */
const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

/** Who may import a dependency, and why nobody else. Patterns are prefixes of paths. */
const importers: Readonly<Record<string, { readonly by: readonly string[]; readonly why: string }>> = {
  msgpackr: {
    by: ["packages/protocol/src/codec.ts"],
    why: "its defaults write extensions of its own; the options are set once and pinned by golden bytes",
  },
  ws: {
    by: ["packages/protocol/src/websocket.ts"],
    why: "limits, masks and corking are set once; everything else knows MessageSocket",
  },
  nanoid: { by: ["packages/protocol/src/ids.ts"], why: "ids have one alphabet, one length and one parser" },
  valibot: {
    by: [
      "packages/protocol/src/",
      "packages/access/src/",
      "packages/agent/src/",
      "packages/controller/src/server/",
      "packages/controller/src/client/",
    ],
    why: "the CLI checks nothing that the library would miss",
  },
  "@peculiar/x509": {
    by: ["packages/agent/src/identity.ts", "packages/access/src/issuing.ts"],
    why: "one place makes certificates and one requests; it is slow to load and is loaded when one is made",
  },
  "reflect-metadata": {
    by: ["packages/agent/src/identity.ts", "packages/access/src/issuing.ts"],
    why: "@peculiar/x509 needs it loaded first, and nothing else does",
  },
  "node:sqlite": {
    by: ["packages/controller/src/server/catalogue"],
    why: "the catalogue alone knows that it is a database",
  },
  yargs: {
    by: ["packages/agent/src/main.ts", "packages/agent/src/cli/", "packages/controller/src/cli/"],
    why: "arguments are parsed at the edge",
  },
  "@lydell/node-pty": {
    by: ["packages/agent/src/session-host/"],
    why: "the session host alone owns terminals; the agent must start without native code",
  },
  "@xterm/headless": {
    by: ["packages/agent/src/session-host/screen.ts"],
    why: "one file knows the emulator; it is large and slow to load",
  },
  yaml: {
    by: ["packages/access/src/document.ts"],
    why: "policies and configurations are read one way, with positions in their problems",
  },
  plist: { by: ["packages/service/src/launchd.ts"], why: "only launchd reads property lists" },
  "prom-client": {
    by: ["packages/controller/src/server/metrics/"],
    why: "whoever works tells an Observer; the library is loaded only where metrics are asked for, and never by an agent",
  },
  ...Object.fromEntries(
    ["api", "exporter-trace-otlp-http", "resources", "sdk-trace"].map((part) => [
      `@opentelemetry/${part}`,
      {
        by: ["packages/controller/src/server/tracing/tracing.ts"],
        why: "one file knows OpenTelemetry; it is loaded only where the standard variables ask for it",
      },
    ]),
  ),
  "cli-table3": { by: ["packages/controller/src/cli/render"], why: "only rendering knows tables" },
  diff: {
    by: ["packages/controller/src/cli/render/comparison.ts"],
    why: "its cost grows with the square of the differences; one place bounds it",
  },
  pino: {
    by: ["packages/agent/src/", "packages/controller/src/server/", "packages/controller/src/cli/"],
    why: "the protocol and the client library do not log: they throw, and report faults to a callback",
  },
};

describe("dependencies", () => {
  const external = sources.flatMap(({ path, imports }) =>
    imports
      .filter((specifier) => !specifier.startsWith("."))
      .map((specifier) => ({
        path,
        dependency: specifier.startsWith("node:") ? specifier : packageOf(specifier),
      })),
  );

  test.each(Object.entries(importers))("%s is imported where it belongs", (dependency, { by, why }) => {
    const strangers = external
      .filter((found) => found.dependency === dependency)
      .filter(({ path }) => !by.some((prefix) => path.startsWith(prefix)));
    expect(strangers, `only ${by.join(", ")}: ${why}`).toEqual([]);
  });

  test("every dependency has a place and a reason", () => {
    const unknown = external
      .map(({ dependency }) => dependency)
      .filter((dependency) => !dependency.startsWith("node:") && !dependency.startsWith("@outpost/"))
      .filter((dependency) => !Object.hasOwn(importers, dependency));
    expect([...new Set(unknown)], "add it to the table above, with a reason").toEqual([]);
  });
});

describe("layers", () => {
  const ours = (folder: string): { path: string; to: string }[] =>
    sources
      .filter(({ path }) => path.startsWith(folder))
      .flatMap(({ path, imports }) => imports.map((to) => ({ path, to })));

  test("the protocol imports nothing else of ours", () => {
    expect(ours("packages/protocol/").filter(({ to }) => to.startsWith("@outpost/"))).toEqual([]);
  });

  test("access, service and files import the protocol, and nothing else of ours", () => {
    const wrong = ["access", "service", "files"]
      .flatMap((name) => ours(`packages/${name}/`))
      .filter(({ to }) => to.startsWith("@outpost/") && !to.startsWith("@outpost/protocol"));
    expect(wrong).toEqual([]);
  });

  test("agent and controller never import each other", () => {
    const wrong = [
      ...ours("packages/agent/").filter(({ to }) => to.startsWith("@outpost/controller")),
      ...ours("packages/controller/").filter(({ to }) => to.startsWith("@outpost/agent")),
    ];
    expect(wrong).toEqual([]);
  });

  test("no relative import leaves its package", () => {
    const leaves = sources.flatMap(({ path, imports }) => {
      const home = path.split("/").slice(0, 3).join("/");
      return imports
        .filter((to) => to.startsWith("."))
        .map((to) => relative(root, fileURLToPath(new URL(to, new URL(`../${path}`, import.meta.url)))))
        .filter((target) => !target.replaceAll("\\", "/").startsWith(`${home}/`))
        .map((target) => `${path} → ${target}`);
    });
    expect(leaves).toEqual([]);
  });

  test("the CLI loads the server only when a command needs it", () => {
    const statics = sources
      .filter(({ path }) => path.startsWith("packages/controller/src/cli/"))
      .filter(({ text }) => /^\s*(?:import|export)\s+(?!type\b)[^;]*?from\s+["'][^"']*\/server\//m.test(text))
      .map(({ path }) => path);
    expect(statics).toEqual([]);
  });

  test("tests' tools are in no published source", () => {
    const wrong = sources.filter(({ imports }) =>
      imports.some((to) =>
        ["vitest", "fast-check", "@outpost/protocol/testing", "@outpost/protocol/memory"].includes(to),
      ),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });
});

interface Manifest {
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly publishConfig: { readonly exports: unknown };
}

test.each(["protocol", "access", "service", "files", "agent", "controller"])(
  "what %s publishes is what it exports here, but for the sources",
  (name) => {
    const manifest = JSON.parse(read(`packages/${name}/package.json`)) as Manifest;
    const published = Object.entries(manifest.exports).map(([entry, { source: _source, ...rest }]) => [
      entry,
      rest,
    ]);
    expect(manifest.publishConfig.exports).toEqual(Object.fromEntries(published));
  },
);

describe("documents", () => {
  const headings = (path: string): Set<string> =>
    new Set([...read(path).matchAll(/^#+ `([^`]+)`/gm)].map((match) => match[1]!));

  test("every error code has a heading in docs/errors.md", () => {
    const known = headings("docs/errors.md");
    expect(Object.values(protocol.ErrorCode).filter((code) => !known.has(code))).toEqual([]);
  });

  test("every reason of a job's or session's end and of a gap has one too", () => {
    const known = headings("docs/errors.md");
    const reasons = [
      ...protocol.EndReasonCode.options,
      ...protocol.GapReason.options,
      ...protocol.SessionEndCode.options,
      ...protocol.SessionGapReason.options,
    ];
    expect(reasons.filter((code) => !known.has(code))).toEqual([]);
  });

  test("every method has a heading in docs/protocol.md, and every heading a method", () => {
    const maps = [
      protocol.sessionMethods,
      protocol.sessionHostMethods,
      protocol.sessionHostAgentMethods,
      protocol.agentMethods,
      protocol.agentLocalMethods,
      protocol.agentLocalClientMethods,
      protocol.controllerAgentMethods,
      protocol.controllerEnrolmentMethods,
      protocol.controllerOperatorMethods,
      protocol.operatorMethods,
      protocol.enrolmentMethods,
    ];
    const methods = new Set(maps.flatMap((map) => Object.keys(map)));
    expect(headings("docs/protocol.md")).toEqual(methods);
  });

  test("links between the documents lead somewhere", () => {
    const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "test/README.md"].concat(
      readdirSync(`${root}/docs`)
        .filter((name) => name.endsWith(".md"))
        .map((name) => `docs/${name}`),
    );
    const present = pages.filter((page) => exists(page));
    const broken = present.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)/g)]
        .map(([, path, anchor]) => ({ target: resolveLink(page, path!), anchor }))
        .filter(
          ({ target, anchor }) => !exists(target) || (anchor !== undefined && !anchorsOf(target).has(anchor)),
        )
        .map(({ target, anchor }) => `${page} → ${target}${anchor === undefined ? "" : `#${anchor}`}`),
    );
    expect(broken).toEqual([]);
  });
});

function exists(path: string): boolean {
  try {
    read(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EISDIR";
  }
}

function resolveLink(page: string, path: string): string {
  if (path === "") return page;
  return relative(root, fileURLToPath(new URL(path, new URL(`../${page}`, import.meta.url))));
}

/** Anchors as GitHub makes them from headings. */
function anchorsOf(page: string): Set<string> {
  if (!page.endsWith(".md")) return new Set();
  return new Set(
    [...read(page).matchAll(/^#+ (.+)$/gm)].map((match) =>
      match[1]!
        .toLowerCase()
        .replaceAll(/[^\p{Letter}\p{Number} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

// Sizes at which to think, not limits: a split that makes a reader jump is worse. So this looks and never fails.
test("a look at the sizes of files", ({ annotate }) => {
  const long = sources
    .map(({ path, text }) => ({ path, lines: text.split("\n").length }))
    .filter(({ lines }) => lines > 250)
    .sort((a, b) => b.lines - a.lines)
    .map(({ path, lines }) => `${path} ${String(lines)}`);
  return annotate(long.length === 0 ? "none above 250 lines" : `above 250 lines: ${long.join(", ")}`).then(
    () => {},
  );
});
