import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OperatorName } from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeContext } from "./context.ts";
import { Contexts } from "./contexts.ts";

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), "outpost-contexts-"))));
afterEach(() => rm(root, { recursive: true }));

function contexts(env: NodeJS.ProcessEnv = {}): Contexts {
  return new Contexts(root, env);
}

async function make(...names: string[]): Promise<void> {
  await contexts().prepare();
  for (const name of names) {
    await writeContext(contexts().directory(name), {
      controller: `wss://${name}:7443`,
      name: v.parse(OperatorName, "me"),
      certificate: "CERT\n",
      key: "KEY\n",
      authority: "CA\n",
      operators: "OPERATORS\n",
    });
  }
}

test("none at all is not_found, and says where it looked", async () => {
  await expect(contexts().inUse()).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringContaining(root),
    data: { directory: root, contexts: [] },
  });
  expect(await contexts().list()).toEqual([]);
});

test("one is put to use, and then another", async () => {
  await make("prod", "test");
  await expect(contexts().inUse()).rejects.toThrow("prod, test with: outpost context use");
  await contexts().use("prod");
  expect(await contexts().inUse()).toEqual({ directory: join(root, "contexts", "prod"), name: "prod" });
  await contexts().use("test");
  expect((await contexts().list()).map(({ name, inUse }) => [name, inUse])).toEqual([
    ["prod", false],
    ["test", true],
  ]);
  expect(await readFile(join(root, "current"), "utf8")).toBe("test\n");
});

test("the environment goes before what is in use", async () => {
  await make("prod", "test");
  await contexts().use("prod");
  expect(await contexts({ OUTPOST_CONTEXT: "test" }).inUse()).toMatchObject({ name: "test" });
  const fixed = contexts({ OUTPOST_CONTEXT: "test", OUTPOST_CONTEXT_DIR: "/elsewhere" });
  expect(await fixed.inUse()).toEqual({ directory: "/elsewhere" });
  expect(await contexts({ OUTPOST_CONTEXT: "", OUTPOST_CONTEXT_DIR: "" }).inUse()).toMatchObject({
    name: "prod",
  });
});

test("one that is not there is not_found, and the others are named", async () => {
  await make("prod");
  await expect(contexts().use("pord")).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringContaining("there are: prod"),
  });
  await expect(contexts({ OUTPOST_CONTEXT: "x" }).inUse()).rejects.toMatchObject({ code: "not_found" });
  await expect(contexts().remove("x")).rejects.toMatchObject({ code: "not_found" });
});

test.each(["..", ".", "", "a/b", "../../etc", ".prod.signing-in", "a\u001bb"])(
  "%j is no name",
  async (name) => {
    await make("prod");
    expect(() => contexts().directory(name)).toThrow("is not a context's name");
    await expect(contexts().remove(name)).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(contexts({ OUTPOST_CONTEXT: name || ".." }).inUse()).rejects.toMatchObject({
      code: "invalid_argument",
    });
  },
);

test("removing one takes its key away, and leaves none in use when it was the one", async () => {
  await make("prod", "test");
  await contexts().use("prod");
  await contexts().remove("test");
  expect(await contexts().inUse()).toMatchObject({ name: "prod" });
  await contexts().remove("prod");
  await expect(stat(join(root, "contexts", "prod"))).rejects.toMatchObject({ code: "ENOENT" });
  expect(await contexts().nameInUse()).toBeUndefined();
});

test("a damaged one is listed with what is wrong with it", async () => {
  await make("prod");
  await rm(join(root, "contexts", "prod", "operator.key"));
  const [entry] = await contexts().list();
  expect(entry).toMatchObject({ name: "prod", problem: expect.stringContaining("operator.key") });
  expect(entry).not.toHaveProperty("context");
});

test("what is left of a sign-in is no context", async () => {
  await make("prod");
  await mkdir(join(root, "contexts", ".test.signing-in"));
  expect((await contexts().list()).map(({ name }) => name)).toEqual(["prod"]);
});

test("the only context of 0.1 is told apart", async () => {
  await writeFile(join(root, "context.json"), '{"controller":"wss://x:1","name":"me"}');
  await expect(contexts().inUse()).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("0.1"),
  });
  await make("prod");
  await contexts().use("prod");
  expect(await contexts().inUse()).toMatchObject({ name: "prod" });
});

test("the folder of contexts is their owner's alone", async () => {
  await contexts().prepare();
  expect((await stat(join(root, "contexts"))).mode & 0o777).toBe(0o700);
});
