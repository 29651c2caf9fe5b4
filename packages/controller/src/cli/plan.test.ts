/** What `--plan` shows. */
import { HostName, type HostState } from "@outpost/protocol";
import * as v from "valibot";
import { expect, test } from "vitest";
import { plan } from "../client/plan.ts";
import type { Client } from "../client/index.ts";
import { planText } from "./plan.ts";

const now = 10_000_000;

/** Twelve hosts, of which web3 and web4 were seen an hour ago, web12 never. */
const hosts = Array.from({ length: 12 }, (_, index) => {
  const number = index + 1;
  const state: HostState = number === 12 ? "never" : [3, 4].includes(number) ? "disconnected" : "connected";
  const lastSeen = number === 12 ? undefined : number < 5 && number > 2 ? now - 3_600_000 : now;
  const name = v.parse(HostName, `web${String(number)}`);
  return { name, state, ...(lastSeen === undefined ? {} : { lastSeen }) };
}).toReversed();
const client = { hosts: () => Promise.resolve(hosts) } as unknown as Client;

test("of an ordinary job: the hosts, and who is offline since when", async () => {
  const options = { targets: "web*" };
  expect(planText(await plan(client, options), options, now)).toMatchInlineSnapshot(`
    "hosts       12: web[1-12]
    offline     3; they would fail as unreachable
                web12: never connected
                web[3-4]: last seen 1 h ago
    This is the plan; nothing was run."
  `);
});

test("of a roll-out: its pace and its stages", async () => {
  const options = {
    targets: "web*",
    offline: "queue",
    rollout: {
      canary: { hosts: 1 },
      batch: { percent: 30 },
      pauseMs: 30_000,
      confirm: true,
      concurrency: { hosts: 2 },
    },
    check: { command: { kind: "shell", text: "true" } },
  } as const;
  expect(planText(await plan(client, options), options, now)).toMatchInlineSnapshot(`
    "hosts       12: web[1-12]
    offline     3; the job would wait for them
                web12: never connected
                web[3-4]: last seen 1 h ago
    pace        2 at a time
    between     the check, then a pause of 30 s, then a question whether to go on
    failures    the first one stops it
    stage 1     1: web1
    stage 2     4: web[2-5]
    stage 3     4: web[6-9]
    stage 4     3: web[10-12]
    This is the plan; nothing was run."
  `);
});

test("a random order, the same for its seed", async () => {
  const options = {
    targets: "web*",
    rollout: { batch: { hosts: 4 }, order: { kind: "random", seed: 7 } },
  } as const;
  const once = await plan(client, options);
  expect(await plan(client, options)).toEqual(once);
  expect(once.hosts.map(({ host }) => host)).not.toEqual(hosts.map(({ name }) => name));
  expect(once.stages.map(({ length }) => length)).toEqual([4, 4, 4]);
  expect(planText(once, options, now)).toContain("order       random:7\n");
});

test("a host in quarantine is none of them", async () => {
  const waiting = { ...hosts[0]!, quarantinedSince: 1 };
  const some = { hosts: () => Promise.resolve([waiting, ...hosts.slice(1)]) } as unknown as Client;
  expect((await plan(some, { targets: "web*" })).hosts).toHaveLength(11);
  const none = { hosts: () => Promise.resolve([waiting]) } as unknown as Client;
  await expect(plan(none, { targets: "web*" })).rejects.toThrow("no host is selected by web*");
});
