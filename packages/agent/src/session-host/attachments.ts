/** The terminals that are attached to a session: each with its place in the output, its keystrokes, and how it ends. */
import {
  type Clock,
  ErrorCode,
  OutpostError,
  type SessionAttachParams,
  type SessionAttachResult,
  type SessionStatus,
} from "@outpost/protocol";
import { Inputs } from "./inputs.ts";
import type { SessionOutput } from "./session-output.ts";
import type { Snapshot } from "./screen.ts";
import { EmulatorAnswers } from "./terminal-reports.ts";
import { type Leaving, type ViewedOutput, Viewer, type ViewerWire } from "./viewer.ts";
import { ViewerInput } from "./viewer-input.ts";
import { Viewers, type ViewersEvents } from "./viewers.ts";

/** Makes the connection's end of an attach, now that it is known where its output begins. Announces nothing yet. */
export type OpenWire = (offset: number) => ViewerWire;

export interface Attached {
  /** With the new viewer in it. */
  readonly status: SessionStatus;
  readonly input: ViewerInput;
  /** Begins to send; to be called when everything is announced, before the turn of the event loop is over. */
  readonly start: () => void;
  /** @throws OutpostError when it is cut off */
  readonly result: Promise<SessionAttachResult>;
}

/** What attached terminals need of their session. */
export interface AttachmentsOptions extends ViewersEvents {
  readonly columns: number;
  readonly rows: number;
  readonly clock: Clock;
  readonly output: SessionOutput;
  readonly isLive: () => boolean;
  readonly status: () => SessionStatus;
  /** The screen as it is at the output's end; `undefined` when there is none any more. */
  readonly snapshot: (scrollback: boolean) => Promise<Snapshot> | undefined;
  readonly type: (bytes: Uint8Array, taken: () => void) => void;
  /** A viewer is no more. */
  readonly left: (viewer: Viewer, leaving: Leaving | undefined) => void;
}

export class Attachments {
  readonly viewers: Viewers;
  /** Which questions of programs the emulator has answered, for want of a viewer that controls. */
  readonly answers = new EmulatorAnswers();
  readonly #options: AttachmentsOptions;
  readonly #inputs = new Inputs();
  readonly #viewed: ViewedOutput;

  constructor(options: AttachmentsOptions) {
    const { output, snapshot } = options;
    this.#options = options;
    this.viewers = new Viewers(options, options);
    this.#viewed = {
      get end() {
        return output.end;
      },
      read: (offset, block) => output.read(offset, block),
      kept: (offset) => output.kept(offset),
      missing: (offset) => output.missing(offset),
      snapshot,
    };
  }

  /** @throws OutpostError `busy` when another viewer controls; `invalid_argument` when it begins where no output is yet;
   * `denied` when the viewer is another operator's */
  attach(params: SessionAttachParams, openWire: OpenWire): Attached {
    const { clock, isLive, output, status } = this.#options;
    const { viewer: id, operator, role, columns, rows, from, maxLag } = params;
    const position = from ?? output.end;
    if (position > output.end) {
      throw new OutpostError(
        ErrorCode.invalidArgument,
        `from: ${String(position)} is beyond the end of the session's output, ${String(output.end)}`,
      );
    }
    this.viewers.claim(id, operator);
    if (role === "control") this.viewers.admit(id, params.takeOver);
    const wire = openWire(position);
    const shape = { viewer: id, operator, role, since: clock.now(), columns, rows, position, maxLag };
    const viewer = new Viewer(shape, this.#viewed, wire);
    this.viewers.add(viewer);
    const fresh = from === undefined;
    return {
      status: status(),
      input: this.#input(viewer, fresh ? 0 : this.answers.after(from)),
      start: () => {
        viewer.start(!params.repaint ? "none" : fresh ? "scrollback" : "screen");
        if (!isLive()) viewer.finish({ reason: "ended" });
      },
      result: this.#untilLeft(viewer),
    };
  }

  /** Output has come. */
  produced(offset: number, bytes: Uint8Array): void {
    for (const viewer of this.viewers.all) viewer.produced(offset, bytes);
  }

  /** Whoever is attached leaves with all that is there now. */
  finish(leaving: Leaving): void {
    for (const viewer of this.viewers.all) viewer.finish(leaving);
  }

  /** Whoever is attached leaves now. */
  leave(leaving: Leaving): void {
    for (const viewer of this.viewers.all) {
      viewer.leave(leaving);
      this.viewers.remove(viewer);
    }
  }

  async #untilLeft(viewer: Viewer): Promise<SessionAttachResult> {
    let leaving: Leaving | undefined;
    try {
      leaving = await viewer.done;
      return { ...leaving, status: this.#options.status() };
    } finally {
      this.viewers.remove(viewer);
      this.#options.left(viewer, leaving);
    }
  }

  #input(viewer: Viewer, reportsDue: number): ViewerInput {
    const { clock, isLive } = this.#options;
    return new ViewerInput({
      viewer: viewer.id,
      inputs: this.#inputs,
      reportsDue,
      clock,
      type: (bytes, taken) => {
        if (viewer.role === "control" && isLive()) this.#options.type(bytes, taken);
        else taken();
      },
    });
  }
}
