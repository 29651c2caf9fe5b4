/**
 * The host's own policy: `policy.yaml` in the agent's directory. It can only narrow what the controller lets through.
 *
 *     no file   ──▶ whatever the controller lets through
 *     a policy  ──▶ that
 *     no policy ──▶ nothing: somebody wanted to forbid something, and we do not know what
 *
 * A change of the file is in force with the next request: it is looked at before each. Now and then it is looked at, too,
 * so that a mistake is in the log soon.
 */
import { lstatSync, readFileSync, statSync } from "node:fs";
import { closedPolicy, type Decision, permissivePolicy, Policy, type PolicyRequest } from "@outpost/access";
import { type Clock, OutpostError } from "@outpost/protocol";
import type { Logger } from "pino";

/** How the policy stands, and what is in force. `problem` is a sentence without its full stop, the file's name in it. */
export type PolicyState = { readonly policy: Policy } & (
  | { readonly kind: "none" | "loaded" }
  | { readonly kind: "bad"; readonly problem: string }
);

export interface PolicyFileOptions {
  readonly file: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of every state but the first `none`. */
  readonly changed: (state: PolicyState) => void;
}

const lookEveryMs = 10_000;

/** Reads a host's policy as it is now. Does not throw. */
export function readPolicy(file: string): PolicyState {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && !isLink(file)) return { kind: "none", policy: permissivePolicy };
    if (code === "ENOENT") return bad(`${file} is a symbolic link that leads nowhere`);
    return bad(`${file} cannot be read: ${String(code)}`);
  }
  try {
    return { kind: "loaded", policy: Policy.parse(text, file) };
  } catch (error) {
    return bad(OutpostError.from(error).message);
  }
}

function bad(problem: string): PolicyState {
  const reason = `its policy is not valid, so that nothing is allowed until it is: ${problem}`;
  return { kind: "bad", problem, policy: closedPolicy(reason) };
}

export class PolicyFile implements Disposable {
  readonly #options: PolicyFileOptions;
  #version: string;
  #state: PolicyState;
  #cancelLook: () => void = () => {};

  constructor(options: PolicyFileOptions) {
    this.#options = options;
    this.#version = versionOf(options.file);
    this.#state = readPolicy(options.file);
    if (this.#state.kind !== "none") this.#tell();
    this.#lookLater();
  }

  get state(): PolicyState {
    this.#look();
    return this.#state;
  }

  decide(request: PolicyRequest): Decision {
    return this.state.policy.decide(request);
  }

  [Symbol.dispose](): void {
    this.#cancelLook();
  }

  #lookLater(): void {
    this.#cancelLook = this.#options.clock.after(lookEveryMs, () => {
      this.#look();
      this.#lookLater();
    });
  }

  #look(): void {
    const version = versionOf(this.#options.file);
    if (version === this.#version) return;
    this.#version = version;
    this.#state = readPolicy(this.#options.file);
    this.#tell();
  }

  #tell(): void {
    const { log, file, changed } = this.#options;
    const state = this.#state;
    switch (state.kind) {
      case "none":
        log.warn(`${file} is gone: operators may do whatever the controller lets through`);
        break;
      case "loaded":
        log.info(`the policy in ${file} is in force`);
        break;
      case "bad":
        log.error(`NOTHING is allowed on this host: ${state.problem}. See \`outpost-agent policy check\``);
        break;
      default:
        state satisfies never;
    }
    changed(state);
  }
}

/** Changes with every change of the file. */
function versionOf(file: string): string {
  try {
    const found = statSync(file, { bigint: true, throwIfNoEntry: false });
    // Asked before each request, and most hosts have none: an error for that would cost more than the rest of the gate.
    if (found === undefined) return isLink(file) ? "link" : "none";
    const { ino, size, mtimeNs, ctimeNs } = found;
    return [ino, size, mtimeNs, ctimeNs].join(" ");
  } catch (error) {
    return `${String((error as NodeJS.ErrnoException).code)}${isLink(file) ? " link" : ""}`;
  }
}

/** Whether somebody has put a policy there, and it is elsewhere: perhaps in a file system that is not mounted now. */
function isLink(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}
