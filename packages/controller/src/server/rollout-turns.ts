/** How the hosts of a roll-out and their checks stand, as `rollout.ts` looks at them: read from the jobs, and from who is gone. */
import type { FanOut } from "./fan-out.ts";
import type { HostAbsence } from "./host-absence.ts";
import type { Job } from "./job.ts";
import type { CheckTurn, HostTurn } from "./rollout.ts";

export class RolloutTurns {
  readonly #fanOut: FanOut;
  readonly #check: FanOut | undefined;
  readonly #absence: HostAbsence;
  readonly #hosts: HostTurn[];
  readonly #checks: CheckTurn[] | undefined;

  constructor(fanOut: FanOut, check: FanOut | undefined, absence: HostAbsence) {
    this.#fanOut = fanOut;
    this.#check = check;
    this.#absence = absence;
    this.#hosts = fanOut.jobs.map(() => "waiting");
    this.#checks = check?.jobs.map(() => "waiting");
    for (const { position } of fanOut.jobs) this.look(position);
  }

  /** By position. */
  get hosts(): readonly HostTurn[] {
    return this.#hosts;
  }

  get checks(): readonly CheckTurn[] | undefined {
    return this.#checks;
  }

  /** Takes in how one host and its check stand, and watches the host while that matters. */
  look(position: number): void {
    const job = this.#fanOut.jobs[position]!;
    const check = this.#check?.jobs[position];
    const hasBegun = job.turn !== "rollout";
    const isOpen = !job.isEnded || (check !== undefined && !check.isEnded);
    if (hasBegun && isOpen) this.#absence.watch(job.host);
    else this.#absence.unwatch(job.host);
    this.#hosts[position] = this.#hostTurn(job);
    if (check !== undefined) this.#checks![position] = this.#checkTurn(check);
  }

  /** Of those whose hosts may have been away for too long: time passes, and nobody says so. */
  lookAtGoing(): void {
    for (let position = 0; position < this.#hosts.length; position++) {
      const turn = this.#hosts[position];
      const check = this.#checks?.[position];
      const isGoing = turn === "active" || turn === "stalled" || check === "active" || check === "stalled";
      if (isGoing) this.look(position);
    }
  }

  #hostTurn(job: Job): HostTurn {
    if (!job.isEnded) {
      if (job.isQueued) return job.turn === "host" ? "queued" : "waiting";
      return this.#isGone(job) ? "stalled" : "active";
    }
    if (job.status.state === "completed") return "succeeded";
    return job.turn === "begun" ? "failed" : "out";
  }

  #checkTurn(job: Job): CheckTurn {
    if (job.isQueued) return "waiting";
    if (!job.isEnded) return this.#isGone(job) ? "stalled" : "active";
    return job.status.state === "completed" ? "succeeded" : "failed";
  }

  #isGone({ host }: Job): boolean {
    this.#absence.watch(host);
    return this.#absence.forLong(host) === "offline";
  }
}
