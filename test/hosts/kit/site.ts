/**
 * A network with a controller and hosts, each a machine of its own, set up by the commands that a person types. The
 * operator sits at the controller's machine.
 */
import { Network, type StartedNetwork } from "testcontainers";
import type { TestContext } from "vitest";
import { eventually } from "../../kit/wait.ts";
import { type Executed, Machine, type MachineOptions } from "./machine.ts";

export interface SiteOptions {
  /** Hosts with an agent. Default `web1, web2, web3`. */
  readonly hosts?: readonly string[];
  /** Which of them will be rebooted. Default none. */
  readonly reboot?: readonly string[];
}

/** What `outpost host list --output json` says of one. */
export interface ListedHost {
  readonly name: string;
  readonly state: string;
  readonly facts?: { readonly agentVersion: string };
}

/** What `outpost job show --output json` says of a job on a host, as far as tests look at it. */
export interface JobStatus {
  readonly state: string;
  readonly exit?: { readonly code?: number; readonly signal?: string };
  readonly reason?: { readonly code: string; readonly message: string };
  readonly output: { readonly stdout: { readonly written: number } };
}

const url = "wss://controller:7443";

/** Waits for all of them, also when one fails: what is still being made cannot be taken away. */
async function all(tasks: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(tasks);
  await Promise.all(tasks);
}

export class Site implements AsyncDisposable {
  /** By name; the controller's among them. */
  readonly machines = new Map<string, Machine>();
  readonly #network: StartedNetwork;

  private constructor(network: StartedNetwork) {
    this.#network = network;
  }

  /** Sets everything up and waits until every host is connected. */
  static async create({ hosts = ["web1", "web2", "web3"], reboot = [] }: SiteOptions = {}): Promise<Site> {
    const site = new Site(await new Network().start());
    try {
      await all(["controller", ...hosts].map((name) => site.boot(name, { reboots: reboot.includes(name) })));
      await site.installController(site.controller);
      const token = await site.token(hosts.length);
      await all(hosts.map((host) => site.installAgent(site.machine(host), token)));
      await site.connected(...hosts);
      return site;
    } catch (error) {
      const report = await site.report();
      await site[Symbol.asyncDispose]();
      throw new Error(`the site could not be set up; its machines say:\n${report}`, { cause: error });
    }
  }

  get controller(): Machine {
    return this.machine("controller");
  }

  machine(name: string): Machine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`no machine called ${name} here`);
    return machine;
  }

  /** One more machine on the network, with nothing installed. */
  async boot(
    name: string,
    options: Pick<MachineOptions, "reboots" | "memoryFileSystems"> = {},
  ): Promise<Machine> {
    const machine = await Machine.start({ name, network: this.#network, ...options });
    this.machines.set(name, machine);
    return machine;
  }

  async installController(machine: Machine): Promise<string> {
    return machine.run("outpost", "controller", "install", "--name", "controller");
  }

  /** @returns an enrolment token for that many hosts */
  async token(uses = 1): Promise<string> {
    const { token } = await this.json<{ token: string }>(
      "token",
      "create",
      "--uses",
      String(uses),
      "--ttl",
      "1h",
    );
    return token;
  }

  /** @returns what `outpost-agent install` printed */
  async installAgent(machine: Machine, token: string, ...more: string[]): Promise<string> {
    const { name } = machine;
    return machine.run(
      "outpost-agent",
      "install",
      "--controller",
      url,
      "--token",
      token,
      "--name",
      name,
      ...more,
    );
  }

  /** `outpost …`, as the operator. Never throws for an exit code. */
  async attempt(...args: string[]): Promise<Executed> {
    return this.controller.attempt("outpost", ...args);
  }

  /** @returns what it printed @throws Error when it failed */
  async outpost(...args: string[]): Promise<string> {
    return this.controller.run("outpost", ...args);
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.outpost(...args, "--output", "json")) as T;
  }

  async hosts(): Promise<ListedHost[]> {
    const { hosts } = await this.json<{ hosts: ListedHost[] }>("host", "list");
    return hosts;
  }

  /** Waits until the controller says that these hosts are connected. */
  async connected(...names: string[]): Promise<void> {
    await this.#inState("connected", names);
  }

  async unreachable(...names: string[]): Promise<void> {
    await this.#inState("disconnected", names);
  }

  /** Starts a job of shell text. @returns its id */
  async start(targets: string, text: string, ...options: string[]): Promise<string> {
    return (await this.outpost("job", "start", targets, ...options, "-c", text)).trim();
  }

  /** How a job stands on its one host. */
  async status(job: string): Promise<JobStatus> {
    const { jobs } = await this.json<{ jobs: { status: JobStatus }[] }>("job", "show", job);
    return jobs[0]!.status;
  }

  /** Waits until a job is over on its one host, as far as the controller knows. */
  async ended(job: string): Promise<JobStatus> {
    return eventually(
      async () => {
        const status = await this.status(job);
        return status.state !== "running" && status.state !== "pending" && status;
      },
      { what: `the end of ${job}` },
    );
  }

  /** What the machines say is printed when the test fails. For `beforeEach`. */
  reportWhenItFails({ onTestFailed }: Pick<TestContext, "onTestFailed">): void {
    onTestFailed(async () => {
      console.error(await this.report());
    });
  }

  async report(): Promise<string> {
    const reports = await Promise.all([...this.machines.values()].map((machine) => machine.report()));
    return reports.join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.machines.values()].map((machine) => machine[Symbol.asyncDispose]()));
    await this.#network.stop();
  }

  async #inState(state: string, names: readonly string[]): Promise<void> {
    await eventually(
      async () => {
        const hosts = await this.hosts();
        return names.every((name) => hosts.some((host) => host.name === name && host.state === state));
      },
      { withinMs: 60_000, what: `${names.join(", ")} ${state}` },
    );
  }
}
