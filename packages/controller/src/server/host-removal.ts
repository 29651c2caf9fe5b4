/**
 * A host is removed: its certificate is worth nothing from now on, and what the controller waits for there will not come.
 *
 * What runs on the host goes on, and its output stays there: whoever removed it may not trust it any more, so nothing is
 * asked of it. Here its jobs end, or whoever waits for them would wait for ever, and its sessions are forgotten. A host
 * that joins under the same name is another one, and none of this is its.
 */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import type { Connections } from "./connections.ts";
import type { Dispatch } from "./dispatch.ts";
import type { FanOut } from "./fan-out.ts";
import type { FanOuts } from "./fan-outs.ts";
import type { Job } from "./job.ts";
import type { Host, Presence } from "./presence.ts";
import type { Sessions } from "./sessions.ts";

export interface HostRemovalServices {
  readonly presence: Presence;
  readonly connections: Connections;
  readonly fanOuts: FanOuts;
  readonly sessions: Sessions;
  readonly dispatch: Dispatch;
}

/** @param by the operator who removes it. @throws OutpostError `disk_full`; it is not removed then */
export function removeHost(services: HostRemovalServices, host: Host, by: string): void {
  const { presence, connections, fanOuts, sessions } = services;
  presence.remove(host.id, by);
  // Also those that have not said hello yet, of which presence knows nothing.
  connections.end(host.id, new OutpostError(ErrorCode.denied, `the host ${host.name} was removed by ${by}`));
  for (const [fanOut, job] of fanOuts.on({ host: host.id, hostName: host.name })) {
    giveUp(services, fanOut, job, by);
  }
  for (const { id } of sessions.on(host.id)) sessions.gone(host, id);
  fanOuts.flush("synced");
}

function giveUp({ dispatch, fanOuts }: HostRemovalServices, fanOut: FanOut, job: Job, by: string): void {
  if (job.isQueued) {
    const message = `${job.hostName} was removed by ${by} before the job had begun there; nothing ran`;
    dispatch.settle(fanOut, job, "failed", "host_unreachable", message);
  } else if (!job.isEnded) {
    // Of a pending one, too: its start may have arrived, and the answer not.
    const message = `${job.hostName} was removed by ${by}; what became of the job is not known here`;
    dispatch.settle(fanOut, job, "lost", "forgotten", message);
  }
  job.waiting = undefined;
  fanOuts.note(fanOut, job, job.gone());
}
