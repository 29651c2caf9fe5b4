/** What a new context is called when nobody says. */

/** @param controller `wss://HOST:PORT`. @returns the host, or `default` where that is no name */
export function contextNameFor(controller: string): string {
  const host = URL.canParse(controller) ? new URL(controller).hostname : "";
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(host) ? host : "default";
}
