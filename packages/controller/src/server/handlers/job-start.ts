/** What has to be right and allowed for a job that is to be started, and for its check. */
import { commandText, ErrorCode, type FanOutStartParams, OutpostError } from "@outpost/protocol";
import { stagesOf } from "@outpost/protocol/rollout";
import type { Need, Touched } from "../authorisation.ts";
import type { Host } from "../presence.ts";
import type { Services } from "../services.ts";
import { hostsOfSessions, sessionOn } from "../session-targets.ts";
import { selectHosts } from "../target-hosts.ts";
import type { Selection } from "./guard.ts";

/**
 * The hosts of a job that is to be started, and what has to be allowed there.
 * @throws OutpostError `invalid_argument` without targets and sessions; as `selectHosts` and `hostsOfSessions`
 */
export function newJob(
  services: Services,
  { spec, targets, secrets }: FanOutStartParams,
): Pick<Selection<Host[]>, "subject" | "hosts" | "also"> {
  const { session, configuration, user, ...rest } = spec;
  if (session === undefined) {
    if (targets === undefined)
      throw new OutpostError(ErrorCode.invalidArgument, "a job needs targets, or sessions to run in");
    const hosts = selectHosts(targets, services.presence.hosts());
    return {
      subject: hosts,
      hosts: hosts.map(({ name, labels }) => ({ name, labels, configuration, user })),
    };
  }
  if (secrets !== undefined || configuration !== undefined || user !== undefined) {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      "a job in a session runs as the session does: with its user, its configuration, and no secrets of its own",
    );
  }
  const hosts = hostsOfSessions(services, { ...rest, session }, targets);
  if (hosts.length === 0)
    throw new OutpostError(ErrorCode.notFound, "none of the hosts that hold the sessions is there any more");
  const control = hosts.map(({ id, name, labels }): Touched => {
    const { operator, configuration: opened } = sessionOn(services.sessions, session.ids, id).status;
    return { name, labels, owner: operator, configuration: opened };
  });
  const run = control.map(({ name, labels, configuration: opened }) => ({
    name,
    labels,
    configuration: opened,
  }));
  return { subject: hosts, hosts: run, also: [{ action: "session.control", hosts: control }] };
}

/**
 * What has to be allowed for the check of a roll-out, on the same hosts.
 * @throws OutpostError `invalid_argument`, `conflict` when it cannot be one
 */
export function checkNeeds(services: Services, params: FanOutStartParams, hosts: readonly Host[]): Need[] {
  const { fanOuts } = services;
  const { job, spec, check } = params;
  if (spec.retry !== undefined && (spec.input.kind === "stream" || spec.session !== undefined)) {
    const what = spec.session === undefined ? "reads a stream, which comes once" : "runs in a session";
    throw new OutpostError(ErrorCode.invalidArgument, `a job that ${what} cannot be retried`);
  }
  demandTime(services.settings, params, hosts.length);
  if (check === undefined) return [];
  const { session, input, configuration, user } = check.spec;
  if (session !== undefined || input.kind === "stream") {
    throw new OutpostError(
      ErrorCode.invalidArgument,
      "a check runs in processes of its own, not in a session, and reads no stream",
    );
  }
  if (check.job === job || fanOuts.find(check.job) !== undefined) {
    throw new OutpostError(ErrorCode.conflict, "a check is a job of its own, and needs an id of its own", {
      data: { job: check.job },
    });
  }
  const checked = hosts.map(({ name, labels }) => ({ name, labels, configuration, user }));
  return [{ action: "invoke", hosts: checked }];
}

/** @throws OutpostError `invalid_argument` when its pauses alone last until it has expired: the last hosts would never begin */
function demandTime(
  { rolloutExpiryMs }: Services["settings"],
  { rollout, expiresInMs = rolloutExpiryMs }: FanOutStartParams,
  hosts: number,
): void {
  if (rollout?.pauseMs === undefined) return;
  const stages = stagesOf(hosts, rollout).length;
  if ((stages - 1) * rollout.pauseMs < expiresInMs) return;
  throw new OutpostError(
    ErrorCode.invalidArgument,
    `${String(stages)} stages with pauses of ${durationText(rollout.pauseMs)} between them take longer than the job may wait (${durationText(expiresInMs)}), so the last would never begin; let it expire later (--expires), or make the stages larger or the pauses shorter`,
    { data: { stages, pauseMs: rollout.pauseMs, expiresInMs } },
  );
}

function durationText(durationMs: number): string {
  const minutes = Math.round(durationMs / 60_000);
  return minutes > 0 ? `${String(minutes)} min` : `${String(durationMs / 1000)} s`;
}

/** A check is a request of its own in the audit log. @returns the number of its line */
export function auditCheck(
  { audit, authorisation }: Services,
  { check }: FanOutStartParams,
  operator: string,
  hosts: readonly Host[],
): number | undefined {
  if (check === undefined) return undefined;
  const { configuration, user, command } = check.spec;
  const checked = hosts.map(({ name, labels }) => ({ name, labels, configuration, user }));
  const rule = authorisation.authorise({ operator, needs: [{ action: "invoke", hosts: checked }] });
  return audit.request({
    action: "invoke",
    operator,
    decision: "allowed",
    ...(rule === "" ? {} : { rule }),
    hosts: hosts.map(({ name }) => name),
    subject: check.job,
    what: commandText(command),
  });
}
