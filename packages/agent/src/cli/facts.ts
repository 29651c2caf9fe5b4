/** `outpost-agent facts`: what this host says of itself, gathered now. For whoever writes a program for facts.d. */
import type { Facts } from "@outpost/protocol";
import { agentPaths } from "../directory.ts";
import { gatherCustomFacts, gatherOwnFacts } from "../facts/index.ts";
import { hostPlatform } from "../platform/index.ts";
import { ExitCode } from "./exit-code.ts";
import { print, say } from "./output.ts";
import { printable } from "./printable.ts";

export interface FactsOptions {
  readonly dir: string;
  readonly output: "text" | "json";
}

/** @returns the exit code: whether all of facts.d could be used */
export async function facts({ dir, output }: FactsOptions): Promise<number> {
  const { factFolders: folders } = agentPaths(dir);
  const own = await gatherOwnFacts(hostPlatform().bootId);
  const { facts: custom, problems } = await gatherCustomFacts({ folders });
  const found: Facts = { ...own, ...(Object.keys(custom).length === 0 ? {} : { custom }) };
  await print(output, { facts: found, problems }, asText(found, folders));
  for (const { file, message } of problems) await say(printable(`${file} ${message}`));
  return problems.length === 0 ? ExitCode.ok : 1;
}

function asText(found: Facts, folders: readonly string[]): string {
  const { os, osId, osVersion, osLike, kernel, arch, platform, hostname } = found;
  const { cpus, memoryBytes, disks = [], addresses = [], cloud, agentVersion, bootId, custom = {} } = found;
  const own: readonly (readonly [string, string | undefined])[] = [
    ["os", osId === undefined ? os : `${osId} (${os})`],
    ["os.version", osVersion],
    ["os.like", osLike?.join(" ")],
    ["kernel", kernel],
    ["arch", arch],
    ["platform", platform],
    ["hostname", hostname],
    ["cpus", String(cpus)],
    ["mem", bytesText(memoryBytes)],
    ...disks.map(
      ({ path, sizeBytes, freeBytes }, index) =>
        [
          index === 0 ? "disk" : "",
          `${bytesText(sizeBytes)}, ${bytesText(freeBytes)} free: ${path}`,
        ] as const,
    ),
    ["address", addresses.length === 0 ? undefined : addresses.join(" ")],
    ["cloud", cloud],
    ["version", agentVersion],
    ["boot", bootId],
  ];
  const names = Object.keys(custom).sort();
  const rows = [
    ...own.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])),
    ...names.map((name) => [`fact.${name}`, String(custom[name])] as const),
  ];
  const width = Math.max(...rows.map(([key]) => key.length)) + 2;
  const lines = rows.map(([key, value]) => `${key.padEnd(width)}${printable(value)}`);
  const none =
    names.length === 0 ? [`no facts of this host's own: programs in ${folders.join(" and ")} give some`] : [];
  return [...lines, ...none].join("\n");
}

/** Binary units, as memory is sold and as target expressions count (`mem>=8GiB`). */
function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 9.95 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]!}`;
}
