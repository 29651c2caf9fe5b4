/** Where this host can be reached, as far as it knows itself. */
import { networkInterfaces } from "node:os";

const maxAddresses = 64;

/** IPv4 before IPv6, in the order of the interfaces; without loopback and link-local ones. */
export function addresses(interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces()): string[] {
  const all = Object.values(interfaces)
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !isLinkLocal(address));
  const ordered = [
    ...all.filter(({ family }) => family === "IPv4"),
    ...all.filter(({ family }) => family !== "IPv4"),
  ];
  return [...new Set(ordered.map(({ address }) => address))].slice(0, maxAddresses);
}

/** 169.254.0.0/16 (RFC 3927) and fe80::/10 (RFC 4291). */
function isLinkLocal(address: string): boolean {
  return address.startsWith("169.254.") || /^fe[89ab][0-9a-f]:/i.test(address);
}
