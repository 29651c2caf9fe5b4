import type { HostInfo, SessionInfo } from "@outpost/protocol";
import { expect, test } from "vitest";
import type { Connection } from "./connection.ts";
import { listHosts, listSessions } from "./listing.ts";

type Asked = Readonly<Record<string, unknown>>;

/** A controller of that version that answers with these, in turn. */
function controller(version: number, answers: readonly object[]): { connection: Connection; asked: Asked[] } {
  const asked: Asked[] = [];
  const connection = {
    hello: { version },
    peer: () => Promise.resolve(),
    request: (_method: string, params: Asked) => Promise.resolve(answers[asked.push(params) - 1]),
  };
  return { connection: connection as never, asked };
}

const host = (name: string): HostInfo => ({ name }) as never;
const session = (host_: string, id: string, createdAt: number): SessionInfo =>
  ({ host: host_, status: { session: id, createdAt } }) as never;

test("hosts are asked for page by page, each behind the last one", async () => {
  const { connection, asked } = controller(3, [
    { hosts: [host("web1"), host("web2")], more: true },
    { hosts: [host("web10")] },
  ]);
  expect((await listHosts(connection, "web*")).map(({ name }) => name)).toEqual(["web1", "web2", "web10"]);
  expect(asked).toEqual([
    { targets: "web*", limit: 500 },
    { targets: "web*", limit: 500, after: "web2" },
  ]);
});

test("a controller of version 2 tells all at once", async () => {
  const { connection, asked } = controller(2, [
    { hosts: [host("web1")] },
    { sessions: [session("web1", "a", 1)] },
  ]);
  expect(await listHosts(connection, undefined)).toHaveLength(1);
  expect(await listSessions(connection, {})).toHaveLength(1);
  expect(asked).toEqual([{}, {}]);
});

test("pages of sessions, an empty one among them, become a list with the newest first", async () => {
  const next = { host: "web1", session: "b" };
  const { connection, asked } = controller(3, [
    { sessions: [session("web1", "b", 1), session("web2", "a", 5)], next },
    { sessions: [], next: { host: "web9", session: "x" } },
    { sessions: [session("web10", "b", 2), session("web9", "b", 2)] },
  ]);
  const found = await listSessions(connection, { states: ["disconnected"] });
  expect(found.map((info) => `${info.host} ${info.status.session}`)).toEqual([
    "web2 a",
    "web1 b",
    "web9 b",
    "web10 b",
  ]);
  expect(asked[1]).toEqual({ states: ["disconnected"], limit: 500, after: next });
});
