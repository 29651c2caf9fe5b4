/** Hosts in a sentence: a request may be about ten thousand. */

/** `a, b and 7 more`. @param most how many are named at the most */
export function namedHosts(hosts: readonly string[], most = 20): string {
  const some = hosts.slice(0, most).join(", ");
  return hosts.length > most ? `${some} and ${String(hosts.length - most)} more` : some;
}
