/** The commands about target expressions, and expressions in other commands, as a person uses them. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HostInfo, HostName, newHostId } from "@outpost/protocol";
import { evaluate, parse, sorted } from "@outpost/protocol/targets";
import * as v from "valibot";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { writeContext } from "../client/context.ts";
import { TlsController } from "../client/testing/tls-controller.ts";

let controller: TlsController;
let home: string;
let asked: (string | undefined)[];
beforeAll(async () => void (controller = await TlsController.start()));
afterAll(() => controller[Symbol.asyncDispose]());

const hosts: readonly HostInfo[] = ["web1", "web2", "web10", "db1"].map((name) => ({
  id: newHostId(),
  name: v.parse(HostName, name),
  state: "connected",
  labels: { role: name.replace(/\d+/, "") },
  enrolledAt: 0,
}));

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "outpost-home-"));
  asked = [];
  const directory = join(home, ".config", "outpost", "contexts", "prod");
  await mkdir(directory, { recursive: true });
  await writeContext(directory, await controller.context());
  await writeFile(join(home, ".config", "outpost", "current"), "prod\n");
  await writeFile(join(directory, "groups.yaml"), "groups: {web: 'role=web', rack: 'r[1-2]n[1-3]'}\n");
  controller.handlers = {
    "host.list": ({ targets }) => {
      asked.push(targets);
      return { hosts: targets === undefined ? sorted(hosts) : evaluate(parse(targets), hosts) };
    },
  };
});
afterEach(() => rm(home, { recursive: true }));

function outpost(
  args: readonly string[],
  input = "",
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { OUTPOST_CONTEXT: _, OUTPOST_CONTEXT_DIR: __, OUTPOST_GROUPS: ___, ...inherited } = process.env;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ["--conditions=source", join(import.meta.dirname, "main.ts"), ...args],
      { env: { ...inherited, HOME: home } },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

describe("without any controller", () => {
  test.each([
    [["expand", "web[08-10]!web09"], "web08\nweb10\n"],
    [["expand", "web[1-3]", "-S", ","], "web1,web2,web3\n"],
    [["expand", "--separator", "\\t", "a,b"], "a\tb\n"],
    [["expand", "-S", "\\0", "a,b"], "a\0b\0"],
    [["expand", "a!a"], ""],
    [["fold", "web1", "web3", "web2", "db1"], "db1,web[1-3]\n"],
    [["fold", "a1,a2,b[1-2,5]", "-S\\n"], "a[1-2]\nb[1-2,5]\n"],
    [["fold", "@rack"], "r[1-2]n[1-3]\n"],
    [["count", "web[001-100]", "web007"], "100\n"],
    [["count", "@rack!r1n1", "--output", "ndjson"], '{"count":5}\n'],
    [["fold", "web[1-3]", "--output", "ndjson"], '{"folded":"web[1-3]","count":3}\n'],
    [["expand", "web[1-2]", "--output", "ndjson"], '{"host":"web1"}\n{"host":"web2"}\n'],
  ])("targets %j prints %j", async (args, stdout) => {
    expect(await outpost(["targets", ...args])).toEqual({ code: 0, stdout, stderr: "" });
    expect(asked).toEqual([]);
  });

  test("reads names from standard input, as they come", async () => {
    const input = "# ours\nweb1 web2\n\n  web3\nweb[4-5],web6!web6\n";
    expect(await outpost(["targets", "fold", "-", "db1"], input)).toMatchObject({ stdout: "db1,web[1-5]\n" });
  });
});

test("what takes hosts to understand is asked of the controller", async () => {
  expect(await outpost(["targets", "fold", "web* and not web2", "x[1-2]"])).toMatchObject({
    stdout: "web[1,10],x[1-2]\n",
  });
  expect(await outpost(["targets", "expand", "@web"])).toMatchObject({ stdout: "web1\nweb2\nweb10\n" });
  expect(await outpost(["targets", "count", "--all"])).toMatchObject({ stdout: "4\n" });
  expect(asked).toEqual(["web* and not web2", "role=web", "*"]);
});

test("groups are written out before anything is sent, in every command", async () => {
  const { stdout } = await outpost(["host", "list", "@web!web1", "--output", "json"]);
  expect((JSON.parse(stdout) as { hosts: HostInfo[] }).hosts.map(({ name }) => name)).toEqual([
    "web2",
    "web10",
  ]);
  expect(asked).toEqual(["role=web!web1"]);
});

test("an expression that cannot be read is shown, with the place", async () => {
  const { code, stdout, stderr } = await outpost(["host", "list", "web1,web[1-", "--output", "json"]);
  expect(code).toBe(251);
  expect(stderr).toBe(
    "outpost: target expression: the bracket is not closed, at character 9\n" +
      "  web1,web[1-\n" +
      "          ^\n",
  );
  expect(JSON.parse(stdout)).toMatchObject({
    error: { code: "invalid_argument", data: { position: 9, expression: "web1,web[1-" } },
  });
});

test("hosts that are not there are told folded, with what may have been meant", async () => {
  const { code, stderr } = await outpost(["host", "list", "wbe1,web[3-5]"]);
  expect(code).toBe(252);
  expect(stderr).toContain("there are no hosts called wbe1,web[3-5]");
  expect(stderr).toContain("Did you mean web1");
});

test("groups are completed", async () => {
  const { stdout } = await outpost(["__complete", "--", "invoke", "db1,@r"]);
  expect(stdout).toBe("db1,@rack\tgroup\n");
});
