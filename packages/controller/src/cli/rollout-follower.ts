/** Follows a roll-out beside the output of its jobs: says how it goes on, and asks where it was told to. */
import type { RolloutInfo } from "@outpost/protocol";
import type { ExitEvent, Job, JobEvent } from "../client/index.ts";
import { outcomeOf } from "../client/exit-code.ts";
import { say } from "./render/sink.ts";
import { rolloutNotice, stageText } from "./rollout-notices.ts";
import { canAsk, RolloutQuestion } from "./rollout-question.ts";

export interface RolloutFollowerOptions {
  readonly job: Job;
  /** True: a question may be asked, if there is a terminal. */
  readonly asks: boolean;
  /** False: only what has to be done is said. Programs read the rest in the events. */
  readonly narrates: boolean;
  /** Called when the roll-out is to be left as it is. */
  readonly leave: () => void;
}

/** How long the output of a stage may take to arrive before the question is asked all the same, in milliseconds. */
const outputWaitMs = 2_000;

export class RolloutFollower implements Disposable {
  readonly #options: RolloutFollowerOptions;
  readonly #asks: boolean;
  #before: RolloutInfo | undefined;
  #question: RolloutQuestion | undefined;
  /** A stage that waits to be confirmed, whose output is still on its way. */
  #due: { readonly rollout: RolloutInfo; readonly timer: NodeJS.Timeout } | undefined;
  #ended = 0;
  #succeeded = 0;
  #hasTyped = false;
  #isOver = false;

  constructor(options: RolloutFollowerOptions) {
    this.#options = options;
    this.#asks = options.asks && canAsk(options.job.input !== undefined);
  }

  /** To be called with every event, when it was shown. */
  async event(event: JobEvent): Promise<void> {
    if (event.type === "exit") this.#exit(event);
    else if (event.type === "rollout") await this.#rollout(event.rollout);
  }

  /** Nothing is asked or told from here on. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#withdraw();
    // Somebody may still be typing; and only then: to look at `process.stdin` is to open it.
    if (this.#hasTyped) process.stdin.destroy();
  }

  /** Ctrl-C: what was asked is answered. */
  interrupted(): void {
    this.#isOver = true;
    this.#withdraw();
  }

  #exit(event: ExitEvent): void {
    if (!event.ended) return;
    this.#ended++;
    if (outcomeOf(event) === "succeeded") this.#succeeded++;
    const due = this.#due;
    if (due !== undefined && this.#ended >= due.rollout.begun) this.#ask(due.rollout);
  }

  async #rollout(rollout: RolloutInfo): Promise<void> {
    const before = this.#before;
    this.#before = rollout;
    if (this.#isOver) return;
    this.#withdraw();
    if (this.#asks && rollout.state === "paused" && rollout.reason === "confirm") {
      this.#askSoon(rollout);
      return;
    }
    if (!this.#options.narrates && rollout.state !== "paused") return;
    const { id, name, hosts } = this.#options.job;
    const notice = rolloutNotice(rollout, before, { title: name ?? id, hosts: hosts.length });
    if (notice !== undefined) await say(notice);
  }

  /** When all that the stage has printed is on the screen. */
  #askSoon(rollout: RolloutInfo): void {
    if (this.#ended >= rollout.begun) {
      this.#ask(rollout);
      return;
    }
    this.#due = { rollout, timer: setTimeout(() => this.#ask(rollout), outputWaitMs) };
  }

  #ask(rollout: RolloutInfo): void {
    this.#withdraw();
    const { failures, begun } = rollout;
    const succeeded = Math.max(0, Math.min(this.#succeeded, begun - failures));
    const counts = `${String(succeeded)} succeeded, ${String(failures)} failed`;
    const question = new RolloutQuestion(`${stageText(rollout)} done: ${counts}.`);
    this.#question = question;
    this.#hasTyped = true;
    void this.#answered(question, rollout).catch((error: unknown) =>
      say(error instanceof Error ? error.message : String(error)),
    );
  }

  async #answered(question: RolloutQuestion, { stage }: RolloutInfo): Promise<void> {
    const { job, leave } = this.#options;
    const answer = await question.answer();
    if (this.#question === question) this.#question = undefined;
    switch (answer) {
      case "yes":
        await job.resume({ stage });
        return;
      case "no":
        await job.stop();
        return;
      case "leave":
        leave();
        return;
      case undefined:
        return;
      default:
        answer satisfies never;
    }
  }

  #withdraw(): void {
    if (this.#due !== undefined) clearTimeout(this.#due.timer);
    this.#due = undefined;
    this.#question?.takeBack();
    this.#question = undefined;
  }
}
