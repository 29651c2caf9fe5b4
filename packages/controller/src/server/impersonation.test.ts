/** A host that lies about others: what it says counts for itself only. */
import { type JobId, newSessionId, type SessionStatus } from "@outpost/protocol";
import { expect, test } from "vitest";
import { Bench, startParams, until } from "./testing/bench.ts";

const ended = (job: JobId, text = "") => ({
  job,
  state: "completed" as const,
  startedAt: 1,
  endedAt: 2,
  exit: { code: 0 },
  output: {
    stdout: { written: text.length, received: 0 },
    stderr: { written: 0, received: 0 },
  },
});

test("it ends no job of another host, neither by a change nor by its inventory", async () => {
  await using bench = await Bench.create(["web1", "web2"]);
  const client = await bench.client();
  const params = startParams("web2");
  await client.request("fanout.start", params);
  const show = async () => (await client.request("fanout.show", { job: params.job })).jobs;
  await expect.poll(async () => (await show())[0]?.status.state).toBe("running");
  const liar = bench.agent("web1").peer!;
  liar.notify("job.changed", { status: ended(params.job) });
  await liar.request("inventory", { jobs: [ended(params.job)], last: true });
  // Behind everything that it has said.
  await liar.request("ping" as never, {} as never);
  expect(await show()).toMatchObject([{ host: "web2", status: { state: "running" } }]);
});

test("a job that it claims to have of its own takes no id of somebody else's", async () => {
  await using bench = await Bench.create(["web1", "web2"]);
  const client = await bench.client();
  const params = startParams("web2");
  await client.request("fanout.start", params);
  const liar = bench.agent("web1").peer!;
  const origin = { user: "mallory", command: "true", acceptedAt: 1 };
  liar.notify("job.changed", { status: { ...ended(params.job), origin } });
  await liar.request("ping" as never, {} as never);
  const { fanout, jobs } = await client.request("fanout.show", { job: params.job });
  expect(fanout.operator).toBe("alice");
  expect(jobs.map(({ host }) => host)).toEqual(["web2"]);
});

test("a session that it claims is on itself, whatever its id", async () => {
  await using bench = await Bench.create(["web1", "web2"]);
  const client = await bench.client();
  const session = newSessionId();
  const spec = { env: {}, columns: 80, rows: 24, record: false, temporary: false, onExit: "end" as const };
  await client.request("session.open", { session, targets: "web2", spec });
  const list = async () => (await client.request("session.list", {})).sessions;
  await until(() => bench.services.sessions.of(session).length === 1, "the session");
  const [real] = await list();
  const liar = bench.agent("web1").peer!;
  const status: SessionStatus = { ...real!.status, state: "closed", operator: "mallory" };
  liar.notify("session.changed", { status });
  liar.notify("session.gone", { session });
  liar.notify("session.changed", { status });
  await liar.request("ping" as never, {} as never);
  const found = bench.services.sessions
    .of(session)
    .map((each) => [each.hostName, each.status.operator, each.status.state]);
  expect(found).toContainEqual(["web2", "alice", real!.status.state]);
  expect(found.filter(([host]) => host !== "web2").map(([host]) => host)).toEqual(["web1"]);
});
