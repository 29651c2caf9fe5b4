/** Why a local file cannot be read, behind its name. */
export function unreadableText(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ENOENT":
      return "is not there";
    case "EISDIR":
      return "is a directory";
    case "EACCES":
      return "may not be read by you";
    default:
      return `cannot be read (${String(code)})`;
  }
}
