/** Says at the end of a test run what was not tested, so that a green run never looks like more than it is. */
import type { Reporter, TestModule } from "vitest/node";
import { dockerRuns } from "./hosts/kit/docker.ts";

export class LeftOut implements Reporter {
  readonly #tests: "all" | "hosts";

  /** @param tests which are run: all but those in containers, or those */
  constructor(tests: "all" | "hosts") {
    this.#tests = tests;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines = this.#tests === "all" ? [containers()] : [];
    for (const module of modules) {
      for (const test of module.children.allTests("skipped")) {
        const result = test.result();
        const note = result.state === "skipped" ? result.note : undefined;
        // A test that was filtered out by name carries no note; only what skipped itself has a reason to tell.
        if (note !== undefined) lines.push(`${test.fullName}: ${note}`);
      }
    }
    if (lines.length === 0) return;
    process.stdout.write(`\nLeft out:\n${lines.map((line) => `  - ${line}\n`).join("")}\n`);
  }
}

function containers(): string {
  const what = "container tests (test/hosts: services, reboots, upgrades, run-as, limits)";
  return dockerRuns()
    ? `${what}: run them with \`pnpm test:hosts\``
    : `${what}: they need Docker, which does not answer here; \`.ci/run\` installs it and runs them`;
}
