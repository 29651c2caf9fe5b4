/** What the process of an emulated fleet and whoever started it say to each other. */

export interface AgentsOptions {
  readonly url: string;
  /** Where the agents' directories are, or are to be made: `<directory>/<host>`. */
  readonly directory: string;
  /** The first host's number; hosts are called `host<number>`. */
  readonly first: number;
  readonly count: number;
  /** Where jobs are kept. `memory`: not at all, and they cost no files. */
  readonly store: "real" | "memory";
  /** How programs are launched. `instant`: not, see emulated-program.ts. `real`: by `spawner.ts`, for all that share a process. */
  readonly launch: "real" | "instant";
}

export type Order =
  /** Enrols those that are not yet. */
  | { readonly kind: "enrol"; readonly token: string }
  /** Starts all agents. */
  | { readonly kind: "start" }
  /** How do they stand? */
  | { readonly kind: "look" }
  /** Ends the attempts that are counted so far, and the longest of their lives. */
  | { readonly kind: "forget-failures" };

export interface Look {
  readonly connected: number;
  /** Failed attempts to connect, by what they met. */
  readonly failures: Readonly<Record<string, number>>;
}

export type Report =
  | { readonly kind: "ready" }
  | { readonly kind: "enrolled" }
  | { readonly kind: "started" }
  | { readonly kind: "look"; readonly look: Look }
  | { readonly kind: "failed"; readonly message: string };
