/**
 * What a connection tells of its jobs unasked. While a start is being answered, its answer tells it: most jobs are over
 * by then, and a fan-out over ten thousand hosts would cost its controller three messages a host in place of one.
 */
import type { JobId, JobStartResult, JobStatus } from "@outpost/protocol";

export class Starts {
  readonly #tell: (status: JobStatus) => void;
  /** What has not been told of jobs whose start is being answered: the last word. */
  readonly #answering = new Map<JobId, JobStatus | undefined>();

  /** @param tell sends how a job stands */
  constructor(tell: (status: JobStatus) => void) {
    this.#tell = tell;
  }

  /** A job has changed. */
  changed(status: JobStatus): void {
    if (this.#answering.has(status.job)) this.#answering.set(status.job, status);
    else this.#tell(status);
  }

  /** @param start its result is sent right away */
  async answering(job: JobId, start: () => Promise<JobStartResult>): Promise<JobStartResult> {
    // Asked for twice at the same time: the first answer need not be the last word, so nothing is held back any more.
    if (this.#answering.has(job)) {
      this.#release(job);
      return start();
    }
    this.#answering.set(job, undefined);
    let answer: JobStatus | undefined;
    try {
      const result = await start();
      answer = result.status;
      return result;
    } finally {
      this.#release(job, answer);
    }
  }

  /** @param answer what is told otherwise */
  #release(job: JobId, answer?: JobStatus): void {
    const untold = this.#answering.get(job);
    this.#answering.delete(job);
    if (untold === undefined) return;
    const isTold =
      answer?.state === untold.state &&
      answer.removed === untold.removed &&
      (answer.exit === undefined) === (untold.exit === undefined);
    if (!isTold) this.#tell(untold);
  }
}
