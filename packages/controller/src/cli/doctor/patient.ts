/** Whom the doctor examines: what earlier checks have found, for the later ones. */
import type { HostInfo } from "@outpost/protocol";
import type { Client, Context } from "../../client/index.ts";

export class Patient implements AsyncDisposable {
  /** Where the job is to run, if that was said. */
  readonly targets: string | undefined;
  #context:
    | { readonly directory: string; readonly name: string | undefined; readonly context: Context }
    | undefined;
  #client: Client | undefined;
  #hosts: readonly HostInfo[] = [];

  constructor(targets: string | undefined) {
    this.targets = targets;
  }

  /** Known once `context` was looked at. */
  get context(): NonNullable<Patient["found"]> {
    return this.#context!;
  }

  get found():
    | { readonly directory: string; readonly name: string | undefined; readonly context: Context }
    | undefined {
    return this.#context;
  }

  set found(found: NonNullable<Patient["found"]>) {
    this.#context = found;
  }

  /** Known once `hello` was looked at. */
  get client(): Client {
    return this.#client!;
  }

  set client(client: Client) {
    this.#client = client;
  }

  /** Known once `hosts` was looked at. */
  get hosts(): readonly HostInfo[] {
    return this.#hosts;
  }

  set hosts(hosts: readonly HostInfo[]) {
    this.#hosts = hosts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.[Symbol.asyncDispose]();
  }
}
