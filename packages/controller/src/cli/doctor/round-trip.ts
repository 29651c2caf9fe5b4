/** A real job on some hosts, there and back. */
import { randomBytes } from "node:crypto";
import { ErrorCode, type HostInfo, OutpostError } from "@outpost/protocol";
import { fold } from "@outpost/protocol/targets";
import { type Answer, type Check, ok, problem, skipped, warning } from "@outpost/service/doctor";
import type { ExitEvent, Job } from "../../client/index.ts";
import { durationText } from "../duration.ts";
import type { Patient } from "./patient.ts";

/** How many hosts are asked where nobody says which. */
const defaultHosts = 5;
/** How long the hosts may take, in milliseconds; a command that prints one line takes well under a second. */
const patienceMs = 20_000;
/** What is left of clocks that agree, with the way there and back, in milliseconds. */
const clockMarginMs = 2_000;

export function roundTripChecks(patient: Patient): Check[] {
  return [{ name: "round trip", needs: ["hosts"], look: () => roundTrip(patient) }];
}

/** How it went on one host. */
interface Trip {
  readonly exit: ExitEvent;
  readonly ms: number;
  readonly output: string;
  /** When it was over here, in milliseconds since 1970. */
  readonly overAt: number;
}

async function roundTrip(patient: Patient): Promise<Answer | Answer[]> {
  const { client, hosts, targets } = patient;
  const fit = hosts.filter(
    ({ state, quarantinedSince }) => state === "connected" && quarantinedSince === undefined,
  );
  if (fit.length === 0) return skipped("no host is connected and out of quarantine");
  const asked = targets === undefined ? fit.slice(0, defaultHosts) : fit;
  const names = asked.map(({ name }) => name);
  const marker = `outpost-doctor-${randomBytes(8).toString("hex")}`;
  const sentAt = Date.now();
  let job: Job;
  try {
    job = await client.start({
      targets: names.join(","),
      command: { kind: "exec", argv: ["echo", marker] },
      name: "outpost-doctor",
      timeoutMs: patienceMs,
      receiving: true,
    });
  } catch (reason) {
    const { code, message } = OutpostError.from(reason);
    // Whoever only looks on has a healthy set-up, too.
    if (code === ErrorCode.denied) return skipped(`no job was run: ${message}`);
    return problem(message, "`outpost invoke` shows the same; the controller's log may say more", { code });
  }
  const trips = await follow(job, sentAt);
  const removed = await job.remove({ force: true }).then(
    () => undefined,
    (reason: unknown) => OutpostError.from(reason),
  );
  const answers = [...judge(asked, trips, marker), clocks(trips, sentAt)];
  if (removed !== undefined) {
    answers.push(
      warning(
        `the job could not be removed: ${removed.message}`,
        `\`outpost job remove ${job.id}\`, by somebody who may`,
      ),
    );
  }
  return answers;
}

async function follow(job: Job, sentAt: number): Promise<ReadonlyMap<string, Trip>> {
  const begun = performance.now() - (Date.now() - sentAt);
  const output = new Map<string, string>();
  const trips = new Map<string, Trip>();
  try {
    for await (const event of job.receive({ follow: true, signal: AbortSignal.timeout(patienceMs) })) {
      if (event.type === "out") {
        output.set(event.host, (output.get(event.host) ?? "") + Buffer.from(event.bytes).toString());
      } else if (event.type === "exit" && event.ended) {
        const ms = performance.now() - begun;
        trips.set(event.host, { exit: event, ms, output: output.get(event.host) ?? "", overAt: Date.now() });
      }
    }
  } catch (reason) {
    // Who has not answered by now is told below.
    if (!["timeout", "cancelled"].includes(OutpostError.from(reason).code)) throw reason;
  }
  return trips;
}

function judge(asked: readonly HostInfo[], trips: ReadonlyMap<string, Trip>, marker: string): Answer[] {
  const well: { readonly name: string; readonly ms: number }[] = [];
  /** Hosts by what went wrong. */
  const wrong = new Map<string, { readonly names: string[]; readonly advice: string }>();
  for (const { name } of asked) {
    const trip = trips.get(name);
    const fault = faultOf(trip, marker);
    if (fault === undefined) {
      well.push({ name, ms: trip!.ms });
      continue;
    }
    const same = wrong.get(fault.message) ?? { names: [], advice: fault.advice };
    same.names.push(name);
    wrong.set(fault.message, same);
  }
  const faults = [...wrong].map(([message, { names, advice }]) =>
    problem(`${fold(names)}: ${message}`, advice, { hosts: names }),
  );
  return well.length === 0 ? faults : [timesOf(well, asked.length), ...faults];
}

function timesOf(well: readonly { readonly name: string; readonly ms: number }[], asked: number): Answer {
  const sorted = [...well].sort((a, b) => a.ms - b.ms);
  const median = sorted[Math.floor((sorted.length - 1) / 2)]!;
  const slowest = sorted.at(-1)!;
  const names = fold(well.map(({ name }) => name));
  const times =
    sorted.length === 1
      ? durationText(slowest.ms)
      : `median ${durationText(median.ms)}, slowest ${durationText(slowest.ms)} (${slowest.name})`;
  return ok(
    `a job ran on ${String(well.length)} of ${String(asked)} (${names}), and its output came back: ${times}`,
    {
      medianMs: Math.round(median.ms),
      slowestMs: Math.round(slowest.ms),
      hosts: well.map(({ name }) => name),
    },
  );
}

const thereAdvice = "there: `outpost-agent doctor`";

function faultOf(
  trip: Trip | undefined,
  marker: string,
): { readonly message: string; readonly advice: string } | undefined {
  if (trip === undefined) {
    return {
      message: `no answer within ${durationText(patienceMs)}`,
      advice: `the agent is connected and does not work: ${thereAdvice}, and its log`,
    };
  }
  const { exit, output } = trip;
  if (exit.state === "completed" && output.trim() === marker) return undefined;
  if (exit.state === "completed") {
    return {
      message: "the job ran, and its output did not come back",
      advice: `is its disk full? ${thereAdvice}`,
    };
  }
  const message = exit.reason?.message ?? `the job ended as ${exit.state}`;
  switch (exit.reason?.code) {
    case "denied":
      return {
        message,
        advice:
          "the host decides that itself, by its own policy and its configurations: there `outpost-agent policy check`, " +
          "`outpost-agent configuration list`; if it speaks of a clock or a signature, `outpost-agent doctor`",
      };
    case "host_unreachable":
      return { message, advice: `it has just gone: ${thereAdvice}` };
    default:
      return { message, advice: `${thereAdvice}, and the agent's log` };
  }
}

/** By the times that a host has given its job: it has begun after we asked, and has ended before we heard of it. */
function clocks(trips: ReadonlyMap<string, Trip>, sentAt: number): Answer {
  const off: string[] = [];
  let worst = 0;
  for (const [name, { exit, overAt }] of trips) {
    const behindMs = exit.startedAt === undefined ? 0 : sentAt - exit.startedAt;
    const aheadMs = exit.endedAt === undefined ? 0 : exit.endedAt - overAt;
    const apart = Math.max(behindMs, aheadMs);
    if (apart > clockMarginMs) off.push(name);
    worst = Math.max(worst, apart);
  }
  if (off.length === 0) return ok("the hosts' clocks agree with ours");
  return warning(
    `the clock of ${fold(off)} differs from ours by up to ${durationText(worst)}`,
    "have it set by chrony or systemd-timesyncd; from five minutes on, hosts refuse what is asked",
    { hosts: off, worstMs: worst },
  );
}
