/**
 * Somebody has the controller: its machine, its CA, its catalogue. They make themselves an operator there, let the policy
 * allow them everything, and run the real programs. The hosts do not listen.
 */
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { OperatorsAuthority } from "@outpost/access";
import { newOperatorId, OperatorName } from "@outpost/protocol";
import * as v from "valibot";
import { expect, test } from "vitest";
import { Playground } from "../kit/playground.ts";
import { eventually } from "../kit/wait.ts";

/** What a thief does with the controller's directory, and with what they then call themselves. */
async function steal(playground: Playground): Promise<NodeJS.ProcessEnv> {
  const directory = join(playground.directory, "controller");
  const authority = await OperatorsAuthority.create();
  const owner = { id: newOperatorId(), name: v.parse(OperatorName, "mallory") };
  const { certificate, key } = await authority.issueOperator(owner);
  await writeFile(join(directory, "operators.crt"), authority.credentials.certificate);
  await writeFile(
    join(directory, "policy.yaml"),
    'rules:\n  - { name: mine, operators: ["*"], actions: ["*"], configurations: ["*"], users: ["*"] }\n',
  );
  const catalogue = new DatabaseSync(join(directory, "catalogue.sqlite"));
  catalogue
    .prepare("INSERT INTO operators (id, name, created_at, invited_until) VALUES (?, ?, 1, ?)")
    .run(owner.id, owner.name, Date.now() + 60 * 60 * 1000);
  catalogue.close();

  const context = join(playground.directory, "context-thief");
  await cp(join(playground.directory, "context"), context, { recursive: true });
  const { controller } = JSON.parse(await readFile(join(context, "context.json"), "utf8")) as {
    controller: string;
  };
  await rm(join(context, "operators.key"), { force: true });
  await Promise.all(
    Object.entries({
      "context.json": JSON.stringify({ controller, name: owner.name }),
      "operator.crt": certificate,
      "operator.key": key,
      "operators.crt": authority.credentials.certificate,
    }).map(([name, text]) => writeFile(join(context, name), text, { mode: 0o600 })),
  );
  return { OUTPOST_CONTEXT_DIR: context };
}

test("a stolen controller is not every host", async () => {
  await using playground = await Playground.create({ hosts: ["web1"] });
  const run = (...args: string[]) => playground.outpost(args);
  const kept = join(playground.directory, "kept");
  await cp(join(playground.directory, "context"), join(playground.directory, "context-kept"), {
    recursive: true,
  });

  // Of the rightful operator: a job with output that nobody has received, one that runs, and a session.
  const said = await run("job", "start", "web1", "--name", "said", "-c", "echo secret");
  expect(said).toMatchObject({ exitCode: 0 });
  const counting = await run(
    "job",
    "start",
    "web1",
    "--name",
    "counting",
    "-c",
    "while :; do sleep 0.1; done",
  );
  expect(counting).toMatchObject({ exitCode: 0 });
  const opened = await run(
    "session",
    "new",
    "web1",
    "--name",
    "mine",
    "--shell",
    "bash",
    "--env",
    "HISTFILE=/dev/null",
    "--env",
    `HOME=${playground.directory}`,
  );
  expect(opened, opened.stderr).toMatchObject({ exitCode: 0 });
  expect(await run("invoke", "--session", "mine", "-c", "v=42")).toMatchObject({ exitCode: 0 });

  await playground.controller.signal("SIGKILL");
  await mkdir(kept);
  for (const file of ["operators.crt", "policy.yaml"]) {
    await cp(join(playground.directory, "controller", file), join(kept, file));
  }
  const thief = await steal(playground);
  playground.controller.start();
  const isConnected = async (): Promise<boolean> => {
    const { stdout } = await playground.outpost(["host", "list"], { env: thief });
    return / connected /.test(stdout.toString());
  };
  await eventually(isConnected, { what: "web1 at the thief's controller" });

  const mark = join(playground.directory, "pwned");
  const attempts: readonly (readonly string[])[] = [
    ["invoke", "web1", "--", "touch", mark],
    ["job", "receive", "said"],
    ["job", "stop", "counting"],
    ["job", "remove", "counting", "--force"],
    ["session", "new", "web1"],
    ["session", "receive", "mine", "--host", "web1"],
    ["session", "disconnect", "mine"],
    ["session", "remove", "mine"],
    ["invoke", "--session", "mine", "-c", `touch ${mark}`],
  ];
  for (const args of attempts) {
    const { stdout, stderr } = await playground.outpost(args, { env: thief });
    const what = `outpost ${args.join(" ")}: ${stdout.toString()}${stderr}`;
    expect(stdout.toString(), what).not.toContain("secret");
    expect(`${stdout.toString()}${stderr}`, what).toMatch(/operators' authority|denied/);
  }
  expect(existsSync(mark)).toBe(false);
  const audit = await playground.outpostAgent("web1", ["audit", "list", "--denied", "--output", "json"]);
  expect(audit, audit.stderr).toMatchObject({ exitCode: 0 });
  const { entries } = JSON.parse(audit.stdout.toString()) as {
    entries: { action: string; decision: string }[];
  };
  expect(new Set(entries.map(({ action }) => action))).toEqual(
    new Set([
      "invoke",
      "job.read",
      "job.stop",
      "session.open",
      "session.watch",
      "session.control",
      "session.remove",
    ]),
  );

  // The rightful owner has it back: nothing of theirs was touched.
  await playground.controller.signal("SIGKILL");
  for (const file of ["operators.crt", "policy.yaml"]) {
    await cp(join(kept, file), join(playground.directory, "controller", file));
  }
  playground.controller.start();
  await playground.connected();
  expect(await run("invoke", "--session", "mine", "-c", "echo $v")).toMatchObject({
    exitCode: 0,
    stdout: Buffer.from("42\n"),
  });
  // The thief's controller has forgotten it; its host has not.
  const held = await playground.outpostAgent("web1", ["job", "list", "--output", "json"]);
  expect(held.stdout.toString()).toMatch(/"running"/);
  const received = await run("job", "receive", "said");
  expect(received.stdout.toString()).toBe("secret\n");
  // Nobody else ends it any more.
  const id = counting.stdout.toString().trim();
  expect(await playground.outpostAgent("web1", ["job", "stop", id])).toMatchObject({ exitCode: 0 });
  expect(await playground.outpostAgent("web1", ["job", "wait", id])).toMatchObject({ exitCode: 143 });
});
