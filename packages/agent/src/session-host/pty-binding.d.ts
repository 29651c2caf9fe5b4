/** The native part of @lydell/node-pty, which its own types leave out. See terminal.ts for why it is used directly. */
declare module "@lydell/node-pty/requireBinary.js" {
  export interface PtyBinding {
    /**
     * Starts a program on a new terminal, as leader of a session of its own.
     * @param env `NAME=value`
     * @param uid, gid -1: our own
     * @param utf8 sets IUTF8, so that the kernel's line editing erases characters and not bytes
     * @param helper a program that macOS needs for it; not looked at elsewhere
     * @param onExit exactly one of the two is not 0, or none is
     */
    fork(
      file: string,
      args: readonly string[],
      env: readonly string[],
      cwd: string,
      columns: number,
      rows: number,
      uid: number,
      gid: number,
      utf8: boolean,
      helper: string,
      onExit: (code: number, signal: number) => void,
    ): { readonly fd: number; readonly pid: number; readonly pty: string };
    resize(fd: number, columns: number, rows: number): void;
  }
  export function requireBinary(file: "pty.node"): PtyBinding;
}
