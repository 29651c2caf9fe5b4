/** What `invoke` and `job start` say of how a job comes to its hosts: the options of roll-outs, of hosts that are offline, of
 * retries. */
import type { Rollout, RolloutOrder, Share } from "@outpost/protocol";
import type { StartOptions } from "../client/index.ts";
import { choice, flag, type Given, under, value } from "./command.ts";
import { parseDuration } from "./duration.ts";
import { UsageError } from "./usage-error.ts";

export const rolloutOptions = {
  ...under("Roll-outs", {
    concurrency: value("At most so many hosts at a time (PowerShell: -ThrottleLimit); default: all", {
      argument: "N|N%",
      parse: parseShare,
    }),
    "slow-start": flag("One host at first, and one more at a time for each that has succeeded"),
    canary: value("So many hosts first, as a stage of their own; with it no host may fail by default", {
      argument: "N|N%",
      parse: parseShare,
    }),
    batch: value("The others in stages of so many hosts; default: in one", {
      argument: "N|N%",
      parse: parseShare,
    }),
    pause: value("How long to wait between stages, e.g. 30s", {
      argument: "DURATION",
      parse: parseDuration,
    }),
    confirm: flag("Ask between stages whether to go on; without a terminal, outpost job resume answers"),
    check: value(
      "Shell text that is run on the hosts of each stage when they are done: where it fails, the host has failed. " +
        "With it no host may fail by default",
      { argument: "TEXT", parse: parseCheck },
    ),
    "max-failures": value("With more failed hosts than this nothing more begins", {
      argument: "N|N%",
      parse: parseFailures,
    }),
    order: value("The hosts' order: name (default), or random, which the same SEED makes the same again", {
      argument: "name|random[:SEED]",
      parse: parseOrder,
    }),
  }),
  ...under("Hosts that are offline or fail", {
    offline: choice(
      "Hosts without a connection: they fail, they are left out, or the job waits for them until it expires",
      ["fail", "skip", "queue"],
    ),
    expires: value(
      "How long hosts may still be started, in a roll-out or with --offline queue; default: 1d",
      {
        argument: "DURATION",
        parse: parseExpiry,
      },
    ),
    retry: value("Where it fails, the host runs it again, up to so many times", {
      argument: "N",
      parse: parseTimes,
    }),
    "retry-delay": value("How long to wait before it is run again; default: no time", {
      argument: "DURATION",
      parse: parseDelay,
    }),
  }),
} as const;

type RolloutGiven = Given<typeof rolloutOptions>["options"];

/** @param session true: it runs in sessions. @throws UsageError for what makes no sense together */
export function rolloutStart(
  name: string,
  given: RolloutGiven,
  session: boolean,
): Pick<StartOptions, "rollout" | "offline" | "expiresInMs" | "retry"> {
  const { offline, expires, retry, "retry-delay": delayMs } = given;
  const rollout = rolloutOf(name, given);
  if (expires !== undefined && rollout === undefined && offline !== "queue") {
    throw new UsageError(
      "--expires is for hosts that are started later: with --offline queue, or in a roll-out (--batch, --concurrency, …)",
      name,
    );
  }
  if (delayMs !== undefined && retry === undefined) {
    throw new UsageError("--retry-delay is for --retry: say how many times, too", name);
  }
  if (retry !== undefined && session) {
    throw new UsageError("what runs in a session is not retried: run it without --session", name);
  }
  return {
    offline,
    expiresInMs: expires,
    ...(rollout === undefined ? {} : { rollout }),
    ...(retry === undefined ? {} : { retry: { times: retry, delayMs: delayMs ?? 0 } }),
  };
}

/** `undefined`: all hosts at once. */
function rolloutOf(name: string, given: RolloutGiven): Rollout | undefined {
  const { concurrency, canary, batch, pause, confirm, check, order } = given;
  const { "slow-start": slowStart, "max-failures": maxFailures } = given;
  const hasStages = canary !== undefined || batch !== undefined;
  const isGradual = hasStages || concurrency !== undefined || slowStart;
  for (const [option, isGiven] of [
    ["--pause", pause !== undefined],
    ["--confirm", confirm],
  ] as const) {
    if (!isGiven || hasStages) continue;
    throw new UsageError(
      `${option} comes between stages: say how many hosts are in one, with --batch or --canary`,
      name,
    );
  }
  for (const [option, isGiven] of [
    ["--max-failures stops what has not begun", maxFailures !== undefined],
    ["--order says whose turn comes first", order !== undefined],
  ] as const) {
    if (!isGiven || isGradual) continue;
    throw new UsageError(
      `${option}, and all hosts begin at once: add --concurrency, --slow-start, --batch or --canary`,
      name,
    );
  }
  if (!isGradual && check === undefined) return undefined;
  return {
    ...(order === undefined ? {} : { order }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(slowStart ? { slowStart } : {}),
    ...(canary === undefined ? {} : { canary }),
    ...(batch === undefined ? {} : { batch }),
    ...(pause === undefined ? {} : { pauseMs: pause }),
    ...(confirm ? { confirm } : {}),
    ...(maxFailures === undefined ? {} : { maxFailures }),
  };
}

function parseCheck(text: string): string {
  if (text.trim() === "") throw new Error("would succeed everywhere");
  return text;
}

/** A number or a percentage above 0. */
export function parseShare(text: string): Share {
  const share = parseFailures(text);
  if ("hosts" in share ? share.hosts > 0 : share.percent > 0) return share;
  throw new Error("is no host at all");
}

/** A number or a percentage. */
function parseFailures(text: string): Share {
  const [, hosts] = /^(\d{1,9})$/.exec(text) ?? [];
  if (hosts !== undefined) return { hosts: Number(hosts) };
  const [, percent] = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(text) ?? [];
  if (percent === undefined) throw new Error("is neither a number of hosts nor a percentage, e.g. 5 or 10%");
  if (Number(percent) > 100) throw new Error("is more than all hosts");
  return { percent: Number(percent) };
}

/** Seeds that are drawn are short enough to be typed again. */
const drawnSeeds = 1_000_000;

function parseOrder(text: string): RolloutOrder {
  if (text === "name") return { kind: "name" };
  const [, seed] = /^random(?::(\d{1,15}))?$/.exec(text) ?? [];
  if (seed !== undefined) return { kind: "random", seed: Number(seed) };
  if (text === "random") return { kind: "random", seed: Math.floor(Math.random() * drawnSeeds) };
  throw new Error("is neither name nor random nor random:SEED, e.g. random:42");
}

const maxExpiryMs = 30 * 24 * 60 * 60 * 1000;

function parseExpiry(text: string): number {
  const ms = parseDuration(text);
  if (ms === 0) throw new Error("is no time at all");
  if (ms > maxExpiryMs) throw new Error("is longer than 30d, for which a host believes a request");
  return ms;
}

const maxDelayMs = 24 * 60 * 60 * 1000;

function parseDelay(text: string): number {
  const ms = parseDuration(text);
  if (ms > maxDelayMs) throw new Error("is longer than 1d");
  return ms;
}

function parseTimes(text: string): number {
  if (!/^(?:[1-9]\d?|100)$/.test(text)) throw new Error("is not a number from 1 to 100");
  return Number(text);
}
