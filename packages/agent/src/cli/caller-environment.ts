/** What a job that is started in a shell sees of that shell's environment. */

/**
 * Left out: what is about the caller's terminal, which the job does not have; what shells keep for themselves; and the
 * session that the caller sits in, which the job outlives.
 */
const leftOut: ReadonlySet<string> = new Set([
  "COLORTERM",
  "COLUMNS",
  "GPG_TTY",
  "LINES",
  "SSH_TTY",
  "STY",
  "TERM",
  "TERM_PROGRAM",
  "TERM_PROGRAM_VERSION",
  "TERM_SESSION_ID",
  "TMUX",
  "TMUX_PANE",
  "VTE_VERSION",
  "WINDOWID",
  "_",
  "OLDPWD",
  "PWD",
  "PS1",
  "PS2",
  "SHLVL",
]);

/**
 * All of `environment` but that, with `added` over it.
 * @param sessions the directory of the agent's sessions: what names a file there (a start-up file of the session's
 * shell, in ENV or ZDOTDIR) is left out, too
 */
export function callerEnvironment(
  environment: NodeJS.ProcessEnv,
  added: Readonly<Record<string, string>>,
  sessions: string,
): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || leftOut.has(name) || name.startsWith("OUTPOST_SESSION")) continue;
    if (value.startsWith(`${sessions}/`)) continue;
    passed[name] = value;
  }
  return { ...passed, ...added };
}

/** Of `--env KEY=VALUE`s. @throws Error saying what is wrong with one of them */
export function parseVariables(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      if (at < 1) throw new Error(`--env: ${JSON.stringify(text)} is not KEY=VALUE`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
