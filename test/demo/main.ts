/**
 * The main job, shown: a controller and three agents as separate processes on loopback, one of them killed in the middle
 * of a job, and not a byte lost. Everything it shows is what a person would type.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs, styleText } from "node:util";
import { Playground, type RunResult } from "../kit/playground.ts";
import { eventually } from "../kit/wait.ts";

const lines = 6_000;
/** What each host runs: numbered lines, 200 at a time, for about six seconds. */
const program = `i=0; while [ $i -lt ${String(lines)} ]; do i=$((i + 1)); echo "record $i of \${OUTPOST_HOST}"; [ $((i % 200)) -eq 0 ] && sleep 0.2; done`;

function say(text: string): void {
  console.log(`\n${styleText("bold", text)}`);
}

function showCommand(command: string): void {
  console.log(styleText("cyan", `$ ${command}`));
}

function quote(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

function expect(truth: boolean, what: string): void {
  if (!truth) throw new Error(`not as it should be: ${what}`);
  console.log(styleText("green", `✓ ${what}`));
}

/** Shows a command, runs it, shows what it printed. */
async function run(
  playground: Playground,
  args: readonly string[],
  shown = Number.POSITIVE_INFINITY,
): Promise<RunResult> {
  showCommand(`outpost ${args.map(quote).join(" ")}`);
  const result = await playground.outpost(args);
  const printed = result.stdout.toString().trimEnd().split("\n");
  console.log(printed.slice(0, shown).join("\n"));
  if (printed.length > shown) console.log(styleText("dim", `… ${String(printed.length - shown)} more lines`));
  if (result.stderr !== "") console.log(styleText("dim", result.stderr.trimEnd()));
  if (result.exitCode !== 0)
    throw new Error(`outpost ${args.join(" ")} exited with ${String(result.exitCode)}`);
  return result;
}

function expectedOutput(host: string): string {
  let text = "";
  for (let index = 1; index <= lines; index++) text += `record ${String(index)} of ${host}\n`;
  return text;
}

function digest(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

async function killAndRestart(playground: Playground, job: string): Promise<void> {
  const agent = playground.agent("web2");
  await eventually(
    async () => (await readFile(join(playground.agentDirectory("web2"), "jobs", job, "stdout"))).length > 0,
    {
      what: "first output on web2",
    },
  );
  const pid = agent.pid!;
  showCommand(`kill -9 ${String(pid)}            # the agent of web2`);
  await agent.signal("SIGKILL");
  await run(playground, ["job", "show", job]);
  say(
    "The job on web2 does not know: the kernel writes its output straight into files. The agent is started again.",
  );
  showCommand("outpost-agent start               # on web2; it adopts what still runs");
  agent.start();
  await playground.connected(["web2"]);
}

async function proveReceive(playground: Playground, job: string): Promise<void> {
  for (const host of playground.agents.keys()) {
    const { stdout } = await run(playground, ["job", "receive", job, "--follow", "--host", host], 3);
    expect(
      digest(stdout) === digest(expectedOutput(host)),
      `${host}: ${String(stdout.length)} bytes, SHA-256 ${digest(stdout).slice(0, 16)}… equal to a run without a fault`,
    );
  }
}

async function showKeep(playground: Playground): Promise<void> {
  say("`receive` takes the output; `--keep` looks without taking.");
  const started = await run(playground, [
    "job",
    "start",
    "web1",
    "--name",
    "greeting",
    "-c",
    "echo hello; echo world",
    "--output",
    "json",
  ]);
  const { job } = JSON.parse(started.stdout.toString()) as { job: string };
  await run(playground, ["job", "wait", job]);
  const kept = await run(playground, ["job", "receive", job, "--keep"]);
  const drained = await run(playground, ["job", "receive", job]);
  const empty = await playground.outpost(["job", "receive", job]);
  showCommand(`outpost job receive ${job}`);
  console.log(styleText("dim", empty.stderr.trimEnd()));
  expect(kept.stdout.equals(drained.stdout), "--keep gave the same bytes as the receive after it");
  expect(empty.stdout.length === 0, "the second receive found nothing: what was received is not shown twice");
}

async function mainJob(playground: Playground): Promise<void> {
  say("One command on three hosts.");
  await run(playground, ["host", "list"]);
  await run(playground, ["invoke", "web1,web2,web3", "--", "uname", "-sr"]);

  say("A job that keeps its output on the hosts. It returns at once.");
  const started = await run(playground, [
    "job",
    "start",
    "web1,web2,web3",
    "--name",
    "records",
    "--output",
    "json",
    "-c",
    program,
  ]);
  const { job } = JSON.parse(started.stdout.toString()) as { job: string };

  say("In the middle of it, the agent of web2 dies.");
  await killAndRestart(playground, job);

  say("Now the whole output is received, and compared with what it must be.");
  await proveReceive(playground, job);
  await run(playground, ["job", "list"]);

  await showKeep(playground);
}

async function stay(playground: Playground): Promise<void> {
  say("The playground stays up. In another terminal:");
  console.log(
    `\n    export PATH=${playground.binDirectory}:$PATH\n    outpost host list\n    outpost invoke 'web*' -- hostname\n    outpost enter web1\n`,
  );
  console.log("Ctrl-C here ends it and deletes it.");
  // A timer holds the process; a pending promise alone does not.
  const hold = setInterval(() => {}, 60_000);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
    process.once("SIGHUP", resolve);
  });
  clearInterval(hold);
}

const { values } = parseArgs({
  options: { stay: { type: "boolean", default: false }, help: { type: "boolean", short: "h" } },
});
if (values.help === true) {
  console.log(
    "pnpm demo [--stay]\n\nRuns the main job on a playground of its own. --stay keeps the playground running afterwards.",
  );
} else {
  const begun = performance.now();
  say("Setting up a controller and three agents, each a process of its own with its own certificate.");
  await using playground = await Playground.create({
    hosts: ["web1", "web2", "web3"],
    joinArguments: () => ["--label", "role=web"],
    narrate: showCommand,
  });
  await mainJob(playground);
  say(`That was it, in ${((performance.now() - begun) / 1000).toFixed(0)} s.`);
  if (values.stay) await stay(playground);
  else {
    console.log(
      "\nEverything was stopped and deleted. To keep such a playground running: npx -y pnpm@12 demo --stay",
    );
    console.log("and then use `outpost` from another terminal.");
  }
}
