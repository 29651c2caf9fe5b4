/**
 * Is docs/protocol.md enough to write an agent from? `agent.py` was, and is held here against our own end of the
 * protocol, frame by frame; controller.test.ts has it serve the real controller.
 */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { testOperators } from "@outpost/access/testing";
import { type JobId, type JobReadParams, type JobSpec, newJobId } from "@outpost/protocol";
import { beforeEach, describe, expect, test } from "vitest";
import { FakeController } from "../../packages/agent/src/testing/controller.ts";
import { signed, signing } from "../../packages/agent/src/testing/access.ts";
import type { FakeSession } from "../../packages/agent/src/testing/session.ts";
import { missing, PythonAgent } from "./python-agent.ts";

const why = missing();
beforeEach((context) => {
  if (why !== undefined) context.skip(`the contract with an agent in another language: ${why}`);
});

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const shell = (text: string): JobSpec => ({
  command: { kind: "shell", text },
  env: {},
  input: { kind: "none" },
});

function start(session: FakeSession, job: JobId, spec: JobSpec, inlineWaitMs = 5_000) {
  const expiresAt = Date.now() + 60_000;
  return session.peer.request("job.start", { job, spec, operator: "ann", expiresAt, inlineWaitMs });
}

/** Reads stdout; `greedy: false` never grants more than the first window. */
function read(session: FakeSession, params: JobReadParams, greedy = true, signal?: AbortSignal) {
  const got: Buffer[] = [];
  const answer = session.peer.request("job.read", params, {
    ...(signal === undefined ? {} : { signal }),
    onEvent(event) {
      if (event.event !== "read.opened") return;
      const { stream: number, offset } = event.params;
      const stream = session.peer.acceptStream(
        number,
        { offset, window: params.window },
        {
          chunk(at, bytes) {
            got.push(Buffer.from(bytes));
            if (greedy) stream.grant(at + bytes.byteLength + params.window);
          },
          end: () => {},
        },
      );
    },
  });
  return { got, answer, bytes: () => Buffer.concat(got) };
}

async function joined(controller: FakeController): Promise<PythonAgent> {
  const agent = await PythonAgent.create();
  expect(await agent.join(controller.url, controller.token(), "py1"), agent.said).toBe(0);
  return agent;
}

async function connected(controller: FakeController, agent: PythonAgent): Promise<FakeSession> {
  void agent.run();
  const session = await controller.session();
  await session.inventory;
  const { signer } = await controller.operators.add("ann");
  // As the session, but what needs a signature is signed by ann.
  return Object.create(session, { peer: { value: signing(session.peer, signer) } }) as FakeSession;
}

describe("frame by frame", () => {
  test("joins, and shows the token's secret only to the token's controller", async () => {
    await using controller = await FakeController.start();
    await using agent = await PythonAgent.create();
    const secret = randomBytes(24);
    expect(await agent.join(controller.url, controller.token(secret), "py1"), agent.said).toBe(0);
    expect(controller.enrolments).toMatchObject([{ name: "py1", secret: secret.toString("base64url") }]);
    await using other = await FakeController.start();
    await using careful = await PythonAgent.create();
    expect(await careful.join(other.url, controller.token(), "py2")).not.toBe(0);
    expect(other.enrolments).toEqual([]);
  });

  test("hello, inventory, ping, and what it does not know", async () => {
    await using controller = await FakeController.start();
    await using agent = await joined(controller);
    const session = await connected(controller, agent);
    expect(session.hello).toMatchObject({ software: "agent.py 0.3", facts: { platform: process.platform } });
    await expect(session.inventory).resolves.toEqual([]);
    await expect(session.peer.request("job.remove", { job: newJobId() })).rejects.toMatchObject({
      code: "method_not_found",
    });
    await expect(
      session.peer.request("job.stop", { job: newJobId(), operator: "ann" }),
    ).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("a short job's end and output come with the answer; its id starts it once", async () => {
    await using controller = await FakeController.start();
    await using agent = await joined(controller);
    const session = await connected(controller, agent);
    const job = newJobId();
    const spec: JobSpec = {
      command: {
        kind: "exec",
        argv: ["sh", "-c", 'printf "$1\\0"; printf %s "$GREETING" >&2; exit 3', "sh", "hé"],
      },
      env: { GREETING: "hello" },
      input: { kind: "none" },
    };
    const first = await start(session, job, spec);
    expect(first.status).toMatchObject({ state: "failed", exit: { code: 3 } });
    expect(Buffer.from(first.tail!.stdout!.bytes).toString()).toBe("hé\0");
    expect(Buffer.from(first.tail!.stderr!.bytes).toString()).toBe("hello");
    const again = await start(session, job, shell("echo something else"));
    expect(again).toMatchObject({ status: first.status });
    await expect.poll(() => session.changes.map(({ state }) => state)).toEqual(["failed"]);
  });

  test("megabytes, window by window, while another reader stands still", async () => {
    await using controller = await FakeController.start();
    await using agent = await joined(controller);
    const session = await connected(controller, agent);
    const job = newJobId();
    const { status } = await start(
      session,
      job,
      shell("i=0; while [ $i -lt 20000 ]; do echo line $i of many, many more; i=$((i+1)); done"),
      0,
    );
    expect(status.state).toBe("running");
    const params = { job, from: { stdout: 0 }, follow: true, window: 16_384 };
    const stalled = read(session, params, false);
    const whole = read(session, params);
    const { status: end } = await whole.answer;
    expect(end).toMatchObject({ state: "completed", exit: { code: 0 } });
    const expected = Buffer.from(
      Array.from({ length: 20_000 }, (_, index) => `line ${String(index)} of many, many more\n`).join(""),
    );
    expect(sha256(whole.bytes())).toBe(sha256(expected));
    expect(stalled.bytes().byteLength).toBe(16_384);
    // From the middle, as after a cut.
    const rest = read(session, { ...params, from: { stdout: 500_000 } });
    await rest.answer;
    expect(sha256(rest.bytes())).toBe(sha256(expected.subarray(500_000)));
    void stalled.answer.catch(() => {});
  });

  test("a cancelled read ends its streams, and the job goes on; a stop ends the job", async () => {
    await using controller = await FakeController.start();
    await using agent = await joined(controller);
    const session = await connected(controller, agent);
    const job = newJobId();
    await start(session, job, shell("echo begun; exec sleep 1000"), 0);
    const controllerOfRead = new AbortController();
    const reading = read(
      session,
      { job, from: { stdout: 0 }, follow: true, window: 16_384 },
      true,
      controllerOfRead.signal,
    );
    await expect.poll(() => reading.bytes().toString()).toBe("begun\n");
    controllerOfRead.abort();
    await expect(reading.answer).rejects.toMatchObject({ code: "cancelled" });
    const { jobs } = await session.peer.request("job.status", { jobs: [job, newJobId()] });
    expect(jobs).toMatchObject([{ job, state: "running", output: { stdout: { written: 6, received: 0 } } }]);
    await session.peer.request("job.acknowledge", { job, received: { stdout: 6 } });
    await session.peer.request("job.stop", { job, operator: "ann" });
    await expect
      .poll(() => session.changes.at(-1))
      .toMatchObject({
        state: "stopped",
        exit: { signal: "SIGTERM" },
        reason: { code: "stopped", by: "ann" },
        output: { stdout: { written: 6, received: 6 } },
      });
  });

  test("what cannot start, what came too late, what took too long", async () => {
    await using controller = await FakeController.start();
    await using agent = await joined(controller);
    const session = await connected(controller, agent);
    const exec = (argv: string[]): JobSpec => ({
      command: { kind: "exec", argv },
      env: {},
      input: { kind: "none" },
    });
    const none = await start(session, newJobId(), exec(["no-such-program"]));
    expect(none.status).toMatchObject({ state: "failed", reason: { code: "start_failed" } });
    const late = await session.peer.request("job.start", {
      job: newJobId(),
      spec: shell("touch ran"),
      operator: "ann",
      expiresAt: Date.now() - 1,
      inlineWaitMs: 0,
    });
    expect(late.status).toMatchObject({ state: "failed", reason: { code: "expired" } });
    const slow = await start(session, newJobId(), { ...shell("exec sleep 1000"), timeoutMs: 100 });
    expect(slow.status).toMatchObject({
      state: "failed",
      exit: { signal: "SIGKILL" },
      reason: { code: "timed_out" },
    });
  });

  test("does nothing for nobody: unsigned, altered, by strangers, for others", async () => {
    await using controller = await FakeController.start();
    await using agent = await joined(controller);
    void agent.run();
    const session = await controller.session();
    await session.inventory;
    const { signer } = await controller.operators.add("ann");
    const stranger = (await (await testOperators()).add("ann")).signer;
    const asked = {
      job: newJobId(),
      spec: shell("true"),
      operator: "ann",
      expiresAt: Date.now() + 60_000,
      inlineWaitMs: 0,
    };
    const good = signed(signer, "job.start", asked, { targets: "py*,role=db" });
    const flipped = Uint8Array.from(good.authorization!.signature);
    flipped[40]! ^= 1;
    const attempts = [
      asked,
      { ...good, spec: shell("false") },
      { ...good, collect: true },
      { ...good, job: newJobId() },
      { ...good, operator: "bob" },
      { ...good, authorization: { ...good.authorization!, signature: flipped } },
      signed(stranger, "job.start", asked),
      signed(signer, "job.start", asked, { targets: "web*,made-with=perl" }),
      signed(signer, "job.start", asked, { clock: { now: () => Date.now() - 3_600_000 } }),
    ];
    for (const params of attempts) {
      await expect(session.peer.request("job.start", params)).rejects.toMatchObject({ code: "denied" });
    }
    expect((await session.peer.request("job.status", { jobs: [asked.job] })).jobs).toEqual([]);
    expect((await session.peer.request("job.start", { ...good, inlineWaitMs: 5_000 })).status.state).toBe(
      "completed",
    );
    const label = signed(signer, "job.start", { ...asked, job: newJobId() }, { targets: "made-with=py*" });
    expect((await session.peer.request("job.start", label)).status.state).not.toBe("failed");
    await expect(
      session.peer.request("job.read", {
        job: asked.job,
        from: { stdout: 0 },
        follow: false,
        window: 16_384,
      }),
    ).rejects.toMatchObject({ code: "denied" });
  });

  test("is run again until it succeeds, or often enough; what has an input is not", async () => {
    await using controller = await FakeController.start();
    await using agent = await joined(controller);
    const session = await connected(controller, agent);
    const marks = join(agent.directory, "marks");
    const text = `echo run; printf x >> ${marks}; test $(wc -c < ${marks}) = 3`;
    const retry = { times: 5, delayMs: 10 };
    const well = await start(session, newJobId(), { ...shell(text), retry });
    expect(well.status).toMatchObject({ state: "completed", exit: { code: 0 }, attempts: 3 });
    expect(Buffer.from(well.tail!.stdout!.bytes).toString()).toBe("run\n".repeat(3));
    const badly = await start(session, newJobId(), { ...shell("exit 7"), retry: { times: 1, delayMs: 0 } });
    expect(badly.status).toMatchObject({ state: "failed", exit: { code: 7 }, attempts: 2 });
    const stopped = newJobId();
    await start(session, stopped, { ...shell("exit 7"), retry: { times: 1, delayMs: 60_000 } }, 0);
    await session.peer.request("job.stop", { job: stopped, operator: "ann" });
    await expect
      .poll(() => session.changes.findLast(({ job }) => job === stopped))
      .toMatchObject({ state: "stopped", attempts: 1 });
    const input = { kind: "inline", bytes: Buffer.from("x") } as const;
    await expect(start(session, newJobId(), { ...shell("cat"), retry, input })).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });

  test("after a restart it states what it holds", async () => {
    await using controller = await FakeController.start();
    await using agent = await joined(controller);
    const session = await connected(controller, agent);
    const [done, cut] = [newJobId(), newJobId()];
    await start(session, done, shell("echo kept"));
    await start(session, cut, shell("echo begun; sleep 2"), 0);
    agent.kill();
    await session.peer.closed;
    const next = await connected(controller, agent);
    const held = await next.inventory;
    expect(held).toHaveLength(2);
    expect(held.find(({ job }) => job === done)).toMatchObject({ state: "completed" });
    expect(held.find(({ job }) => job === cut)).toMatchObject({
      state: "lost",
      reason: { code: "wrapper_vanished" },
    });
    expect((await start(next, done, shell("echo again"))).status.state).toBe("completed");
  });
});
