/** A configuration for people. */
import { commandText } from "../configurations/allow-list.ts";
import type { Configuration } from "../configurations/index.ts";
import { bytesText, durationText } from "../configurations/quantity.ts";
import { ownAccount } from "../platform/index.ts";

export function configurationText(configuration: Configuration): string {
  const { name, description, operators, user, users, groups, cwd, env, acceptEnv, allow } = configuration;
  const sets = Object.keys(env);
  const accepts = acceptEnv ?? (allow === undefined ? ["*"] : []);
  const others = users.length === 0 ? "" : `; on request as ${users.join(", ")}`;
  const rows: [string, string][] = [
    ["name", name],
    ["description", description ?? ""],
    ["operators", listText(operators, "whomever the policies allow")],
    ["runs as", `${user ?? `${ownAccount().name}, as the agent`}${others}`],
    ["groups", listText(groups, "the user's own")],
    ["directory", cwd ?? "the user's home"],
    ["sets", listText(sets, "nothing")],
    ["accepts", listText(accepts, "nothing")],
    ["sessions", sessionsText(configuration)],
    ["commands", allow === undefined ? "any" : ""],
  ];
  const commands = (allow ?? []).map((entry) => `  ${commandText(entry)}`);
  const lines = rows.filter(([key, value]) => value !== "" || key === "commands");
  return [...lines.map(([key, value]) => row(key, value)), ...commands, ...limitLines(configuration)].join(
    "\n",
  );
}

function sessionsText({ allow, shell, command }: Configuration): string {
  if (allow !== undefined) return "none: it allows certain commands only";
  if (command !== undefined) return `run ${command.join(" ")}`;
  return shell === undefined ? "any shell" : `run ${shell}`;
}

function limitLines({ limits }: Configuration): string[] {
  const { cpus, memoryBytes, processes, openFiles, jobs, sessions, idleMs, timeMs, outputBytes } = limits;
  const given: [string, string | undefined][] = [
    ["cpu", cpus === undefined ? undefined : `${String(cpus)} CPUs`],
    ["memory", memoryBytes === undefined ? undefined : bytesText(memoryBytes)],
    ["processes", processes?.toString()],
    ["openFiles", openFiles?.toString()],
    ["jobs", jobs?.toString()],
    ["sessions", sessions?.toString()],
    ["idle", idleMs === undefined ? undefined : durationText(idleMs)],
    ["time", timeMs === undefined ? undefined : durationText(timeMs)],
    ["output", outputBytes === undefined ? undefined : bytesText(outputBytes)],
  ];
  const lines = given
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `  ${row(key, value!)}`);
  return [row("limits", lines.length === 0 ? "the host's" : ""), ...lines];
}

function row(key: string, value: string): string {
  return `${key.padEnd(12)}${value}`.trimEnd();
}

function listText(values: readonly string[] | undefined, otherwise: string): string {
  if (values === undefined) return otherwise;
  return values.length === 0 ? "none" : values.join(", ");
}
