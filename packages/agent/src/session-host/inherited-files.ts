/**
 * Starts a shell without what it would inherit by accident: node-pty's terminals stay open across exec(2), so that each
 * shell had those of all earlier sessions. A program in one could write to another's; and a terminal that somebody holds
 * is not hung up when the session host dies.
 *
 * Node has no fcntl(2), so it is done on the other side: a shell closes all files but the first three and becomes the
 * program. It takes one that knows files above 9, which dash does not: bash, or busybox. On a host with neither, shells
 * are started as they are. On macOS node-pty closes them itself.
 *
 * Where the session host is spared when memory runs out, the program is put back to where others are by the same shell.
 *
 * The environment passes through it unchanged, but for SHLVL and `_`, and PS1 and PS2, which every start-up file sets. It
 * takes 2 ms.
 */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { isExecutable, oomReset } from "../platform/index.ts";

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
}

const closers: readonly (readonly [string, ...string[]])[] = [
  // -p: nothing of the session's environment (BASH_ENV, functions) has a say in it.
  ["/bin/bash", "--norc", "--noprofile", "-p"],
  ["/usr/bin/bash", "--norc", "--noprofile", "-p"],
  ["/bin/busybox", "sh"],
];

const script = `for f in /proc/$$/fd/*; do f=\${f##*/}; case $f in [012]) ;; *) eval "exec $f>&-" ;; esac; done; exec "$@"`;

/**
 * @param required for a program that becomes another user, who must not hold files of ours
 * @throws OutpostError `start_failed` when it is required and cannot be done
 */
export function withoutInherited({ file, args }: Program, required = false): Program {
  const closer = process.platform === "linux" ? closers.find(([path]) => isExecutable(path)) : undefined;
  if (closer !== undefined) {
    const [path, ...options] = closer;
    return { file: path, args: [...options, "-c", oomReset() + script, "outpost", file, ...args] };
  }
  if (required && process.platform === "linux") {
    throw new OutpostError(
      ErrorCode.startFailed,
      "a session as another user needs bash or busybox, and neither is on this host",
    );
  }
  const reset = oomReset();
  if (reset === "") return { file, args };
  return { file: "/bin/sh", args: ["-c", `${reset}exec "$@"`, "outpost", file, ...args] };
}
