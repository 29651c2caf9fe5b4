/** The shells that integration is tested with; those that are not on this machine are left out, and said to be. */
import { existsSync } from "node:fs";
import type { TestContext } from "vitest";

export interface ShellUnderTest {
  readonly name: string;
  readonly path: string;
  /** Where another program is asked for by a name of its own. */
  readonly link?: string;
}

export const bash: ShellUnderTest = { name: "bash", path: "/bin/bash" };
export const zsh: ShellUnderTest = { name: "zsh", path: "/bin/zsh" };
export const dash: ShellUnderTest = { name: "dash", path: "/bin/dash" };
export const busybox: ShellUnderTest = { name: "busybox ash", path: "/bin/busybox", link: "ash" };
const posixBash: ShellUnderTest = { name: "bash as sh", path: "/bin/bash", link: "sh" };

export const shells: readonly ShellUnderTest[] = [bash, zsh, dash, busybox, posixBash];

/** Skips the test, with a notice for the end of the test run, when the shell is not there. */
export function needs(context: TestContext, shell: ShellUnderTest): void {
  if (!existsSync(shell.path)) {
    context.skip(
      `sessions with ${shell.name}: there is no ${shell.path} here; install it to have them tested`,
    );
  }
}
