/** How the shell of a session is started: which integration it gets, and the files that it reads for that. */
import { chmodSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { ShellIntegration } from "@outpost/protocol";
import { bashIntegration, bashStartup } from "./bash.ts";
import { shIntegration, shStartup } from "./sh.ts";
import type { StartupWanted } from "./startup.ts";
import { zshIntegration, zshStartup } from "./zsh.ts";

export interface ShellWanted extends StartupWanted {
  /** Where the shell's files go: the session's `shell/`, made here, 0700. Absolute. */
  readonly directory: string;
  /** Writes one of them, for a directory that another user reads and somebody else has made. */
  readonly write?: ((name: string, text: string) => void) | undefined;
  /** The shell's program. Absolute. */
  readonly shell: string;
  /** Letters and digits that programs in the session do not know. Marks carry it. */
  readonly nonce: string;
}

export interface PreparedShell {
  readonly file: string;
  /** What comes behind the program's name. */
  readonly argv: string[];
  readonly env: Record<string, string>;
  readonly integration: ShellIntegration;
}

/** What a shell called `sh` may really be. ksh and its kin count signals their own way and expand no PS2. */
const posixShells: ReadonlySet<string> = new Set(["sh", "dash", "ash", "busybox", "bash"]);

/**
 * Writes the shell's files and tells how to start it.
 * @throws errors of the file system
 */
export function prepareShell(wanted: ShellWanted): PreparedShell {
  const integration = integrationOf(wanted.shell);
  const { shell: file, directory } = wanted;
  const env = { ...wanted.env };
  if (integration === "none") return { file, argv: loginArguments(file), env, integration };
  const write = wanted.write ?? writerTo(directory);
  switch (integration) {
    case "bash":
      write("startup", bashStartup(wanted));
      write("integration", bashIntegration);
      if (ignoresEnv(file)) return { file, argv: ["--rcfile", join(directory, "startup")], env, integration };
      return {
        file,
        argv: ["--posix", "--login"],
        env: { ...env, ENV: join(directory, "startup") },
        integration,
      };
    case "zsh":
      write(".zshenv", zshStartup(wanted));
      write("integration", zshIntegration);
      return { file, argv: ["-l"], env: { ...env, ZDOTDIR: directory }, integration };
    case "sh":
      write("startup", shStartup(wanted));
      write("integration", shIntegration(invisibleIn(file)));
      return { file, argv: ["-i"], env: { ...env, ENV: join(directory, "startup") }, integration };
    default:
      return integration satisfies never;
  }
}

function writerTo(directory: string): (name: string, text: string) => void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  return (name, text) => writeFileSync(join(directory, name), text, { mode: 0o600 });
}

/** Apple's bash 3.2 reads no `$ENV`. There it is not a login shell by name; it reads the same files. */
function ignoresEnv(bash: string): boolean {
  return process.platform === "darwin" && bash === "/bin/bash";
}

/** By the name that it is called by: bash and busybox are another shell under the name of sh. */
function integrationOf(shell: string): ShellIntegration {
  const name = basename(shell);
  if (name === "bash" || name === "zsh") return name;
  return ["sh", "dash", "ash"].includes(name) && posixShells.has(programOf(shell)) ? "sh" : "none";
}

/** The name of the program behind symbolic links. */
function programOf(shell: string): string {
  try {
    return basename(realpathSync(shell));
  } catch {
    return basename(shell); // Not there: that is said when it is started.
  }
}

/** csh and tcsh take `-l` only alone, others not at all or in their own way; only who is known to take it gets it. */
function loginArguments(shell: string): string[] {
  return ["fish", "csh", "tcsh", "nu", "xonsh", "elvish"].includes(basename(shell)) ? ["-l"] : [];
}

/** What surrounds text in PS1 that takes no room, so that line editing counts columns right. dash has no line editing. */
function invisibleIn(shell: string): readonly [string, string] {
  const program = programOf(shell);
  return program === "busybox" || program === "bash" ? ["\\[", "\\]"] : ["", ""];
}
