/**
 * How many newcomers may be busy with arriving. After a restart ten thousand agents dial at once; each costs a TLS
 * handshake, a hello and an inventory. Those beyond the limit wait (waiting-room.ts), or are told when to come back.
 *
 * Who has not shown a certificate yet is counted by network as well, so that one machine cannot take all places; who has,
 * by what it says.
 */
import { isIPv6 } from "node:net";
import type { ControllerSettings } from "./settings.ts";

export class Admission {
  readonly #settings: ControllerSettings;
  readonly #handshakes: Places;
  readonly #newcomers: Places;
  readonly #greetings: Places;

  constructor(settings: ControllerSettings) {
    this.#settings = settings;
    this.#handshakes = new Places(settings.maxHandshakes);
    this.#newcomers = new Places(settings.maxEnrolments);
    this.#greetings = new Places(settings.maxGreetings);
  }

  /** A TCP connection has come. The returned function says (once) that it has asked for its upgrade, or is gone.
   * `undefined`: no place is free for it, or so many are being greeted that it would have to be refused then. */
  handshake(address: string | undefined): (() => void) | undefined {
    const { maxGreetings, maxHandshakes } = this.#settings;
    const wouldBeRefused = this.#greetings.taken + maxHandshakes >= maxGreetings;
    if (wouldBeRefused && maxGreetings > maxHandshakes) return undefined;
    return this.#handshakes.take(networkOf(address ?? ""), this.#settings.maxHandshakesPerNetwork);
  }

  /** A place among those who are being greeted; the returned function gives it back (once). `undefined`: none is free.
   * @param id in the certificate */
  greet(kind: "host" | "operator", id: string): (() => void) | undefined {
    const { maxGreetingsPerHost, maxGreetingsPerOperator } = this.#settings;
    return this.#greetings.take(id, kind === "host" ? maxGreetingsPerHost : maxGreetingsPerOperator);
  }

  /** The same among those who enrol. Their places are their own: they have shown no certificate yet, and MUST NOT be
   * able to keep out those who have. */
  enrol(address: string | undefined): (() => void) | undefined {
    return this.#newcomers.take(networkOf(address ?? ""), this.#settings.maxEnrolmentsPerNetwork);
  }

  /** How many are arriving now. */
  get arriving(): { readonly handshake: number; readonly greeting: number; readonly enrolment: number } {
    return {
      handshake: this.#handshakes.taken,
      greeting: this.#greetings.taken,
      enrolment: this.#newcomers.taken,
    };
  }

  /** When to come back, in milliseconds; spread, so that the refused do not come back together. */
  retryAfterMs(): number {
    return Math.round(this.#settings.retryAfterMs * (0.5 + Math.random()));
  }
}

/** Places, of which each group (a network, the bearers of one certificate) may take some. */
class Places {
  readonly #most: number;
  readonly #groups = new Map<string, number>();
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get taken(): number {
    return this.#taken;
  }

  /** @param mostOfGroup how many of the places this group may have */
  take(group: string, mostOfGroup: number): (() => void) | undefined {
    const taken = this.#groups.get(group) ?? 0;
    if (this.#taken >= this.#most || taken >= mostOfGroup) return undefined;
    this.#taken++;
    this.#groups.set(group, taken + 1);
    return once(() => {
      this.#taken--;
      const left = this.#groups.get(group)! - 1;
      if (left === 0) this.#groups.delete(group);
      else this.#groups.set(group, left);
    });
  }
}

/** Whom an address belongs to, as far as can be told: itself, or for IPv6 its /64, of which one machine has all. */
export function networkOf(address: string): string {
  // As sockets that listen for both show IPv4.
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  const [head = "", tail] = address.split("%", 1)[0]!.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const end = tail === "" ? [] : tail.split(":");
    while (groups.length + end.length < 8) groups.push("0");
    groups.push(...end);
  }
  return groups.slice(0, 4).join(":");
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}
