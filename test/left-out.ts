/** Says at the end of a test run what was not tested, so that a green run never looks like more than it is. */
import { existsSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

export class LeftOut implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines: string[] = [];
    if (existsSync(new URL("hosts", import.meta.url))) {
      lines.push("container tests (test/hosts): they need Docker; run them with `pnpm test:hosts`");
    } else {
      lines.push("container tests (other distributions, systemd): there are none yet");
    }
    for (const module of modules) {
      for (const test of module.children.allTests("skipped")) {
        const result = test.result();
        const note = result.state === "skipped" ? result.note : undefined;
        // A test that was filtered out by name carries no note; only what skipped itself has a reason to tell.
        if (note !== undefined) lines.push(`${test.fullName}: ${note}`);
      }
    }
    process.stdout.write(`\nLeft out:\n${lines.map((line) => `  - ${line}\n`).join("")}\n`);
  }
}
