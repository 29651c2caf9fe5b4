import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readContext, writeContext } from "./context.ts";

let directory: string;
const context = {
  controller: "wss://127.0.0.1:7443",
  name: "me",
  certificate: "CERT\n",
  key: "KEY\n",
  authority: "CA\n",
};

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), "outpost-context-")), "context");
});

afterEach(() => rm(join(directory, ".."), { recursive: true, force: true }));

test("what was written is read again, and the key is its owner's alone", async () => {
  await writeContext(directory, context);
  expect(await readContext(directory)).toEqual(context);
  expect((await stat(join(directory, "operator.key"))).mode & 0o777).toBe(0o600);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect(await readFile(join(directory, "context.json"), "utf8")).not.toContain("KEY");
});

test("no context is not_found and names the folder", async () => {
  await expect(readContext(directory)).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringContaining(directory),
  });
});

test.each(["not json", "{}", '{"controller":"http://x","name":"me"}'])(
  "a damaged context.json (%s) names the file",
  async (text) => {
    await writeContext(directory, context);
    await writeFile(join(directory, "context.json"), text);
    await expect(readContext(directory)).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("context.json"),
    });
  },
);
