/**
 * What the controller answers to an operator: its hello, and the operations on hosts and jobs; those on sessions are in
 * `session-operations.ts`. Up to the first `await` of a `run` all of this is synchronous, so that requests which an
 * operator sends behind each other find what the earlier ones made.
 */
import {
  ErrorCode,
  type Handlers,
  type HostName,
  type JobId,
  type JobSpec,
  OutpostError,
} from "@outpost/protocol";
import { evaluate, parse, sorted } from "../../targets/index.ts";
import type { FanOut } from "../fan-out.ts";
import { greet } from "../greeting.ts";
import type { Job } from "../job.ts";
import { refreshRunning } from "../live-status.ts";
import type { Host } from "../presence.ts";
import { receiveInput } from "../receive-input.ts";
import { Receive } from "../receive.ts";
import type { Services } from "../services.ts";
import { hostsOfSessions } from "../session-targets.ts";
import { waitForEnd } from "../wait.ts";
import { guardOf, type OperatorConnection, type OperatorMethods } from "./guard.ts";
import { sessionOperations } from "./session-operations.ts";

/** What a request about some jobs of a fan-out job is about. */
interface Selected {
  readonly fanOut: FanOut;
  readonly jobs: readonly Job[];
}

export function operatorHandlers(
  services: Services,
  connection: OperatorConnection,
  greeted: () => void,
): Handlers<OperatorMethods> {
  const { authorisation, presence, enrolment, fanOuts, dispatch, launch, inputs, bus, clock, settings } =
    services;
  const guard = guardOf(authorisation, connection);

  const nothing = (): { subject: undefined; hosts: [] } => ({ subject: undefined, hosts: [] });
  const named = (params: {
    job: JobId;
    hosts?: readonly HostName[] | undefined;
  }): { subject: Selected; hosts: HostName[] } => {
    const fanOut = fanOuts.get(params.job);
    const jobs = params.hosts === undefined ? fanOut.jobs : params.hosts.map((host) => jobOn(fanOut, host));
    return { subject: { fanOut, jobs }, hosts: jobs.map((job) => job.hostName) };
  };
  const infos = ({ fanOut, jobs }: Selected) => jobs.map((job) => fanOut.jobInfo(job, bus));

  return {
    hello(params) {
      const answer = greet(params, connection.operator.name, clock.now());
      greeted();
      return answer;
    },

    "host.list": guard<"host.list", Host[]>("host.list", {
      select({ targets }) {
        // All of no hosts is no mistake, as `*` would be.
        const hosts =
          targets === undefined ? sorted(presence.hosts()) : evaluate(parse(targets), presence.hosts());
        return { subject: hosts, hosts: hosts.map(({ name }) => name) };
      },
      run: (hosts) => ({ hosts: hosts.map((host) => presence.info(host)) }),
    }),

    "token.create": guard<"token.create", undefined>("token.create", {
      select: nothing,
      run: (_, params, { operator }) => enrolment.createToken(params, operator.name),
    }),

    "fanout.start": guard<"fanout.start", FanOut | Host[]>("fanout.start", {
      select({ job, targets, spec }) {
        const known = fanOuts.find(job);
        if (known?.isRemoved === true)
          throw new OutpostError(ErrorCode.conflict, `the job ${job} was removed`);
        if (known !== undefined) return { subject: known, hosts: known.jobs.map(({ hostName }) => hostName) };
        const hosts = hostsOfJob(services, spec, targets);
        return { subject: hosts, hosts: hosts.map(({ name }) => name) };
      },
      run(subject, params, { operator }) {
        // Asked twice with one id: the first one's plan again.
        const fanOut = Array.isArray(subject) ? launch.start(params, operator.name, subject) : subject;
        const plan = fanOut.jobs.map(({ host, hostName }) => ({
          host: hostName,
          state: presence.state(host),
        }));
        return { fanout: fanOut.info(bus), hosts: plan };
      },
    }),

    "fanout.input": guard<"fanout.input", Selected>("fanout.input", {
      select: named,
      async run({ fanOut }, { job, stream }, { peer }, call) {
        const spool = inputs.get(job);
        if (spool === undefined) {
          throw new OutpostError(
            ErrorCode.conflict,
            `the job ${job} takes no input: it has ended, or was not started with a streamed input`,
          );
        }
        try {
          const result = await receiveInput(spool, stream, peer(), call);
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
      select: named,
      async run({ fanOut, jobs }, params, { peer }, call) {
        await new Receive(services, fanOut, jobs, params, call, () => peer().openStream()).run();
        return { fanout: fanOut.info(bus) };
      },
    }),

    "fanout.acknowledge": guard<"fanout.acknowledge", Selected>("fanout.acknowledge", {
      select: ({ job, received }) => named({ job, hosts: Object.keys(received) as HostName[] }),
      run({ fanOut, jobs }, { received }) {
        const toForward = jobs.filter((job) => {
          const isMoved = job.acknowledge(received[job.hostName] ?? {});
          if (isMoved) fanOuts.note(fanOut, job, false);
          // A job that ended without output has no offset to move, and yet its host waits for this word to forget it.
          return isMoved || (job.isEnded && job.isHeld && job.unread === 0);
        });
        // Unsynced: after a power cut the hosts still know what was received, and say so.
        fanOuts.flush("unsynced");
        for (const job of toForward) forwardAcknowledgement(services, fanOut, job);
        return {};
      },
    }),

    "fanout.list": guard<"fanout.list", undefined>("fanout.list", {
      select: nothing,
      async run(_, params) {
        await refreshRunning(fanOuts, bus, fanOuts.unfinished(), settings.statusTimeoutMs);
        return { fanouts: fanOuts.list(params) };
      },
    }),

    "fanout.show": guard<"fanout.show", Selected>("fanout.show", {
      select({ job }) {
        const fanOut = fanOuts.resolve(job);
        return named({ job: fanOut.id });
      },
      async run(selected) {
        await refreshRunning(fanOuts, bus, [selected.fanOut], settings.statusTimeoutMs);
        return { fanout: selected.fanOut.info(bus), jobs: infos(selected) };
      },
    }),

    "fanout.wait": guard<"fanout.wait", Selected>("fanout.wait", {
      select: ({ job }) => named({ job }),
      async run(selected, { any, timeoutMs }, _connection, { signal }) {
        const ended = await waitForEnd(selected.fanOut, { any, timeoutMs, signal, clock });
        return { ended, fanout: selected.fanOut.info(bus), jobs: infos(selected) };
      },
    }),

    "fanout.stop": guard<"fanout.stop", Selected>("fanout.stop", {
      select: named,
      async run({ fanOut, jobs }, { graceMs }, { operator }) {
        const going = jobs.filter((job) => !job.isEnded);
        const grace = graceMs === undefined ? {} : { graceMs };
        await dispatch.want(fanOut, going, { kind: "stop", operator: operator.name, ...grace });
        return { jobs: infos({ fanOut, jobs }) };
      },
    }),

    "fanout.remove": guard<"fanout.remove", Selected>("fanout.remove", {
      select: ({ job }) => named({ job }),
      async run({ fanOut, jobs }, { job: id, force }, { operator }) {
        const going = jobs.filter((job) => !job.isEnded);
        if (going.length > 0 && !force) {
          const some = going.slice(0, 5).map(({ hostName }) => hostName);
          throw new OutpostError(
            ErrorCode.conflict,
            `the job ${id} has not ended on ${some.join(", ")}${going.length > some.length ? ", …" : ""}; stop it first, or remove with force`,
            { data: { job: id, hosts: going.map(({ hostName }) => hostName) } },
          );
        }
        fanOut.removed(operator.name);
        fanOuts.noteRecord(fanOut);
        const held = jobs.filter((job) => job.isHeld || !job.isEnded);
        await dispatch.want(fanOut, held, { kind: "remove", operator: operator.name });
        return { jobs: infos({ fanOut, jobs }) };
      },
    }),

    ...sessionOperations(services, guard),
  };
}

/** @throws OutpostError `invalid_argument` without targets and sessions; as `evaluate` and `hostsOfSessions` */
function hostsOfJob(services: Services, spec: JobSpec, targets: string | undefined): Host[] {
  const { session, ...rest } = spec;
  if (session !== undefined) return hostsOfSessions(services, { ...rest, session }, targets);
  if (targets !== undefined) return evaluate(parse(targets), services.presence.hosts());
  throw new OutpostError(ErrorCode.invalidArgument, "a job needs targets, or sessions to run in");
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

function jobOn(fanOut: FanOut, host: HostName): Job {
  const job = fanOut.job(host);
  if (job !== undefined) return job;
  throw new OutpostError(ErrorCode.notFound, `the job ${fanOut.id} does not run on ${host}`, {
    data: { job: fanOut.id, host },
  });
}
