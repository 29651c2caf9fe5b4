/** What happens to hosts and controllers: the network cut, a disk full, a controller lost and restored. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../kit/wait.ts";
import { counted, counting } from "./kit/counting.ts";
import type { Machine } from "./kit/machine.ts";
import { Site } from "./kit/site.ts";

let site: Site;

beforeAll(async () => {
  site = await Site.create({ hosts: ["web1", "web2"] });
});
afterAll(() => site?.[Symbol.asyncDispose]());
beforeEach((context) => site.reportWhenItFails(context));

test.concurrent("a network cut that nobody notices: TCP goes on where it was, and so does the job", async ({
  expect,
}) => {
  const web1 = site.machine("web1");
  const job = await site.start("web1", counting(150));
  const received = site.attempt("job", "receive", job, "--follow");
  await eventually(async () => (await printed(web1, job)) >= 20, { what: "the beginning of the output" });
  await web1.unplug();
  const atCut = await printed(web1, job);
  await eventually(async () => (await printed(web1, job)) >= atCut + 60, { what: "output behind the cut" });
  expect(await web1.run("outpost-agent", "job", "list")).toContain("running");
  await web1.plug();
  expect(await received).toMatchObject({ exitCode: 0, stdout: counted(150) });
});

test.concurrent("a long network cut: the host is unreachable, its job goes on, and who receives it gets every line once", async ({
  expect,
}) => {
  const web2 = site.machine("web2");
  const job = await site.start("web2", counting(800));
  const received = site.attempt("job", "receive", job, "--follow");
  await eventually(async () => (await printed(web2, job)) >= 20, { what: "the beginning of the output" });
  await web2.unplug();
  await site.unreachable("web2");
  const nowhere = await site.attempt("invoke", "web2", "--", "true");
  expect(nowhere.exitCode).toBe(254);
  expect(nowhere.stderr).toContain("web2: unreachable");
  expect(await site.outpost("job", "show", job)).toMatch(/unreachable since/);
  const atCut = await printed(web2, job);
  await eventually(async () => (await printed(web2, job)) > atCut, { what: "output behind the cut" });
  await web2.plug();
  await site.connected("web2");
  expect(await received).toMatchObject({ exitCode: 0, stdout: counted(800) });
}, 120_000);

/** How many lines a job has printed, as its host knows. */
async function printed(machine: Machine, job: string): Promise<number> {
  return Number(await machine.sh(`wc -l </var/lib/outpost-agent/jobs/${job}/stdout`));
}

test.concurrent("a disk full: the job that fills it is stopped, the agent stays, and goes on when there is room", async ({
  expect,
}) => {
  const directory = "/var/lib/outpost-agent";
  const small = await site.boot("small", { memoryFileSystems: { [directory]: "size=64m,mode=700" } });
  await site.installAgent(small, await site.token());
  await settings(small, { minFreeBytes: 16 * 1024 * 1024 });
  await site.connected("small");
  const pid = await small.mainPid("outpost-agent");

  const job = await site.start("small", "exec head -c 1000000000 /dev/zero");
  await site.attempt("job", "wait", job, "--timeout", "30s");
  const status = await site.status(job);
  expect(status.state).toBe("failed");
  expect(status.reason?.code).toBe("disk_full");
  expect(await site.outpost("job", "show", job)).toMatch(/disk/);

  // Stopped, it still takes more than the host may spare: it makes room, and who wants to read it is told.
  await eventually(
    async () => (await small.attempt("test", "-e", `${directory}/jobs/${job}`)).exitCode !== 0,
    {
      what: "room",
    },
  );
  const gone = await site.attempt("job", "receive", job);
  expect(gone.stdout).toBe("");
  expect(gone.stderr).toContain(`(0 to ${String(status.output.stdout.written)}) are missing: made room`);

  // Nothing fits any more, not even a record of the refusal.
  await small.attempt("sh", "-c", `head -c 100000000 /dev/zero >${directory}/full`);
  const refused = await site.attempt("invoke", "small", "--", "true");
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr).toMatch(/small: refused: .*disk/);
  expect(await site.outpost("host", "list", "small")).toMatch(/connected/);
  expect(await small.mainPid("outpost-agent")).toBe(pid);

  await small.sh(`rm ${directory}/full`);
  await site.outpost("job", "remove", job);
  expect(await site.outpost("invoke", "small", "--", "echo", "room again")).toBe("room again\n");
  expect(await small.run("outpost-agent", "audit", "verify")).toContain(
    "none was edited, taken out or put in",
  );
  expect(await small.mainPid("outpost-agent")).toBe(pid);
});

test("a controller that burnt down is restored from its backup: agents come back, and jobs can be received", async () => {
  const web1 = site.machine("web1");
  const folder = "/var/lib/outpost-controller";
  // An operator at another machine, whose identity no fire at the controller touches.
  await allow(site.controller, "ada");
  const bundle = (await site.outpost("operator", "add", "ada")).match(/outpost-signin1_\S+/)?.[0];
  await web1.run("outpost", "sign-in", bundle!);
  const job = (await web1.run("outpost", "job", "start", "web1", "-c", counting(100))).trim();

  await site.controller.run("systemctl", "stop", "outpost-controller");
  const backup = await site.controller.backUp(folder);
  await site.controller[Symbol.asyncDispose]();
  expect((await web1.attempt("outpost", "host", "list")).exitCode).not.toBe(0);

  const fresh = await site.boot("controller");
  await fresh.restore(backup, "/var/lib");
  await fresh.run("outpost", "controller", "install");
  await eventually(async () => /web1 +connected/.test(await web1.run("outpost", "host", "list")), {
    what: "web1's agent",
    withinMs: 60_000,
  });
  expect(await web1.run("outpost", "job", "receive", job, "--follow")).toBe(counted(100));
  expect(await web1.run("outpost", "invoke", "web1", "--", "hostname")).toBe("web1\n");
  expect(await web1.run("outpost", "audit", "verify")).toContain("none was edited, taken out or put in");
});

/** Lets an operator do everything, by the policy's file as an administrator edits it. */
async function allow(machine: Machine, operator: string): Promise<void> {
  await machine.sh(
    `printf '  - name: all for ${operator}\n    operators: [${operator}]\n    actions: ["*"]\n' >>/var/lib/outpost-controller/policy.yaml`,
  );
}

/** Edits agent.json and restarts the agent, as an administrator would. */
async function settings(machine: Machine, changes: Readonly<Record<string, number>>): Promise<void> {
  const file = "/var/lib/outpost-agent/agent.json";
  const config = JSON.parse(await machine.run("cat", file)) as { settings?: object };
  await machine.writeFile(file, JSON.stringify({ ...config, settings: { ...config.settings, ...changes } }));
  await machine.run("systemctl", "restart", "outpost-agent");
}
