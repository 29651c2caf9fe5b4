/** What is known of hosts, and told of them, over the real protocol. */
import {
  type Facts,
  type HostInfo,
  type HostListParams,
  newHostId,
  newSessionId,
  type HostName,
  type SessionInfo,
  type SessionsListParams,
} from "@outpost/protocol";
import { describe, expect, test, vi } from "vitest";
import type { HostRecord } from "./catalogue/hosts.ts";
import { KeptFacts } from "./kept-facts.ts";
import { Bench, type OperatorClient } from "./testing/bench.ts";
import { fakeFacts } from "./testing/fake-agent.ts";

const rack = (name: string): Facts => ({ ...fakeFacts, custom: { rack: name } });

async function pages(client: OperatorClient, params: HostListParams = {}): Promise<HostInfo[][]> {
  const all: HostInfo[][] = [];
  for (;;) {
    const after = all.at(-1)?.at(-1)?.name;
    const { hosts, more } = await client.request("host.list", {
      ...params,
      ...(after === undefined ? {} : { after }),
    });
    all.push(hosts);
    if (more !== true) return all;
  }
}

describe("the list of hosts in pages", () => {
  test("has every host once, by name", async () => {
    await using bench = await Bench.create(["web10", "web9", "db1", "web1", "web2"]);
    const client = await bench.client();
    const listed = await pages(client, { limit: 2 });
    expect(listed.map((page) => page.map(({ name }) => name))).toEqual([
      ["db1", "web1"],
      ["web2", "web9"],
      ["web10"],
    ]);
    const webs = await pages(client, { targets: "web*", limit: 3 });
    expect(webs.flat().map(({ name }) => name)).toEqual(["web1", "web2", "web9", "web10"]);
    expect((await client.request("host.list", {})).hosts).toHaveLength(5);
    expect(await client.request("host.list", { after: "web10", limit: 1 })).toEqual({
      hosts: [],
    });
  });

  test("leaves out what one may not see, on every page", async () => {
    await using bench = await Bench.create(["db1", "web1", "web2"], {
      policy: "rules:\n  - {name: webs, operators: [alice], actions: [host.list], targets: 'web*'}\n",
    });
    const listed = await pages(await bench.client(), { limit: 1 });
    expect(listed.flat().map(({ name }) => name)).toEqual(["web1", "web2"]);
  });

  test("is one line in the audit log for each time that somebody looks, and one for what follows", async () => {
    await using bench = await Bench.create(["web1", "web2", "web3"]);
    const client = await bench.client();
    await pages(client, { limit: 1 });
    await pages(client, { limit: 1 });
    const lines = (await bench.audited()).filter(({ action }) => action === "host.list");
    expect(lines).toHaveLength(3);
  });

  test("ten thousand hosts that say much of themselves", async () => {
    await using bench = await Bench.create([]);
    const { presence } = bench.services;
    const custom = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`fact-${String(index)}`, "x".repeat(20)]),
    );
    for (let index = 0; index < 10_000; index++) {
      const host: HostRecord = {
        id: newHostId(),
        name: `host${String(index)}` as HostName,
        labels: { role: "web" },
        facts: { ...fakeFacts, hostname: `host${String(index)}.example.com`, custom },
        enrolledAt: 1,
        lastSeen: 2,
        quarantinedSince: undefined,
        certificate: undefined,
      };
      presence.add(host);
    }
    const listed = (await pages(await bench.client(), { limit: 500 })).flat();
    expect(new Set(listed.map(({ name }) => name)).size).toBe(10_000);
    expect(listed[9_999]).toMatchObject({
      name: "host9999",
      facts: { hostname: "host9999.example.com", custom },
    });
  });
});

describe("the list of sessions in pages", () => {
  async function sessionPages(client: OperatorClient, params: SessionsListParams): Promise<SessionInfo[][]> {
    const all: SessionInfo[][] = [];
    let after: SessionsListParams["after"];
    for (;;) {
      const { sessions, next } = await client.request("session.list", { ...params, ...(after && { after }) });
      all.push(sessions);
      if (next === undefined) return all;
      after = next;
    }
  }

  test("has every session once, whatever states are asked for", async () => {
    await using bench = await Bench.create(["web10", "web9", "web1"]);
    const client = await bench.client();
    for (let count = 0; count < 3; count++) {
      const spec = {
        env: {},
        columns: 80,
        rows: 24,
        record: false,
        temporary: false,
        onExit: "end",
      } as const;
      await client.request("session.open", { session: newSessionId(), targets: "web*", spec });
    }
    const listed = await sessionPages(client, { limit: 2 });
    expect(listed.map((page) => page.length)).toEqual([2, 2, 2, 2, 1]);
    expect(listed.flat().map(({ host }) => host)).toEqual(
      ["web1", "web9", "web10"].flatMap((host) => [host, host, host]),
    );
    expect(new Set(listed.flat().map(({ host, status }) => `${host} ${status.session}`)).size).toBe(9);
    expect((await sessionPages(client, { limit: 4, states: ["closed"] })).flat()).toEqual([]);
    expect((await client.request("session.list", {})).sessions).toHaveLength(9);
  });
});

describe("facts", () => {
  const factsOf = async (client: OperatorClient): Promise<Facts | undefined> =>
    (await client.request("host.list", {})).hosts[0]!.facts;

  test("that change are told from then on, select the host, and survive the controller", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    expect(await factsOf(client)).toEqual(fakeFacts);
    bench.agent("web1").peer!.notify("facts.changed", { facts: rack("r1") });
    bench.agent("web1").peer!.notify("facts.changed", { facts: rack("r2") });
    await expect.poll(() => factsOf(client), { timeout: 5_000 }).toEqual(rack("r2"));
    const { hosts } = await client.request("host.list", { targets: "fact.rack=r2" });
    expect(hosts.map(({ name }) => name)).toEqual(["web1"]);
    await bench.kill();
    expect(await factsOf(await bench.client())).toEqual(rack("r2"));
  });

  test("that change without end cost as little as those that do so once", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const write = vi.spyOn(bench.services.catalogue.hosts, "facts");
    const { peer } = bench.agent("web1");
    for (let index = 0; index < 2_000; index++) {
      peer!.notify("facts.changed", { facts: rack(String(index)) });
    }
    await expect.poll(() => factsOf(client), { timeout: 5_000 }).toEqual(rack("1999"));
    // One for each second that it took, which on a busy machine may be a few.
    expect(write.mock.calls.length).toBeLessThan(20);
    write.mockClear();
    peer!.notify("facts.changed", { facts: rack("1999") });
    await peer!.request("ping", {});
    bench.services.presence[Symbol.dispose]();
    expect(write).not.toHaveBeenCalled();
  });

  test("of the next hello go before what was said on the connection before", async () => {
    await using bench = await Bench.create(["web1"]);
    bench.agent("web1").peer!.notify("facts.changed", { facts: rack("r1") });
    await bench.agent("web1").peer!.request("ping", {});
    await bench.cut("web1");
    await bench.connect("web1");
    bench.services.presence[Symbol.dispose]();
    expect(await factsOf(await bench.client())).toEqual(fakeFacts);
  });

  test("are kept as they were said, but for what is too long; and texts that are alike once", () => {
    const kept = new KeptFacts();
    const long = Object.fromEntries(
      Array.from({ length: 128 }, (_, index) => [`fact${String(index)}`, "x".repeat(1_000)]),
    );
    const facts: Facts = {
      ...fakeFacts,
      osLike: ["debian"],
      disks: [{ path: "/", sizeBytes: 2 ** 40, freeBytes: 1 }],
      addresses: ["10.0.0.1"],
      custom: { rack: "r1", height: 2, spare: true },
    };
    expect(kept.keep(facts)).toEqual(facts);
    const { custom = {} } = kept.keep({ ...facts, custom: long });
    expect(Object.keys(custom)).toEqual(Object.keys(long).slice(0, 16));
    // Nothing of what was thought up stays behind.
    for (let index = 0; index < 20_000; index++) kept.keep({ ...fakeFacts, os: `os ${String(index)}` });
    expect(kept.size).toBeLessThan(5_000);
  });
});
