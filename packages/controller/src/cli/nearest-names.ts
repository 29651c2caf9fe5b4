/** What a name that the controller does not know may have meant. */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { Client } from "../client/index.ts";
import { nearest } from "./suggest.ts";

/** So many are shown: more is a list, and there are commands for those. */
const maxNames = 3;

/** What is asked of a client here. */
export type NameSource = Pick<Client, "hosts" | "jobs" | "job" | "sessions">;

/** @returns `error`; for an unknown host, label, job or session one that names the nearest, in `data.nearest`, too */
export async function withNearestNames(error: unknown, client: NameSource): Promise<unknown> {
  if (!(error instanceof OutpostError) || error.code !== ErrorCode.notFound) return error;
  // The question failed already: that its answer has no hint is not worth another error.
  const names = await nearestNames(error.data, client).catch(() => []);
  if (names.length === 0) return error;
  const message = `${error.message}. Did you mean ${names.join(" or ")}?`;
  return new OutpostError(error.code, message, { data: { ...error.data, nearest: names }, cause: error });
}

async function nearestNames(
  { target, missing, job, session, host }: Readonly<Record<string, unknown>>,
  client: NameSource,
): Promise<readonly string[]> {
  if (Array.isArray(missing)) return nearHosts(missing as readonly string[], client);
  if (typeof target === "string") return nearest(target, await targets(client, target), maxNames);
  if (typeof session === "string" && typeof host !== "string") {
    return nearestOf(
      session,
      (await client.sessions()).map(({ status }) => ({ id: status.session, name: status.name })),
    );
  }
  if (typeof job !== "string") return [];
  if (typeof host !== "string") {
    return nearestOf(
      job,
      (await client.jobs()).map(({ job: id, name }) => ({ id, name })),
    );
  }
  const { hosts } = await client.job(job);
  return nearest(
    host,
    hosts.map((each) => each.host),
    maxNames,
  );
}

/** Hosts that are not there: of the first few, which each may have meant. */
async function nearHosts(missing: readonly string[], client: NameSource): Promise<readonly string[]> {
  const hosts = (await client.hosts()).map(({ name }) => name);
  const found = missing
    .slice(0, maxNames)
    .flatMap((name) => nearest(name, hosts, missing.length === 1 ? maxNames : 1));
  return [...new Set(found)];
}

async function targets(client: NameSource, target: string): Promise<readonly string[]> {
  const hosts = await client.hosts();
  if (!target.includes("=")) return hosts.map(({ name }) => name);
  const labels = hosts.flatMap((host) => Object.entries(host.labels));
  return [...new Set(labels.map(([key, value]) => `${key}=${value}`))];
}

/** By name, or by an id or the beginning of one. */
function nearestOf(
  text: string,
  things: readonly { readonly id: string; readonly name: string | undefined }[],
): readonly string[] {
  const named = [...new Set(things.flatMap(({ name }) => name ?? []))];
  // Ids are random: of a short beginning, anything is two edits away.
  if (text.length < 4) return nearest(text, named, maxNames);
  const ids = new Map(things.map(({ id }) => [id.slice(0, text.length), id]));
  const found = nearest(text, [...named, ...ids.keys()], maxNames);
  return found.map((name) => ids.get(name) ?? name);
}
