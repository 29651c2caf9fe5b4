import { newSessionId, type SessionStatus } from "@outpost/protocol";
import { pino } from "pino";
import { expect, test } from "vitest";
import type { SessionsEvent } from "../sessions/sessions.ts";
import { FakeAudit, web1 } from "../testing/access.ts";
import { openedSession } from "../testing/sessions.ts";
import { SessionEnds } from "./session-ends.ts";

class Host {
  readonly audit = new FakeAudit();
  readonly #listeners = new Set<(event: SessionsEvent) => void>();
  listed: SessionStatus[] | undefined;

  watch(recordedUntil = 0): SessionEnds {
    return new SessionEnds({
      host: web1.name,
      sessions: {
        list: () => this.listed,
        onEvent: (listener) => {
          this.#listeners.add(listener);
          return () => void this.#listeners.delete(listener);
        },
      },
      recordedUntil,
      requestOf: () => 7,
      audit: this.audit,
      log: pino({ level: "silent" }),
    });
  }

  tell(event: SessionsEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

const session = newSessionId();
const live = openedSession(session, { output: { written: 42, unread: 0 } });
const ended: SessionStatus = {
  ...live,
  state: "closed",
  endedAt: 5_000,
  reason: { code: "exited", message: "the shell exited" },
};

test("an end is recorded once, with what it was about", () => {
  const host = new Host();
  using _ends = host.watch();
  host.tell({ kind: "changed", status: live });
  host.tell({ kind: "changed", status: ended });
  host.tell({ kind: "changed", status: ended });
  host.tell({ kind: "gone", session });
  expect(host.audit.entries).toEqual([
    {
      kind: "outcome",
      action: "session.open",
      operator: "ada",
      hosts: ["web1"],
      subject: session,
      outcome: "exited",
      message: "the shell exited",
      bytes: 42,
      durationMs: 4_000,
      of: 7,
    },
  ]);
});

test("a session that goes without a word was removed", () => {
  const host = new Host();
  using _ends = host.watch();
  host.tell({ kind: "changed", status: live });
  host.tell({ kind: "gone", session });
  expect(host.audit.entries).toMatchObject([{ outcome: "removed", subject: session }]);
  const other = openedSession();
  host.tell({ kind: "changed", status: other });
  host.listed = [];
  host.tell({ kind: "listed" });
  expect(host.audit.entries).toMatchObject([{}, { outcome: "removed", subject: other.session }]);
});

test("what ended while no agent was there is recorded by the next; what was recorded before is not", () => {
  const host = new Host();
  using _ends = host.watch(6_000);
  const unseen = { ...ended, session: newSessionId(), endedAt: 7_000 };
  host.listed = [ended, unseen, openedSession()];
  host.tell({ kind: "listed" });
  // The session host was started anew.
  host.tell({ kind: "listed" });
  expect(host.audit.entries.map(({ subject }) => subject)).toEqual([unseen.session]);
});

test("a list that was there before anybody listened counts, too", () => {
  const host = new Host();
  host.listed = [{ ...ended, endedAt: 7_000 }];
  using _ends = host.watch(6_000);
  host.tell({ kind: "listed" });
  expect(host.audit.entries).toHaveLength(1);
});

test("a full disk stops nothing", () => {
  const host = new Host();
  using _ends = host.watch();
  host.audit.check = () => {
    throw new Error("the disk is full");
  };
  host.tell({ kind: "changed", status: live });
  host.tell({ kind: "changed", status: ended });
  expect(host.audit.entries).toEqual([]);
});
