/** What the start-up text of every shell is made from. */
export interface StartupWanted {
  /** Where the shell finds `integration`. Absolute. */
  readonly directory: string;
  readonly nonce: string;
  readonly hostName: string;
  /** The environment that the session is to have: names that we use ourselves to get in are put back to these. */
  readonly env: Readonly<Record<string, string>>;
  /** What `exit` at the prompt does. */
  readonly onExit: "end" | "leave";
}

/** `outpost-agent` can be called in every session, by the host's own link where none is installed: that comes last. Once,
 * and not after every run: PATH is the user's. */
export const agentOnPath =
  'if [ -n "${OUTPOST_AGENT_DIR-}" ]; then PATH=${PATH:+$PATH:}$OUTPOST_AGENT_DIR/run/bin; fi';
