/** Real programs in a real folder. */
import { chmod, mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { gatherCustomFacts } from "./custom-facts.ts";

let root: string;
let folder: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "outpost-facts-"));
  folder = join(root, "facts.d");
  await mkdir(folder, { mode: 0o755 });
});
afterEach(() => rm(root, { recursive: true }));

async function file(name: string, text: string, mode: number): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

const program = (name: string, script: string): Promise<string> =>
  file(name, `#!/bin/sh\n${script}\n`, 0o755);

test("programs and files give facts, one after the other; the last word counts", async () => {
  await program("10-first", "echo rack=r1; echo row=4");
  await program("rack.sh", "echo r12");
  await file("site.json", '{"site": "eu", "height": 3}', 0o644);
  await file("README~", "no fact", 0o644);
  await file(".hidden", "no fact", 0o644);
  const other = join(root, "other");
  await mkdir(other);
  await writeFile(join(other, "site.json"), '{"site": "us"}', { mode: 0o644 });
  expect(await gatherCustomFacts({ folders: [other, folder, join(root, "nowhere")] })).toEqual({
    facts: { rack: "r12", row: "4", site: "eu", height: 3 },
    problems: [],
  });
});

describe("what gives no facts says why, and the others do", () => {
  test.each<[string, () => Promise<string>, RegExp]>([
    [
      "a failure",
      () => program("bad", "echo a=1; echo no such rack >&2; exit 3"),
      /exit code 3: no such rack/,
    ],
    ["a signal", () => program("bad", "kill -KILL $$"), /ended by SIGKILL/],
    ["what is no program", () => file("bad", "\u007fELF nonsense", 0o755), /cannot be run|exit code/],
    ["a missing interpreter", () => file("bad", "#!/no/such/sh\n", 0o755), /interpreter/],
    ["nothing of a program", () => file("bad", "echo a=1", 0o644), /chmod \+x/],
    ["too much", () => program("bad", "head -c 70000 /dev/zero | tr '\\0' x"), /more than 65536 bytes/],
    ["what others may write", () => file("bad", "#!/bin/sh\n", 0o777), /mode 0777.*chmod go-w/],
    [
      "a link",
      async () => {
        await symlink("/bin/true", join(folder, "bad"));
        return join(folder, "bad");
      },
      /symbolic link/,
    ],
    [
      "a folder",
      async () => {
        await mkdir(join(folder, "bad"));
        return join(folder, "bad");
      },
      /not a regular file/,
    ],
  ])("%s", async (_, make, why) => {
    await program("good", "echo yes");
    const path = await make();
    const found = await gatherCustomFacts({ folders: [folder] });
    expect(found.facts).toEqual({ good: "yes" });
    expect(found.problems).toEqual([{ file: path, message: expect.stringMatching(why) }]);
  });

  test("a folder that others may write is not looked into", async () => {
    await program("good", "echo yes");
    await chmod(folder, 0o777);
    expect(await gatherCustomFacts({ folders: [folder] })).toEqual({
      facts: {},
      problems: [{ file: folder, message: expect.stringContaining("chmod go-w") }],
    });
  });
});

test("what takes too long is ended, with everything that it has started", async () => {
  const pids = join(root, "pids");
  await program("slow", `echo $$ > ${pids}; sleep 1000 & echo $! >> ${pids}; echo a=1; wait`);
  await program("leaves", `echo b=1; sleep 1000 & echo $! >> ${pids}`);
  const found = await gatherCustomFacts({ folders: [folder], timeoutMs: 2_000 });
  expect(found.facts).toEqual({});
  expect(found.problems.map(({ message }) => message)).toEqual([
    expect.stringContaining("took longer than 2 s"),
    expect.stringContaining("took longer than 2 s"),
  ]);
  for (const pid of (await readFile(pids, "utf8")).trim().split("\n")) {
    await expect.poll(() => isAlive(Number(pid))).toBe(false);
  }
});

test("a program that somebody is writing is said to be that", async () => {
  const path = await program("busy", "echo a=1");
  await using _writing = await open(path, "r+");
  const { facts, problems } = await gatherCustomFacts({ folders: [folder] });
  // Not every system refuses to run it.
  if (problems.length === 0) expect(facts).toEqual({ a: "1" });
  else expect(problems).toEqual([{ file: path, message: "cannot be run: somebody is writing to it" }]);
});

test("more facts than are told", async () => {
  await program("many", "i=0; while [ $i -lt 200 ]; do echo f$i=$i; i=$((i+1)); done");
  const { facts, problems } = await gatherCustomFacts({ folders: [folder] });
  expect(Object.keys(facts)).toHaveLength(128);
  expect(problems).toEqual([{ file: join(folder, "many"), message: expect.stringContaining("128") }]);
});

test("longer facts than a controller keeps", async () => {
  await program("long", "i=0; while [ $i -lt 20 ]; do printf 'f%d=%01000d\\n' $i 0; i=$((i+1)); done");
  const { facts, problems } = await gatherCustomFacts({ folders: [folder] });
  expect(Object.keys(facts)).toHaveLength(16);
  expect(problems).toHaveLength(1);
});

test("an agent that leaves waits for no program", async () => {
  await program("slow", "sleep 1000");
  const leaving = new AbortController();
  const gathering = gatherCustomFacts({ folders: [folder], signal: leaving.signal });
  leaving.abort();
  expect((await gathering).facts).toEqual({});
});

/** Not a zombie, which nobody has waited for yet. */
async function isAlive(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${String(pid)}/stat`, "latin1").catch(() => undefined);
  if (text !== undefined) return !/^\d+ \(.*\) [ZX]/.test(text);
  try {
    process.kill(pid, 0);
    return process.platform !== "linux";
  } catch {
    return false;
  }
}
