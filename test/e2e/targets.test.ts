/** Target expressions from the command line to the hosts, which verify what the operator has signed. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Playground } from "../kit/playground.ts";

let playground: Playground;

beforeAll(async () => {
  playground = await Playground.create({
    hosts: ["web1", "web2", "web10", "db1"],
    joinArguments: (host) => ["--label", `role=${host.replace(/\d+/, "")}`],
  });
  const groups = `groups:\n  web: role=web\n  few: "web[1-2],@ours:db"\nsources:\n  ours:\n    map: echo "$GROUP"1\n`;
  await writeFile(join(playground.directory, "context", "groups.yaml"), groups);
}, 60_000);
afterAll(() => playground?.[Symbol.asyncDispose]());

/** The hosts on which it ran: each has said so itself. */
async function ranOn(targets: string): Promise<string[]> {
  const { exitCode, stdout, stderr } = await playground.outpost([
    "invoke",
    targets,
    "--output",
    "ndjson",
    "--",
    "true",
  ]);
  expect(stderr.toString(), targets).toBe("");
  expect(exitCode, targets).toBe(0);
  const events = stdout
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string; succeeded?: string[] });
  return events.find(({ type }) => type === "summary")!.succeeded!;
}

test.each([
  ["web[1-2]", ["web1", "web2"]],
  ["web*!web[2-10/8]", ["web1"]],
  ["@web and not web2", ["web1", "web10"]],
  ["@few", ["db1", "web1", "web2"]],
  ["(role=db or web1) & *1", ["db1", "web1"]],
  ["platform=* and cpus>=1 and mem>1M and not role=web", ["db1"]],
])("%s", async (targets, hosts) => {
  expect((await ranOn(targets)).toSorted()).toEqual(hosts);
});

test("a target that is not there starts nothing", async () => {
  const { exitCode, stdout, stderr } = await playground.outpost(["invoke", "web[1-3],db1", "--", "true"]);
  expect(exitCode).toBe(252);
  expect(stdout.toString()).toBe("");
  expect(stderr.toString()).toContain("there is no host called web3");
  expect(stderr.toString()).toContain("Did you mean");
});

test("the library and sessions know groups, too", async () => {
  await using client = await playground.client();
  expect(await client.writtenOut("@few!web1")).toBe("(web[1-2],db1)!web1");
  expect((await client.hosts("@few!web1")).map(({ name }) => name)).toEqual(["db1", "web2"]);
  const opened = await client.openSession({ targets: "@few!web1" });
  expect(opened.hosts.map(({ host }) => host).toSorted()).toEqual(["db1", "web2"]);
  expect(await client.sessions({ targets: "@ours:db" })).toHaveLength(1);
  await opened.session.remove();
});
