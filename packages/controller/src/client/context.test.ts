import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OperatorName } from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Context, readContext, writeAuthority, writeContext } from "./context.ts";

let directory: string;
const context: Context = {
  controller: "wss://127.0.0.1:7443",
  name: v.parse(OperatorName, "me"),
  certificate: "CERT\n",
  key: "KEY\n",
  authority: "CA\n",
  operators: "OPERATORS\n",
};

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), "outpost-context-")), "context");
});

afterEach(() => rm(join(directory, ".."), { recursive: true, force: true }));

async function modeOf(name = ""): Promise<number> {
  return (await stat(join(directory, name))).mode & 0o777;
}

test("what was written is read again, and the keys are their owner's alone", async () => {
  const whole = { ...context, reach: "wss://outpost.example.com:7443", operatorsKey: "OPERATORSKEY\n" };
  await writeContext(directory, whole);
  expect(await readContext(directory)).toEqual(whole);
  expect(await modeOf("operator.key")).toBe(0o600);
  expect(await modeOf("operators.key")).toBe(0o600);
  expect(await modeOf()).toBe(0o700);
  expect(await readFile(join(directory, "context.json"), "utf8")).not.toContain("KEY");
});

test("most operators have no operators.key", async () => {
  await writeContext(directory, context);
  expect(await readContext(directory)).toEqual(context);
  await expect(stat(join(directory, "operators.key"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("the CAs are replaced alone", async () => {
  await writeContext(directory, context);
  await writeAuthority(directory, "CA\nNEXT\n");
  expect(await readContext(directory)).toEqual({ ...context, authority: "CA\nNEXT\n" });
});

test("no context is not_found and names the folder", async () => {
  await expect(readContext(directory)).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringContaining(directory),
  });
});

test("one of 0.1 is told apart, and what to do is said", async () => {
  await writeContext(directory, context);
  await rm(join(directory, "operators.crt"));
  await expect(readContext(directory)).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringMatching(/0\.1.*sign in anew.*outpost operator add.*outpost controller init/),
  });
});

test.each([
  "not json",
  "{}",
  '{"controller":"http://x","name":"me"}',
  '{"controller":"wss://x:1","name":"a b"}',
])("a damaged context.json (%s) names the file", async (text) => {
  await writeContext(directory, context);
  await writeFile(join(directory, "context.json"), text);
  await expect(readContext(directory)).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("context.json"),
  });
});
