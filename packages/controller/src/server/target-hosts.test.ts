/** Target expressions at a whole controller: what they select there, and what hosts in quarantine and old agents are to them. */
import type { Facts, HostName } from "@outpost/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Bench, type OperatorClient, startParams, until } from "./testing/bench.ts";
import { fakeFacts } from "./testing/fake-agent.ts";

let bench: Bench;
let client: OperatorClient;

const gibibyte = 1024 ** 3;

beforeEach(async () => {
  bench = await Bench.create(["web1", "web2", "web10", "db1"]);
  client = await bench.client();
});
afterEach(() => bench[Symbol.asyncDispose]());

async function listed(targets: string): Promise<string[]> {
  return (await client.request("host.list", { targets })).hosts.map(({ name }) => name);
}

async function started(targets: string): Promise<string[]> {
  return (await client.request("fanout.start", startParams(targets))).hosts.map(({ host }) => host);
}

test.each([
  ["web[1-2],db1!web2", ["db1", "web1"]],
  ["web* and not web10", ["web1", "web2"]],
  ["role=db ^ *1", ["web1"]],
  ["not role=web", ["db1"]],
])("%s", async (targets, hosts) => {
  expect(await listed(targets)).toEqual(hosts);
  expect(await started(targets)).toEqual(hosts);
});

test.each([
  ["web[1-4],db1", /there are no hosts called web\[3-4\]/],
  ["*!web3", /there is no host called web3/],
  ["web1,mail*", /no host's name fits mail\*/],
  ["role=web and role=db", /no host is selected/],
])("%s is an error, and nothing runs", async (targets, message) => {
  const error = { code: "not_found", message: expect.stringMatching(message) };
  await expect(listed(targets)).rejects.toMatchObject(error);
  await expect(started(targets)).rejects.toMatchObject(error);
  expect([...bench.agents.values()].flatMap(({ jobs }) => [...jobs])).toEqual([]);
});

test("an expression that cannot be read is refused with the place", async () => {
  await expect(started("web[1-")).rejects.toMatchObject({
    code: "invalid_argument",
    data: { position: 4, expression: "web[1-" },
  });
  await expect(started("@web")).rejects.toThrow("groups are expanded by the client");
});

test("facts that hosts say of themselves", async () => {
  const { presence } = bench.services;
  const tell = async (name: string, more: Partial<Facts>): Promise<void> => {
    await bench.add(name);
    const host = presence.hostNamed(name as HostName)!;
    presence.factsChanged(host.id, { ...fakeFacts, ...more });
    await until(() => presence.info(host).facts?.memoryBytes === more.memoryBytes, "the facts");
  };
  await tell("big1", { memoryBytes: 64 * gibibyte, osId: "debian" });
  await tell("big2", { memoryBytes: 32 * gibibyte, custom: { rack: "r7" } });
  expect(await listed("mem>=32GiB")).toEqual(["big1", "big2"]);
  expect(await listed("mem>32GiB and os=debian")).toEqual(["big1"]);
  expect(await started("fact.rack=r*")).toEqual(["big2"]);
});

test("a host in quarantine is selected by its name alone", async () => {
  await bench.add("web3", { quarantinedSince: 1_000 });
  expect(await started("web*")).toEqual(["web1", "web2", "web10"]);
  expect(await started("not db1")).toEqual(["web1", "web2", "web10"]);
  // It is there, and is taken away from what it is no part of.
  expect(await started("web*!web3")).toEqual(["web1", "web2", "web10"]);
  const refused = { code: "denied", message: expect.stringContaining("web3 is in quarantine") };
  for (const targets of ["web3", "web[1-3]", "db1 or web3", "web* and web[2-3]"]) {
    await expect(started(targets), targets).rejects.toMatchObject(refused);
  }
});

test("an agent before version 3 is asked only for what it can read", async () => {
  await bench.cut("web1");
  bench.agent("web1").versions = { min: 1, max: 2 };
  await bench.connect("web1");
  const { fanout } = await client.request("fanout.start", startParams("web[1-2]"));
  const { jobs } = await client.request("fanout.show", { job: fanout.job });
  const reasons = Object.fromEntries(jobs.map(({ host, status }) => [host, status.reason?.code]));
  expect(reasons).toEqual({ web1: "refused", web2: undefined });
  expect(jobs[0]!.status.reason!.message).toMatch(
    /speaks protocol version 2 .* targets such as web\[1-2\]; upgrade it/,
  );
  await client.request("fanout.start", startParams("web1,role=db"));
  await until(() => bench.agent("web1").jobs.size === 1);
});
