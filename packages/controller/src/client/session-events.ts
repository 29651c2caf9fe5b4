/** What an attachment and a receive of a session tell, one plain object after another. */
import type {
  HostName,
  SessionAttachResult,
  SessionGapReason,
  SessionStatus,
  ViewerRole,
} from "@outpost/protocol";
import type { NoticeCode } from "./events.ts";

/** The session shows itself from here on. Comes again after each cut, and after `repaint()`. */
export interface SessionOpenedEvent {
  readonly type: "opened";
  readonly host: HostName;
  /** Where its output goes on. */
  readonly offset: number;
  readonly role: ViewerRole;
  /** False the first time. */
  readonly again: boolean;
  readonly status: SessionStatus;
}

/** Bytes that the terminal is to show. They come in order, without holes but for what a `gap` announces. */
export interface SessionOutputEvent {
  readonly type: "output";
  readonly host: HostName;
  /** Offset of the first byte in the session's output. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Bytes `from` (inclusive) to `to` (exclusive) do not come. After the reason `lagging` a `repaint` does. */
export interface SessionGapEvent {
  readonly type: "gap";
  readonly host: HostName;
  readonly from: number;
  readonly to: number;
  readonly reason: SessionGapReason;
}

/** Written to a cleared terminal of `columns` × `rows`, `bytes` show the screen as it was at `offset`. Output goes on from there. */
export interface SessionRepaintEvent {
  readonly type: "repaint";
  readonly host: HostName;
  readonly offset: number;
  readonly columns: number;
  readonly rows: number;
  readonly bytes: Uint8Array;
}

/** Our role, or the size of the session's terminal, is another. */
export interface SessionChangedEvent {
  readonly type: "changed";
  readonly host: HostName;
  readonly role: ViewerRole;
  readonly columns: number;
  readonly rows: number;
  /** The operator whose doing it was, when another took over. */
  readonly by?: string;
}

/** Something that delays, and loses nothing. */
export interface SessionNoticeEvent {
  readonly type: "notice";
  readonly host: HostName;
  readonly code: NoticeCode;
  /** A sentence for people. */
  readonly message: string;
  /** Since when, in milliseconds since 1970. */
  readonly since?: number;
}

/** The last of an attachment that was not left: the session `ended`, an operator (`by`) sent the viewers away
 * (`disconnected`), or `exit` was typed in a session that is only left by it (`left`). */
export interface SessionEndEvent {
  readonly type: "end";
  readonly host: HostName;
  readonly reason: SessionAttachResult["reason"];
  readonly by?: string;
  readonly status: SessionStatus;
}

export type AttachmentEvent =
  | SessionOpenedEvent
  | SessionOutputEvent
  | SessionGapEvent
  | SessionRepaintEvent
  | SessionChangedEvent
  | SessionNoticeEvent
  | SessionEndEvent;

/** The last of a receive: how the session stands. */
export interface SessionReceivedEvent {
  readonly type: "end";
  readonly host: HostName;
  readonly status: SessionStatus;
}

export type SessionReceiveEvent =
  | SessionOutputEvent
  | SessionGapEvent
  | SessionNoticeEvent
  | SessionReceivedEvent;
