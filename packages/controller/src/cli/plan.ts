/** `--plan`: what would be done, and nothing of it is. */
import type { HostState } from "@outpost/protocol";
import { fold } from "@outpost/protocol/targets";
import type { Client, Plan, PlannedHost, StartOptions } from "../client/index.ts";
import type { OutputFormat } from "./command.ts";
import { ageText, durationText } from "./duration.ts";
import { print } from "./render/records.ts";

/** @returns the exit code */
export async function showPlan(client: Client, options: StartOptions, format: OutputFormat): Promise<number> {
  const plan = await client.plan(options);
  const { hosts, concurrency, maxFailures } = plan;
  const { offline = "fail", rollout } = options;
  const stages = plan.stages.map((names, index) => ({ stage: index + 1, hosts: names }));
  const stageOf = new Map(stages.flatMap(({ stage, hosts: names }) => names.map((name) => [name, stage])));
  await print(format, {
    json: {
      hosts,
      offline,
      concurrency,
      ...(maxFailures === undefined ? {} : { maxFailures }),
      ...(rollout?.order === undefined ? {} : { order: rollout.order }),
      stages,
    },
    records: hosts.map((host) => ({ ...host, stage: stageOf.get(host.host) })),
    text: () => planText(plan, options),
  });
  return 0;
}

/** So many lines of hosts that are offline, or of stages, are shown; the rest is counted. */
const maxLines = 40;

export function planText(plan: Plan, options: Omit<StartOptions, "command">, now = Date.now()): string {
  const { hosts, stages } = plan;
  const lines: readonly string[] = [
    ["hosts", `${String(hosts.length)}: ${fold(hosts.map(({ host }) => host))}`],
    ...offlineLines(hosts, options.offline ?? "fail", now),
    ...paceLines(plan, options),
    ...(stages.length === 1
      ? []
      : shortened(
          stages.map(
            (names, index) =>
              [`stage ${String(index + 1)}`, `${String(names.length)}: ${fold(names)}`] as const,
          ),
          "stages",
        )),
  ].map(([key, text]) => `${key.padEnd(10)}  ${text}`);
  return `${lines.join("\n")}\nThis is the plan; nothing was run.`;
}

type Line = readonly [key: string, text: string];

function shortened(lines: readonly Line[], what: string): readonly Line[] {
  if (lines.length <= maxLines) return lines;
  return [...lines.slice(0, maxLines), ["", `… and ${String(lines.length - maxLines)} more ${what}`]];
}

const fates = {
  fail: "they would fail as unreachable",
  skip: "they would be left out",
  queue: "the job would wait for them",
} as const;

/** Those that were seen last at about the same time together. */
function offlineLines(
  hosts: readonly PlannedHost[],
  offline: keyof typeof fates,
  now: number,
): readonly Line[] {
  const away = hosts.filter(({ state }) => state !== "connected");
  if (away.length === 0) return [["offline", "none"]];
  const groups = new Map<string, string[]>();
  const longestFirst = away.toSorted((a, b) => (a.lastSeen ?? 0) - (b.lastSeen ?? 0));
  for (const { host, state, lastSeen } of longestFirst) {
    const since = sinceText(state, lastSeen, now);
    groups.set(since, [...(groups.get(since) ?? []), host]);
  }
  const lines = [...groups].map(([since, names]): Line => ["", `${fold(names)}: ${since}`]);
  return [["offline", `${String(away.length)}; ${fates[offline]}`], ...shortened(lines, "times")];
}

function sinceText(state: HostState, lastSeen: number | undefined, now: number): string {
  return state === "never" || lastSeen === undefined
    ? "never connected"
    : `last seen ${ageText(lastSeen, now)}`;
}

function paceLines(
  { hosts, concurrency, maxFailures }: Plan,
  options: Omit<StartOptions, "command">,
): readonly Line[] {
  const { rollout, check } = options;
  if (rollout === undefined && check === undefined) return [];
  const { order, slowStart = false, confirm = false, pauseMs = 0 } = rollout ?? {};
  const many = concurrency >= hosts.length ? "all of a stage at once" : `${String(concurrency)} at a time`;
  const between = [
    ...(check === undefined ? [] : ["the check"]),
    ...(pauseMs === 0 ? [] : [`a pause of ${durationText(pauseMs)}`]),
    ...(confirm ? ["a question whether to go on"] : []),
  ];
  return [
    ...(order?.kind === "random" ? [["order", `random:${String(order.seed)}`] as const] : []),
    ["pace", slowStart ? `one at first, up to ${many}` : many],
    ...(between.length === 0 ? [] : [["between", between.join(", then ")] as const]),
    ["failures", limitText(maxFailures)],
  ];
}

function limitText(maxFailures: number | undefined): string {
  if (maxFailures === undefined) return "no limit";
  return maxFailures === 0 ? "the first one stops it" : `more than ${String(maxFailures)} stop it`;
}
