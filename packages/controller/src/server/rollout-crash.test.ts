/** A controller that dies behind each of its writes to the catalogue, one after the other, in the middle of a roll-out. */
import { type FanOutStartParams, newJobId, OutpostError } from "@outpost/protocol";
import { expect, test } from "vitest";
import { Bench, startParams, until } from "./testing/bench.ts";

const hosts = ["web1", "web2", "web3", "web4"];

/** Lets the controller do so many writes more, and then nothing: no write, and nothing that was to be sent behind the last. */
function dieAfter(bench: Bench, writes: number): () => boolean {
  const { catalogue } = bench.services;
  const transaction = catalogue.transaction.bind(catalogue);
  let left = writes;
  catalogue.transaction = (durability, work) => {
    if (left <= 0) throw new OutpostError("internal", "dead");
    const result = transaction(durability, work);
    left--;
    if (left === 0) for (const link of bench.links.values()) link.cut();
    return result;
  };
  return () => left <= 0;
}

/** @returns whether it died at all before the roll-out was over */
async function rollOut(writes: number, more: Partial<FanOutStartParams>): Promise<boolean> {
  await using bench = await Bench.create(hosts);
  const check = newJobId();
  const params = startParams("role=web", {
    check: { job: check, spec: startParams("web1").spec },
    ...more,
  });
  const runs: string[] = [];
  for (const [name, agent] of bench.agents) {
    agent.onStart = (job) => {
      runs.push(`${name} ${job.params.job === check ? "check" : "job"}`);
      setImmediate(() => job.end());
    };
  }
  const client = await bench.client();
  // The first is the record of it all.
  const isDead = dieAfter(bench, writes);
  await client.request("fanout.start", params);
  const isOver = (): boolean => bench.services.fanOuts.find(params.job)?.rollout?.state === "done";
  await until(() => isDead() || isOver(), "the death, or the end");
  const died = !isOver();
  await bench.kill();
  await Promise.all(hosts.map((name) => bench.connect(name)));
  await until(isOver, `the end after ${String(writes)} writes`);
  expect(runs.toSorted()).toEqual(hosts.flatMap((name) => [`${name} check`, `${name} job`]));
  const { fanOuts, bus } = bench.services;
  for (const id of [params.job, check]) {
    expect(fanOuts.get(id).info(bus).counts, `after ${String(writes)} writes`).toEqual({ completed: 4 });
  }
  return died;
}

test.each([
  { rollout: { concurrency: { hosts: 2 } } },
  { rollout: { canary: { hosts: 1 }, batch: { hosts: 2 }, slowStart: true } },
])("every host runs job and check once, whenever it dies: %j", async (more) => {
  let writes = 1;
  while (await rollOut(writes, more)) writes++;
  expect(writes).toBeGreaterThan(5);
});
