/** Who is attached to a session, who of them controls it, and the size of the terminal, which is the controller's. */
import { ErrorCode, OutpostError, type ViewerId } from "@outpost/protocol";
import type { Viewer } from "./viewer.ts";

export interface ViewersEvents {
  /** The terminal has the size of another viewer's, or its viewer's size has changed. */
  resize(columns: number, rows: number): void;
  /** Somebody came, left, or has another role. */
  changed(): void;
}

export class Viewers {
  readonly #events: ViewersEvents;
  readonly #viewers = new Map<ViewerId, Viewer>();
  #columns: number;
  #rows: number;

  constructor(size: { readonly columns: number; readonly rows: number }, events: ViewersEvents) {
    this.#columns = size.columns;
    this.#rows = size.rows;
    this.#events = events;
  }

  get all(): readonly Viewer[] {
    return [...this.#viewers.values()];
  }

  get size(): number {
    return this.#viewers.size;
  }

  get columns(): number {
    return this.#columns;
  }

  get rows(): number {
    return this.#rows;
  }

  get controller(): Viewer | undefined {
    return this.all.find(({ role }) => role === "control");
  }

  /** The offset from which on some viewer needs the output; `Infinity` when nobody does. */
  get neededFrom(): number {
    return Math.min(...this.all.map(({ neededFrom }) => neededFrom));
  }

  /** Viewers' ids are to be seen in lists. @throws OutpostError `denied` when somebody else is attached with this one */
  claim(viewer: ViewerId, operator: string): void {
    const attached = this.#viewers.get(viewer);
    if (attached === undefined || attached.operator === operator) return;
    throw new OutpostError(ErrorCode.denied, `the viewer ${viewer} is ${attached.operator}'s`);
  }

  /** @throws OutpostError `busy` when another viewer controls, and is not to be taken over from */
  admit(viewer: ViewerId, takeOver: boolean): void {
    const { controller } = this;
    if (controller === undefined || controller.id === viewer || takeOver) return;
    const { operator, since } = controller;
    const time = new Date(since).toISOString();
    throw new OutpostError(
      ErrorCode.busy,
      `${operator} controls this session since ${time}; use --watch to look on, or --take-over to control it instead`,
      { data: { operator, since } },
    );
  }

  /** Takes in a viewer; one with its id that is still there was on a connection that is no more. */
  add(viewer: Viewer): void {
    const former = this.#viewers.get(viewer.id);
    this.#viewers.delete(viewer.id);
    former?.abort(
      new OutpostError(ErrorCode.conflict, "this terminal has attached again, on another connection"),
    );
    if (viewer.role === "control") this.#control(viewer);
    this.#viewers.set(viewer.id, viewer);
    this.#events.changed();
  }

  remove(viewer: Viewer): void {
    if (this.#viewers.get(viewer.id) !== viewer) return;
    this.#viewers.delete(viewer.id);
    this.#events.changed();
  }

  /** @throws OutpostError `not_found` */
  resize(id: ViewerId, columns: number, rows: number): void {
    const viewer = this.#get(id);
    viewer.columns = columns;
    viewer.rows = rows;
    if (viewer.role === "control") this.#setSize(columns, rows, viewer);
  }

  /** Somebody who is attached takes over, or only watches from here on. @throws OutpostError `not_found` */
  setRole(id: ViewerId, role: "control" | "watch"): void {
    const viewer = this.#get(id);
    if (viewer.role === role) return;
    viewer.role = "watch";
    if (role === "control") this.#control(viewer);
    this.#tell(viewer);
    this.#events.changed();
  }

  /** `by`: who took over. */
  #tell(viewer: Viewer, by?: string): void {
    viewer.changed({
      role: viewer.role,
      columns: this.#columns,
      rows: this.#rows,
      ...(by === undefined ? {} : { by }),
    });
  }

  #control(viewer: Viewer): void {
    const former = this.controller;
    if (former !== undefined && former !== viewer) {
      former.role = "watch";
      this.#tell(former, viewer.operator);
    }
    viewer.role = "control";
    this.#setSize(viewer.columns, viewer.rows, viewer);
  }

  #setSize(columns: number, rows: number, by: Viewer): void {
    if (columns === this.#columns && rows === this.#rows) return;
    this.#columns = columns;
    this.#rows = rows;
    this.#events.resize(columns, rows);
    for (const viewer of this.#viewers.values()) if (viewer !== by) this.#tell(viewer);
  }

  #get(id: ViewerId): Viewer {
    const viewer = this.#viewers.get(id);
    if (viewer === undefined)
      throw new OutpostError(ErrorCode.notFound, "no such viewer is attached to this session");
    return viewer;
  }
}
