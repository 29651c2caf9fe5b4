/** The hosts, as the controller knows them. */
import { type HostInfo, OutpostError } from "@outpost/protocol";
import { compareVersions, fold } from "@outpost/protocol/targets";
import { type Answer, type Check, ok, problem, warning } from "@outpost/service/doctor";
import { ageText } from "../duration.ts";
import type { Patient } from "./patient.ts";

export function hostChecks(patient: Patient): Check[] {
  return [
    { name: "hosts", needs: ["hello"], look: () => hosts(patient) },
    { name: "quarantine", needs: ["hosts"], look: () => quarantine(patient) },
    { name: "agents", needs: ["hosts"], look: () => agents(patient) },
    { name: "host certificates", needs: ["hosts"], look: () => certificates(patient) },
  ];
}

/** Names as they are shown: folded, and not more of it than one reads. */
function namesOf(some: readonly HostInfo[]): string {
  const folded = fold(some.map(({ name }) => name));
  return folded.length <= maxNamesText ? folded : `${folded.slice(0, maxNamesText)}…`;
}
const maxNamesText = 300;

const dataOf = (some: readonly HostInfo[]): { hosts: string[] } => ({ hosts: some.map(({ name }) => name) });

async function hosts(patient: Patient): Promise<Answer | Answer[]> {
  const { client, targets } = patient;
  try {
    patient.hosts = await client.hosts(targets);
  } catch (reason) {
    const { code, message } = OutpostError.from(reason);
    return problem(message, "`outpost host list` shows the hosts that there are", { code });
  }
  const all = patient.hosts;
  const { operator } = client.administration.controller!;
  if (all.length === 0) {
    return problem(
      "there are no hosts that we may see",
      `is there one? \`outpost token create\` makes a token, \`outpost-agent join\` on a host uses it; \`outpost policy explain ${operator} host.list\` says what we may see`,
    );
  }
  const connected = all.filter(({ state }) => state === "connected");
  const away = all.filter(({ state }) => state === "disconnected");
  const never = all.filter(({ state }) => state === "never");
  const count = `${String(connected.length)} of ${String(all.length)} hosts ${connected.length === 1 ? "is" : "are"} connected`;
  const answers: Answer[] = [];
  const thereAdvice =
    "on such a host: `outpost-agent doctor` says what keeps it away (`systemctl status outpost-agent`)";
  // Some of a fleet are always away; of those that were named, none should be.
  const isWrong = connected.length === 0 || targets !== undefined;
  if (away.length > 0) answers.push(awayAnswer(away, count, isWrong, thereAdvice));
  if (never.length > 0) {
    answers.push(
      warning(
        `${namesOf(never)} enrolled and never connected`,
        "start the agent there: `outpost-agent install`, or `outpost-agent start`",
        dataOf(never),
      ),
    );
  }
  return answers.length === 0 ? ok(count, { hosts: all.length, connected: connected.length }) : answers;
}

function awayAnswer(away: readonly HostInfo[], count: string, isWrong: boolean, advice: string): Answer {
  const now = Date.now();
  const since = away.map(({ lastSeen = 0 }) => lastSeen);
  const [first, last] = [Math.min(...since), Math.max(...since)].map((time) => ageText(time, now));
  const when = first === last ? `last seen ${first!}` : `last seen ${last!} to ${first!}`;
  const message = `${count}; not connected: ${namesOf(away)}, ${when}`;
  return (isWrong ? problem : warning)(message, advice, dataOf(away));
}

function quarantine({ hosts: all }: Patient): Answer {
  const waiting = all.filter(({ quarantinedSince }) => quarantinedSince !== undefined);
  if (waiting.length === 0) return ok("no host waits to be approved");
  return warning(
    `${namesOf(waiting)} ${waiting.length === 1 ? "waits" : "wait"} in quarantine: nothing runs there`,
    `look at what they say of themselves (\`outpost host list\`), then \`outpost host approve ${waiting[0]!.name}\`, or \`outpost host remove\``,
    dataOf(waiting),
  );
}

/** Agents that are older than the controller: they refuse what they do not know. */
function agents({ client, hosts: all }: Patient): Answer {
  const theirs = client.administration.controller!.software.split(" ").at(-1)!;
  const known = all.filter(({ facts, state }) => facts !== undefined && state === "connected");
  const older = known.filter(({ facts }) => compareVersions(facts!.agentVersion, theirs) < 0);
  const newer = known.filter(({ facts }) => compareVersions(facts!.agentVersion, theirs) > 0);
  if (newer.length > 0) {
    return warning(
      `${namesOf(newer)} ${newer.length === 1 ? "is" : "are"} newer than the controller (${theirs})`,
      "the controller is upgraded first: `outpost controller install` from the new version",
      dataOf(newer),
    );
  }
  if (older.length > 0) {
    const versions = [...new Set(older.map(({ facts }) => facts!.agentVersion))].sort(compareVersions);
    return warning(
      `${namesOf(older)} ${older.length === 1 ? "runs" : "run"} ${versions.join(", ")}, the controller ${theirs}: what those do not know is refused there`,
      "`outpost-agent upgrade` from the new version, on the host; jobs and sessions run on",
      dataOf(older),
    );
  }
  return ok(known.length === 0 ? "none is connected" : `all that are connected run ${theirs}`);
}

/** Renewed at two thirds of 30 days: with less than this left, that has failed for days. */
const endsSoonMs = 7 * 24 * 60 * 60 * 1000;

function certificates({ hosts: all }: Patient): Answer {
  const now = Date.now();
  const of = (isIn: (leftMs: number) => boolean): HostInfo[] =>
    all.filter(({ certificateExpiresAt: ends }) => ends !== undefined && isIn(ends - now));
  const ended = of((left) => left <= 0);
  const ending = of((left) => left > 0 && left < endsSoonMs);
  if (ended.length > 0) {
    return problem(
      `the certificate of ${namesOf(ended)} has ended: it is not let in`,
      "join it again with a new token: `outpost token create`, and there `outpost-agent join --force`",
      dataOf(ended),
    );
  }
  if (ending.length > 0) {
    return warning(
      `the certificate of ${namesOf(ending)} ends within a week and was not renewed`,
      "agents renew theirs while they are connected; where one is, its log says why not",
      dataOf(ending),
    );
  }
  return ok("none ends within a week");
}
