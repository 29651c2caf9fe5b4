/**
 * What the controller answers to an operator about jobs. Up to the first `await` of a `run` all of this is synchronous, so
 * that requests which an operator sends behind each other find what the earlier ones made.
 */
import {
  type Action,
  commandText,
  ErrorCode,
  type Handlers,
  type HostName,
  type JobId,
  OutpostError,
} from "@outpost/protocol";
import { authorizationText } from "../authorization.ts";
import { type Need, notAllowed, type Touched } from "../authorisation.ts";
import type { FanOut } from "../fan-out.ts";
import type { FanOutHosts } from "../fan-outs.ts";
import type { Job } from "../job.ts";
import { refreshRunning } from "../live-status.ts";
import { firstPage } from "../page.ts";
import type { Host } from "../presence.ts";
import { receiveInput } from "../receive-input.ts";
import { Receive } from "../receive.ts";
import type { Services } from "../services.ts";
import { inTurns } from "../turns.ts";
import { unpackSpec } from "../spec.ts";
import { touchedHost } from "../target-hosts.ts";
import { waitForEnd } from "../wait.ts";
import type { Asker, Guard, OperatorMethods, Selection } from "./guard.ts";
import { auditCheck, checkNeeds, newJob } from "./job-start.ts";

type JobOperation = Extract<keyof OperatorMethods, `fanout.${string}`>;

/** What a request about some jobs of a fan-out job is about. */
interface Selected {
  readonly fanOut: FanOut;
  readonly jobs: readonly Job[];
}

export function jobOperations(
  services: Services,
  guard: Guard,
): Pick<Handlers<OperatorMethods>, JobOperation> {
  const { authorisation, presence, fanOuts, dispatch, launch, rollouts, inputs, bus, clock, settings } =
    services;

  const touched = (fanOut: FanOut, jobs: readonly Job[]): Touched[] =>
    jobs.map((job) => touchedHost(presence, job, fanOut.owner));
  const mayRead =
    (asker: Asker) =>
    ({ owner, hosts }: FanOutHosts): boolean => {
      for (const host of hosts) {
        if (!asker.may("job.read", touchedHost(presence, host, owner))) return false;
      }
      return true;
    };
  const selection = (fanOut: FanOut, jobs: readonly Job[]): Selection<Selected> => ({
    subject: { fanOut, jobs },
    // Of no host is of all: what comes back tells of the fan-out job.
    hosts: touched(fanOut, jobs.length === 0 ? fanOut.jobs : jobs),
    about: fanOut.id,
    title: fanOut.title,
  });
  const named = (
    params: { job: JobId; hosts?: readonly HostName[] | undefined },
    asker: Asker,
  ): Selection<Selected> => {
    const fanOut = fanOuts.get(params.job);
    if (params.hosts === undefined) return selection(fanOut, fanOut.jobs);
    return selection(
      fanOut,
      params.hosts.map((name) => {
        const job = fanOut.job(name);
        if (job !== undefined) return job;
        // Where a job does not run is told to those who may see where it does.
        const needs: Need[] = [{ action: "job.read", hosts: touched(fanOut, fanOut.jobs) }];
        authorisation.authorise({ operator: asker.operator, needs, title: fanOut.title });
        throw new OutpostError(ErrorCode.notFound, `the job ${fanOut.id} does not run on ${name}`, {
          data: { job: fanOut.id, host: name },
        });
      }),
    );
  };
  const infos = ({ fanOut, jobs }: Selected, brief = false) =>
    brief ? [] : jobs.map((job) => fanOut.jobInfo(job, bus));

  return {
    "fanout.start": guard<"fanout.start", FanOut | Host[]>("fanout.start", {
      // Asked twice with one id, it tells how the first one stands.
      action: (subject) => (Array.isArray(subject) ? "invoke" : "job.read"),
      select(params) {
        const { job, spec } = params;
        const known = fanOuts.find(job);
        if (known?.isRemoved === true)
          throw new OutpostError(ErrorCode.conflict, `the job ${job} was removed`);
        if (known !== undefined) return { ...selection(known, known.jobs), subject: known };
        const { also = [], ...selected } = newJob(services, params);
        return {
          ...selected,
          also: [...also, ...checkNeeds(services, params, selected.subject)],
          about: job,
          what: commandText(spec.command),
        };
      },
      run(subject, params, { operator }, _call, { request }) {
        if (!Array.isArray(subject) && subject.owner !== operator.name) {
          throw new OutpostError(
            ErrorCode.conflict,
            `there is ${subject.title} already; a new job needs an id of its own`,
            { data: { job: subject.id } },
          );
        }
        const requester = {
          operator: operator.name,
          request,
          checkRequest: Array.isArray(subject)
            ? auditCheck(services, params, operator.name, subject)
            : undefined,
        };
        const fanOut = Array.isArray(subject) ? launch.start(params, requester, subject) : subject;
        const plan = fanOut.jobs.map(({ host, hostName }) => ({
          host: hostName,
          state: presence.state(host),
        }));
        return { fanout: fanOut.info(bus), hosts: plan };
      },
    }),

    "fanout.input": guard<"fanout.input", Selected>("fanout.input", {
      action: "invoke",
      select(params, asker) {
        const selected = named(params, asker);
        const { fanOut } = selected.subject;
        // What a job reads is a part of what it runs, and that only one operator has said.
        if (fanOut.owner !== asker.operator) {
          throw notYours(fanOut, asker, "invoke", "only who has started a job gives it its input");
        }
        const { spec } = fanOut.record;
        const { configuration, user } = spec === undefined ? {} : unpackSpec(spec);
        const hosts = touched(fanOut, fanOut.jobs).map((host) => ({ ...host, configuration, user }));
        return { ...selected, hosts, what: "standard input" };
      },
      async run({ fanOut }, { job, stream }, { peer }, call) {
        const spool = inputs.get(job);
        if (spool === undefined) {
          throw new OutpostError(
            ErrorCode.conflict,
            `the job ${job} takes no input: it has ended, or was not started with a streamed input`,
          );
        }
        try {
          const result = await receiveInput(spool, stream, peer(), call, services.inputWindows);
          fanOut.inputComplete(result.size);
          fanOuts.noteRecord(fanOut);
          fanOuts.flush("synced");
          spool.complete();
          return result;
        } catch (error) {
          if (spool.failure !== undefined && fanOut.record.inputError === undefined) {
            fanOut.inputFailed(spool.failure.toWire());
            fanOuts.noteRecord(fanOut);
          }
          throw error;
        }
      },
    }),

    "fanout.receive": guard<"fanout.receive", Selected>("fanout.receive", {
      action: "job.read",
      audit: "outcome",
      select: (params, asker) => ({ ...named(params, asker), what: "receive its output" }),
      async run({ fanOut, jobs }, params, { peer }, call, trail) {
        const receive = new Receive(services, fanOut, jobs, params, call, () => peer().openStream());
        try {
          await receive.run();
        } finally {
          trail.bytes = receive.bytes;
        }
        return { fanout: fanOut.info(bus) };
      },
    }),

    "fanout.acknowledge": guard<"fanout.acknowledge", Selected>("fanout.acknowledge", {
      action: "job.read",
      audit: "once",
      select: ({ job, received }, asker) => ({
        ...named({ job, hosts: Object.keys(received) as HostName[] }, asker),
        what: "acknowledge its output",
      }),
      run({ fanOut, jobs }, { received }) {
        let isAnyMoved = false;
        const toForward = jobs.filter((job) => {
          const isMoved = job.acknowledge(received[job.hostName] ?? {});
          if (isMoved) fanOuts.note(fanOut, job, false);
          isAnyMoved ||= isMoved;
          // A job that ended without output has no offset to move, and yet its host waits for this word to forget it.
          return isMoved || (job.isEnded && job.isHeld && job.unread === 0);
        });
        // Unsynced: after a power cut the hosts still know what was received, and say so.
        if (isAnyMoved) fanOuts.flush("unsynced");
        // Behind the answer: the operator waits for it, and the hosts have time.
        inTurns(toForward, (job) => forwardAcknowledgement(services, fanOut, job));
        return {};
      },
    }),

    "fanout.list": guard<"fanout.list", (fanOut: FanOutHosts) => boolean>("fanout.list", {
      action: "job.read",
      select: (_params, asker) => ({ subject: mayRead(asker), hosts: "filtered", what: "list jobs" }),
      async run(isReadable, params) {
        const unfinished = [...fanOuts.unfinished()].filter(({ record }) =>
          isReadable(fanOuts.hostsOf(record)),
        );
        const all = unfinished.map((fanOut) => ({ fanOut }));
        await refreshRunning(fanOuts, bus, all, settings.statusTimeoutMs);
        return { fanouts: fanOuts.list(params, isReadable) };
      },
    }),

    "fanout.show": guard<"fanout.show", Selected>("fanout.show", {
      action: "job.read",
      // The pages of one answer are one request of a person; the first is written each time.
      audit: ({ after }) => (after === undefined ? undefined : "once"),
      select({ job }, asker) {
        const fanOut = fanOuts.resolve(job, mayRead(asker));
        return selection(fanOut, fanOut.jobs);
      },
      async run({ fanOut }, { after, limit }) {
        const jobs = jobsBehind(fanOut, after);
        // The first page brings everything up to date, for its sum of what is unread.
        const asked = after === undefined ? { fanOut } : { fanOut, jobs: jobs.slice(0, limit) };
        await refreshRunning(fanOuts, bus, [asked], settings.statusTimeoutMs);
        const { entries, more } = firstPage(jobs, limit, (job) => fanOut.jobInfo(job, bus));
        return { fanout: fanOut.info(bus), jobs: entries, ...(more ? { more } : {}) };
      },
    }),

    "fanout.wait": guard<"fanout.wait", Selected>("fanout.wait", {
      action: "job.read",
      select: ({ job }, asker) => named({ job }, asker),
      async run(selected, { any, timeoutMs, brief }, _connection, { signal }) {
        const ended = await waitForEnd(selected.fanOut, { any, timeoutMs, signal, clock });
        return { ended, fanout: selected.fanOut.info(bus), jobs: infos(selected, brief) };
      },
    }),

    "fanout.pause": guard<"fanout.pause", Selected>("fanout.pause", {
      action: "job.stop",
      audit: "outcome",
      select: ({ job }, asker) => ({ ...named({ job }, asker), what: "pause its roll-out" }),
      run({ fanOut }, _params, { operator }) {
        rollouts.pause(fanOut, operator.name);
        return { fanout: fanOut.info(bus) };
      },
    }),

    "fanout.resume": guard<"fanout.resume", Selected>("fanout.resume", {
      action: "job.stop",
      audit: "outcome",
      select: ({ job, stage }, asker) => ({
        ...named({ job }, asker),
        what: `resume its roll-out${stage === undefined ? "" : ` in stage ${String(stage)}`}`,
      }),
      run({ fanOut }, { stage }) {
        rollouts.resumeRollout(fanOut, stage);
        return { fanout: fanOut.info(bus) };
      },
    }),

    "fanout.spec": guard<"fanout.spec", Selected>("fanout.spec", {
      action: "job.read",
      select(params, asker) {
        const selected = named(params, asker);
        const { fanOut } = selected.subject;
        // It may hold what its operator would not show to everybody who may see that it runs.
        if (fanOut.owner !== asker.operator) {
          throw notYours(fanOut, asker, "job.read", "only who has started a job is told all that it runs");
        }
        return { ...selected, what: "what it runs" };
      },
      run({ fanOut }) {
        const { spec, mode, hadSecrets } = fanOut.record;
        if (spec === undefined) {
          throw new OutpostError(
            ErrorCode.notFound,
            `what ${fanOut.title} ran is not kept any more: it was more than 64 KiB, or many have run since; start it anew with its command`,
            { data: { job: fanOut.id } },
          );
        }
        return { spec: unpackSpec(spec), mode, hadSecrets };
      },
    }),

    "fanout.stop": guard<"fanout.stop", Selected>("fanout.stop", {
      action: "job.stop",
      audit: "outcome",
      select: named,
      async run({ fanOut, jobs }, { graceMs, authorization, brief }, { operator }) {
        rollouts.stop(fanOut, jobs, operator.name);
        const going = jobs.filter((job) => !job.isEnded);
        const signed = authorizationText(authorization);
        await dispatch.want(fanOut, going, {
          kind: "stop",
          operator: operator.name,
          ...(graceMs === undefined ? {} : { graceMs }),
          ...(signed === undefined ? {} : { authorization: signed }),
        });
        return { jobs: infos({ fanOut, jobs }, brief) };
      },
    }),

    "fanout.remove": guard<"fanout.remove", Selected>("fanout.remove", {
      action: "job.remove",
      audit: "outcome",
      select({ job, force }, asker) {
        const selected = named({ job }, asker);
        const { fanOut } = selected.subject;
        const going = fanOut.jobs.filter((each) => !each.isEnded);
        const stop: Need[] =
          going.length === 0 ? [] : [{ action: "job.stop", hosts: touched(fanOut, going) }];
        return force ? { ...selected, also: stop, what: "stop what runs, and remove" } : selected;
      },
      async run({ fanOut, jobs }, params, { operator }) {
        const { job: id, force, authorization, stopAuthorization, brief } = params;
        const going = jobs.filter((job) => !job.isEnded);
        rollouts.demandNoCheck(fanOut);
        if (!force && going.length === 0 && rollouts.isGoing(fanOut)) {
          throw new OutpostError(
            ErrorCode.conflict,
            `the check of ${fanOut.title} has not ended; wait for it, stop it first, or remove with force`,
            { data: { job: id } },
          );
        }
        if (going.length > 0 && !force) {
          const some = going.slice(0, 5).map(({ hostName }) => hostName);
          throw new OutpostError(
            ErrorCode.conflict,
            `the job ${id} has not ended on ${some.join(", ")}${going.length > some.length ? ", …" : ""}; stop it first, or remove with force`,
            { data: { job: id, hosts: going.slice(0, 1000).map(({ hostName }) => hostName) } },
          );
        }
        fanOut.removed(operator.name);
        fanOuts.noteRecord(fanOut);
        rollouts.removed(fanOut, operator.name);
        const held = jobs.filter((job) => job.isHeld || !job.isEnded);
        const signed = authorizationText(authorization);
        const signedStop = authorizationText(stopAuthorization);
        await dispatch.want(fanOut, held, {
          kind: "remove",
          operator: operator.name,
          ...(signed === undefined ? {} : { authorization: signed }),
          ...(signedStop === undefined ? {} : { stopAuthorization: signedStop }),
        });
        return { jobs: infos({ fanOut, jobs }, brief) };
      },
    }),
  };
}

/** In the order of the plan, those behind the job of that host. @throws OutpostError `not_found` */
function jobsBehind(fanOut: FanOut, after: HostName | undefined): readonly Job[] {
  if (after === undefined) return fanOut.jobs;
  const job = fanOut.job(after);
  if (job !== undefined) return fanOut.jobs.slice(job.position + 1);
  throw new OutpostError(ErrorCode.notFound, `the job ${fanOut.id} does not run on ${after}`, {
    data: { job: fanOut.id, host: after },
  });
}

/** In `keep` mode the host may forget; in `collect` mode it has already, and our own store may. */
function forwardAcknowledgement({ dispatch, store, log }: Services, fanOut: FanOut, job: Job): void {
  if (fanOut.mode === "keep") {
    void dispatch.acknowledge(fanOut, job, job.received);
  } else if (job.isEnded && job.unread === 0 && !fanOut.needsCollecting(job)) {
    store.removeJob(fanOut.id, job.hostName).catch((error: unknown) => {
      log.warn({ job: job.id, host: job.hostName, err: error }, "collected output could not be removed");
    });
  }
}

/** Whatever the rules say. */
function notYours({ title }: FanOut, { operator }: Asker, action: Action, reason: string): OutpostError {
  return notAllowed({ operator, action, title, hosts: [], rule: "owner", reason });
}
