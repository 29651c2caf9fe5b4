/** The command line makes no sense: said before anything was loaded or done. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** The command whose `--help` explains it, e.g. `job receive`. */
  readonly command: string | undefined;

  /** @param message what is wrong and how it would be right, without a full stop at the end */
  constructor(message: string, command?: string) {
    super(message);
    this.command = command;
  }
}
