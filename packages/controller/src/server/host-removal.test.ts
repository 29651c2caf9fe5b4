/** What becomes of the jobs and sessions of a host that is removed. */
import type { HostName } from "@outpost/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Bench, type OperatorClient, startParams, until } from "./testing/bench.ts";
import { FakeAgent } from "./testing/fake-agent.ts";

let bench: Bench;
let client: OperatorClient;
beforeEach(async () => {
  bench = await Bench.create(["web1", "web2"]);
  client = await bench.client("ada");
});
afterEach(() => bench[Symbol.asyncDispose]());

const remove = (name: string) => client.request("host.remove", { hosts: [name] });

describe("a host that is removed", () => {
  test("its running jobs end here, and whoever waits is told; those of other hosts go on", async () => {
    const params = startParams("web1,web2");
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.size === 1 && bench.agent("web2").jobs.size === 1);
    const waiting = client.request("fanout.wait", { job: params.job, any: true });
    const { hosts } = await remove("web1");
    expect(hosts).toMatchObject([{ name: "web1" }]);
    await expect(waiting).resolves.toMatchObject({ ended: true });
    const { jobs } = await client.request("fanout.show", { job: params.job });
    expect(jobs.map(({ host, status }) => [host, status.state, status.reason?.message])).toEqual([
      ["web1", "lost", "web1 was removed by ada; what became of the job is not known here"],
      ["web2", "running", undefined],
    ]);
    // What runs on the host goes on.
    expect([...bench.agent("web1").jobs.values()][0]?.state).toBe("running");
    expect(bench.agent("web1").peer?.isOpen).toBe(false);
    bench.agent("web2").job(params.job).end();
    await expect(client.request("fanout.wait", { job: params.job, any: false })).resolves.toMatchObject({
      ended: true,
    });
  });

  test("a stop or removal that waits for it waits no more", async () => {
    const params = startParams("web1");
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.size === 1);
    await bench.cut("web1");
    await client.request("fanout.stop", { job: params.job });
    await remove("web1");
    const { jobs } = await client.request("fanout.show", { job: params.job });
    expect(jobs[0]).toMatchObject({ status: { state: "lost" } });
    expect(jobs[0]?.waiting).toBeUndefined();
    await bench.kill();
    client = await bench.client("ada");
    expect([...bench.services.fanOuts.unfinished()]).toEqual([]);
  });

  test("its sessions are forgotten, and who waits for it in one is told", async () => {
    const session = "0123456789ab";
    const params = { session, targets: "web1", spec: sessionSpec } as never;
    await client.request("session.open", params);
    await bench.cut("web1");
    const attached = client.request("session.attach", {
      session,
      host: "web1",
      viewer: "0123456789ac",
      role: "control",
      takeOver: false,
      columns: 80,
      rows: 24,
      repaint: false,
      window: 64 * 1024,
      input: client.openStream().number,
    });
    const outcome = expect(attached).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("web1 was removed"),
    });
    await until(
      () => bench.services.sessions.on(bench.services.presence.hostNamed("web1" as HostName)!.id).length > 0,
    );
    await remove("web1");
    await outcome;
    expect((await client.request("session.list", {})).sessions).toEqual([]);
  });

  test("a new one of the same name answers for nothing of the old one's", async () => {
    const params = startParams("web1");
    await client.request("fanout.start", params);
    await until(() => bench.agent("web1").jobs.size === 1);
    const impostor = new FakeAgent();
    impostor.jobs.set(params.job, bench.agent("web1").job(params.job));
    await remove("web1");
    bench.agents.set("web1", impostor);
    await bench.add("web1");
    const job = impostor.job(params.job);
    job.write("stdout", "forged");
    job.end();
    impostor.peer?.notify("job.changed", { status: job.status });
    await impostor.peer?.request("ping", {});
    const { jobs } = await client.request("fanout.show", { job: params.job });
    expect(jobs[0]?.status).toMatchObject({ state: "lost", output: { stdout: { written: 0 } } });
  });
});

const sessionSpec = {
  env: {},
  columns: 80,
  rows: 24,
  idleTimeoutMs: 60_000,
  buffering: "block",
  record: false,
  temporary: false,
  onExit: "end",
};
