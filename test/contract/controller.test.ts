/** An agent that knows nothing of our code, only docs/protocol.md, serves the real controller. */
import { createHash } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { Playground } from "../kit/playground.ts";
import { missing, PythonAgent } from "./python-agent.ts";

const why = missing();
beforeEach((context) => {
  if (why !== undefined) context.skip(`the controller with an agent in another language: ${why}`);
});

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

test("joined by a token, listed, invoked, received", async () => {
  await using playground = await Playground.create({ hosts: [] });
  await using agent = await PythonAgent.create();
  const made = await playground.outpost([
    "token",
    "create",
    "--ttl",
    "1h",
    "--uses",
    "1",
    "--output",
    "json",
  ]);
  const { token } = JSON.parse(made.stdout.toString()) as { token: string };
  expect(await agent.join(playground.url, token, "py1"), agent.said).toBe(0);
  void agent.run();
  await playground.connected(["py1"]);
  const short = await playground.outpost([
    "invoke",
    "py1",
    "--",
    "sh",
    "-c",
    "echo out; echo err >&2; exit 7",
  ]);
  expect({ ...short, stdout: short.stdout.toString() }).toMatchObject({
    exitCode: 7,
    stdout: "out\n",
    stderr: "err\n",
  });
  const long = await playground.outpost(["invoke", "py1", "-c", "head -c 3000000 /dev/zero"]);
  expect(long.exitCode, long.stderr).toBe(0);
  expect(sha256(long.stdout)).toBe(sha256(Buffer.alloc(3_000_000)));
});
