/**
 * A test host: a container with systemd as its first process, so that services, reboots, cgroups and the journal are
 * real. Node and Outpost are mounted; links to Outpost's programs are on the PATH, as after an `npm install -g`.
 */
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import {
  type ContainerRuntimeClient,
  GenericContainer,
  getContainerRuntimeClient,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from "testcontainers";
import { inject } from "vitest";
import { eventually } from "../../kit/wait.ts";
import type { Programs, Release } from "./programs.ts";

export interface MachineOptions {
  /** Its host name, and how others on its network reach it. */
  readonly name: string;
  readonly network: StartedNetwork;
  /** True: it will be rebooted, so the programs that are installed on it are on disk. Default: in memory, where an install
   * takes two seconds and not seven. */
  readonly reboots?: boolean;
  /** Small file systems in memory, path to mount options, e.g. `{"/small": "size=32m"}`. */
  readonly memoryFileSystems?: Readonly<Record<string, string>>;
}

export interface Executed {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where the releases of Outpost are, on every machine. */
const programs = "/usr/lib/outpost";

/** Where services are installed, as a file system in memory. */
const installed = { "/opt": "exec" };

/** The argument vector's beginning that runs a program of a release; plain `outpost-agent` is the current one. */
export function programOf(release: Release, program: "outpost" | "outpost-agent"): string {
  return `${programs}/${release}/${program === "outpost" ? "controller/dist/cli/main.js" : "agent/dist/main.js"}`;
}

/** The next release differs from the current one by its manifests, which are mounted over those. */
function releases({ current, previous, nextManifests }: Programs): { source: string; target: string }[] {
  return [
    { source: current, target: `${programs}/current` },
    { source: current, target: `${programs}/next` },
    ...Object.entries(nextManifests).map(([name, source]) => ({
      source,
      target: `${programs}/next/${name}/package.json`,
    })),
    ...(previous.state === "built" ? [{ source: previous.folder, target: `${programs}/previous` }] : []),
  ];
}

/** Whether we have what `OOMScoreAdjust=` below 0 needs: what we have not, no container of ours can have. */
function mayTakeResources(): boolean {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0";
  return (BigInt(`0x${bounding}`) & (1n << 24n)) !== 0n;
}

/** What systemd needs beyond a plain container, which is much less than all privileges. */
class SystemdContainer extends GenericContainer {
  constructor(image: string, name: string, network: StartedNetwork) {
    super(image);
    this.withHostname(name).withNetwork(network);
    // `withNetworkAliases` would put it on Docker's default network as well.
    this.createOpts.NetworkingConfig = { EndpointsConfig: { [network.getName()]: { Aliases: [name] } } };
    // With the machine's own cgroup namespace the mounted tree shows where this container is, in both versions.
    Object.assign(this.hostConfig, { CgroupnsMode: "host" });
    // "Shut down in order", to systemd.
    this.createOpts.StopSignal = "SIGRTMIN+3";
    this.withAddedCapabilities("SYS_ADMIN", ...(mayTakeResources() ? ["SYS_RESOURCE"] : [])).withSecurityOpt(
      "seccomp=unconfined",
    );
  }
}

function labelOf(text: string): Record<string, string> {
  const [name, value] = text.split("=", 2) as [string, string];
  return { [name]: value };
}

export class Machine implements AsyncDisposable {
  readonly name: string;
  readonly #container: StartedTestContainer;
  readonly #network: StartedNetwork;
  #isGone = false;

  private constructor(name: string, container: StartedTestContainer, network: StartedNetwork) {
    this.name = name;
    this.#container = container;
    this.#network = network;
  }

  /** Boots it. */
  static async start({
    name,
    network,
    reboots = false,
    memoryFileSystems = {},
  }: MachineOptions): Promise<Machine> {
    const host = inject("hosts");
    const container = await new SystemdContainer(host.image, name, network)
      .withLabels(labelOf(host.label))
      .withTmpFs({ "/run": "", "/tmp": "", ...(reboots ? {} : installed), ...memoryFileSystems })
      .withBindMounts([
        { source: "/sys/fs/cgroup", target: "/sys/fs/cgroup", mode: "rw" },
        { source: host.node, target: "/usr/local/bin/node", mode: "ro" },
        ...releases(host.programs).map((mount) => ({ ...mount, mode: "ro" as const })),
      ])
      .withWaitStrategy(Wait.forSuccessfulCommand("systemctl is-system-running --wait"))
      .start();
    const machine = new Machine(name, container, network);
    await machine.sh(
      (["outpost", "outpost-agent"] as const)
        .map((program) => `ln -s ${programOf("current", program)} /usr/bin/${program}`)
        .join(" && "),
    );
    return machine;
  }

  /** Runs an argument vector as root, to its end. Never throws for an exit code. */
  async attempt(...argv: string[]): Promise<Executed> {
    return this.#container.exec(argv, { env: { NO_COLOR: "1" } });
  }

  /** As `attempt`. @returns what it printed. @throws Error with all that it printed when it failed */
  async run(...argv: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.attempt(...argv);
    if (exitCode === 0) return stdout;
    throw new Error(
      `${this.name}: ${argv.join(" ")} failed with exit code ${String(exitCode)}:\n${stderr}${stdout}`,
    );
  }

  /** As `run`, of shell text. */
  async sh(text: string): Promise<string> {
    return this.run("sh", "-c", text);
  }

  async writeFile(path: string, content: string): Promise<void> {
    // Not by Docker's copying, which goes past file systems in memory.
    await this.run("sh", "-c", 'printf %s "$1" >"$2"', "sh", content, path);
  }

  /** @returns the properties' values of a unit, as `systemctl show` has them */
  async unit(unit: string, ...properties: string[]): Promise<Record<string, string>> {
    const text = await this.run("systemctl", "show", unit, ...properties.map((name) => `--property=${name}`));
    return Object.fromEntries(
      text
        .trim()
        .split("\n")
        .map((line) => line.split(/=(.*)/s, 2) as [string, string]),
    );
  }

  /** The main process of a running unit. */
  async mainPid(unit: string): Promise<number> {
    const { MainPID } = await this.unit(unit, "MainPID");
    const pid = Number(MainPID);
    if (!(pid > 0)) throw new Error(`${this.name}: ${unit} has no process`);
    return pid;
  }

  /** Waits for the unit to have a main process other than `pid`, and returns that. */
  async replaced(unit: string, pid: number, withinMs?: number): Promise<number> {
    return eventually(
      async () => {
        const now = await this.mainPid(unit);
        return now !== pid && now;
      },
      { what: `a new process of ${unit} on ${this.name}`, ...(withinMs === undefined ? {} : { withinMs }) },
    );
  }

  /** Shuts down in order and boots again: nothing in memory is left, the disk is. */
  async reboot(): Promise<void> {
    await this.#container.restart({ timeout: 30_000 });
  }

  /** Cuts the power and boots again. */
  async powerCycle(): Promise<void> {
    const container = await this.#docker();
    await container.kill({ signal: "SIGKILL" });
    await eventually(async () => !(await container.inspect()).State.Running, {
      what: `the end of ${this.name}`,
    });
    await container.start();
    await eventually(
      async () => (await this.attempt("systemctl", "is-system-running", "--wait")).exitCode === 0,
      {
        what: `${this.name} running`,
      },
    );
  }

  /** Takes the network cable out. Nothing on either end is told. */
  async unplug(): Promise<void> {
    const { container } = await getContainerRuntimeClient();
    await container.dockerode
      .getNetwork(this.#network.getId())
      .disconnect({ Container: this.#container.getId() });
  }

  /** Puts it back, under the same name. */
  async plug(): Promise<void> {
    const { container } = await getContainerRuntimeClient();
    await container.dockerode
      .getNetwork(this.#network.getId())
      .connect({ Container: this.#container.getId(), EndpointConfig: { Aliases: [this.name] } });
  }

  /** @returns a tar archive of a folder, with owners and modes */
  async backUp(folder: string): Promise<Readable> {
    return Readable.from(await buffer(await this.#container.copyArchiveFromContainer(folder)));
  }

  /** Unpacks what `backUp` has made into the folder that it was in. */
  async restore(archive: Readable, parent: string): Promise<void> {
    await this.#container.copyArchiveToContainer(archive, parent);
  }

  /** The end of its journal and the units that failed, for the report of a failed test. */
  async report(): Promise<string> {
    const { stdout } = await this.attempt(
      "sh",
      "-c",
      "systemctl list-units --failed --no-pager --no-legend; journalctl --no-pager --output=short-precise --lines=60 --unit='outpost-*'",
    ).catch((error: unknown) => ({ stdout: String(error) }));
    return `--- ${this.name}\n${stdout}`;
  }

  /** As if it had never been. Nobody waits for an orderly end. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isGone) return;
    this.#isGone = true;
    const container = await this.#docker();
    await container.remove({ force: true, v: true });
  }

  async #docker(): Promise<ReturnType<ContainerRuntimeClient["container"]["getById"]>> {
    const { container } = await getContainerRuntimeClient();
    return container.getById(this.#container.getId());
  }
}
