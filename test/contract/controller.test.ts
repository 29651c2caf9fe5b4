/** An agent that knows nothing of our code, only docs/protocol.md, serves the real controller. */
import { createHash, createPrivateKey } from "node:crypto";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  realpath,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bound, type Signer, signerOf, signRequest } from "@outpost/access";
import { connect, type Context } from "@outpost/controller/client";
import { initController, startController } from "@outpost/controller/server";
import {
  type Action,
  type Authorization,
  controllerOperatorMethods,
  type FanOutDone,
  type JobSpec,
  limits,
  newJobId,
  type JobId,
  OperatorName,
  operatorMethods,
  type OutputName,
  Peer,
  supportedVersions,
  systemClock,
} from "@outpost/protocol";
import { dialWebSocket } from "@outpost/protocol/websocket";
import { pino } from "pino";
import * as v from "valibot";
import { beforeEach, expect, test } from "vitest";
import { missing, PythonAgent } from "./python-agent.ts";

const why = missing();
beforeEach((context) => {
  if (why !== undefined) context.skip(`the controller with an agent in another language: ${why}`);
});

type OperatorPeer = Peer<typeof operatorMethods, typeof controllerOperatorMethods>;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const shell = (text: string): JobSpec => ({
  command: { kind: "shell", text },
  env: {},
  input: { kind: "none" },
});

/** A controller in a directory of its own, and its first operator's connection. */
async function controllerWithOperator(resources: AsyncDisposableStack) {
  const directory = await mkdtemp(join(tmpdir(), "outpost-contract-"));
  resources.defer(() => rm(directory, { recursive: true, force: true }));
  const { authority, operator, operators } = await initController({
    directory,
    names: ["127.0.0.1"],
    operatorName: "ann",
  });
  const log = pino({ level: "silent" });
  const controller = resources.use(await startController({ directory, host: "127.0.0.1", port: 0, log }));
  const url = `wss://127.0.0.1:${String(controller.port)}`;
  const tls = { ca: authority, cert: operator.certificate, key: operator.key };
  const peer: OperatorPeer = new Peer(await dialWebSocket({ url: `${url}/operator`, tls }), {
    local: operatorMethods,
    remote: controllerOperatorMethods,
    handlers: { goodbye: () => {} },
  });
  resources.defer(() => peer.close("the test is over"));
  const { maxMessageBytes } = limits;
  await peer.request("hello", { versions: supportedVersions, software: "contract", maxMessageBytes });
  const name = v.parse(OperatorName, "ann");
  const signer = signerOf(name, operator.certificate, createPrivateKey(operator.key));
  const context: Context = {
    controller: url,
    name,
    certificate: operator.certificate,
    key: operator.key,
    authority,
    operators: operators.certificate,
  };
  return { url, peer, signer, context };
}

/** What ann signs for the hosts. */
function sign(signer: Signer, action: Action, job: JobId, bound: Bound): { authorization: Authorization } {
  const lifetimeMs = 60_000;
  return { authorization: signRequest(signer, { action, subject: job, bound, lifetimeMs }, systemClock) };
}

const starting = (spec: JobSpec): Bound => ({
  method: "job.start",
  spec,
  collect: false,
  secrets: undefined,
});

/** Starts a fan-out job on `py1` and receives it to its end. */
async function invoke(peer: OperatorPeer, signer: Signer, spec: JobSpec) {
  const job = newJobId();
  const asked = { job, targets: "py1", spec, mode: "keep", receiving: true } as const;
  await peer.request("fanout.start", { ...asked, ...sign(signer, "invoke", job, starting(spec)) });
  const output: Record<OutputName, Buffer[]> = { stdout: [], stderr: [] };
  let done: FanOutDone | undefined;
  const window = limits.defaultWindowBytes;
  await peer.request(
    "fanout.receive",
    {
      job,
      streams: ["stdout", "stderr"],
      follow: true,
      window,
      ...sign(signer, "job.read", job, { method: "job.read" }),
    },
    {
      onEvent(event) {
        if (event.event === "receive.done") done = event.params;
        if (event.event !== "receive.opened") return;
        const { stream: number, offset, name } = event.params;
        const stream = peer.acceptStream(
          number,
          { offset, window },
          {
            chunk(at, bytes) {
              output[name as OutputName].push(Buffer.from(bytes));
              stream.grant(at + bytes.byteLength + window);
            },
            end: () => {},
          },
        );
      },
    },
  );
  for (const name of ["stdout", "stderr"] as const)
    output[name].push(Buffer.from(done?.tail?.[name]?.bytes ?? []));
  const [stdout, stderr] = [Buffer.concat(output.stdout), Buffer.concat(output.stderr)];
  const received = { stdout: stdout.byteLength, stderr: stderr.byteLength };
  await peer.request("fanout.acknowledge", { job, received: { py1: received } });
  return { job, status: done?.info.status, stdout, stderr };
}

test("joined by a token, listed, run on, received, stopped", async () => {
  await using resources = new AsyncDisposableStack();
  const { url, peer, signer } = await controllerWithOperator(resources);
  const agent = resources.use(await PythonAgent.create());
  const { token } = await peer.request("token.create", { ttlMs: 60_000, uses: 1 });
  expect(await agent.join(url, token, "py1"), agent.said).toBe(0);
  void agent.run();
  const hosts = async () => (await peer.request("host.list", {})).hosts;
  await expect
    .poll(hosts)
    .toMatchObject([{ name: "py1", state: "connected", labels: { "made-with": "python" } }]);

  const short = await invoke(peer, signer, shell("echo out; echo err >&2; exit 7"));
  expect(short.status).toMatchObject({ state: "failed", exit: { code: 7 } });
  expect([short.stdout.toString(), short.stderr.toString()]).toEqual(["out\n", "err\n"]);

  const long = await invoke(peer, signer, shell("head -c 3000000 /dev/zero"));
  expect(long.status).toMatchObject({ state: "completed", exit: { code: 0 } });
  expect(sha256(long.stdout)).toBe(sha256(Buffer.alloc(3_000_000)));

  const job = newJobId();
  const spec = shell("exec sleep 1000");
  const asked = { job, targets: "py1", spec, mode: "keep", receiving: false } as const;
  await peer.request("fanout.start", { ...asked, ...sign(signer, "invoke", job, starting(spec)) });
  const state = async () => (await peer.request("fanout.show", { job })).jobs[0]?.status.state;
  await expect.poll(state).toBe("running");
  const unsigned = await peer.request("fanout.stop", { job });
  expect(unsigned.jobs).toMatchObject([{ status: { state: "running" }, refused: { code: "denied" } }]);
  const stopping = { method: "job.stop", graceMs: undefined } as const;
  await peer.request("fanout.stop", { job, ...sign(signer, "job.stop", job, stopping) });
  const { jobs } = await peer.request("fanout.wait", { job, any: false, timeoutMs: 10_000 });
  expect(jobs).toMatchObject([
    { host: "py1", status: { state: "stopped", reason: { code: "stopped", by: "ann" } } },
  ]);
});

test("files are copied there and back, and a job on it reads what is streamed", async () => {
  await using resources = new AsyncDisposableStack();
  const { url, peer, context } = await controllerWithOperator(resources);
  const agent = resources.use(await PythonAgent.create());
  const { token } = await peer.request("token.create", { ttlMs: 60_000, uses: 1 });
  expect(await agent.join(url, token, "py1"), agent.said).toBe(0);
  void agent.run();
  const state = async () => (await peer.request("host.list", {})).hosts[0]?.state;
  await expect.poll(state).toBe("connected");
  const client = resources.use(await connect({ context }));

  const folder = await realpath(await mkdtemp(join(tmpdir(), "outpost-contract-files-")));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  const content = Buffer.alloc(700_000, "0123456789abcdef-");
  await mkdir(join(folder, "site/a b/ü"), { recursive: true });
  await writeFile(join(folder, "site/large"), content);
  await writeFile(join(folder, "site/a b/ü/empty"), "");
  await chmod(join(folder, "site/large"), 0o640);
  await symlink("large", join(folder, "site/link"));
  await utimes(join(folder, "site/large"), 1_600_000_000, 1_600_000_000.5);
  await utimes(join(folder, "site"), 1_600_000_001, 1_600_000_001);

  const eventsOf = async (copy: Awaited<ReturnType<typeof client.copyTo>>): Promise<unknown[]> => {
    const events: unknown[] = [];
    for await (const event of copy.events()) events.push(event);
    return events;
  };
  const there = await eventsOf(
    await client.copyTo({ sources: [join(folder, "site")], targets: "py1", path: join(folder, "there/") }),
  );
  expect(there).toContainEqual(
    expect.objectContaining({ type: "exit", host: "py1", state: "completed", files: 2, bytes: 700_000 }),
  );
  const back = await eventsOf(
    await client.copyFrom({
      targets: "py1",
      paths: [join(folder, "there/s*"), join(folder, "there/none*")],
      directory: join(folder, "back"),
    }),
  );
  expect(back).toContainEqual(expect.objectContaining({ type: "exit", state: "failed", files: 2 }));
  expect(back).toContainEqual(expect.objectContaining({ type: "problem", host: "py1" }));
  for (const copied of [join(folder, "there/site"), join(folder, "back/py1/site")]) {
    expect(sha256(await readFile(join(copied, "large")))).toBe(sha256(content));
    expect((await lstat(join(copied, "large"))).mode & 0o7777).toBe(0o640);
    expect(Math.round((await lstat(join(copied, "large"))).mtimeMs)).toBe(1_600_000_000_500);
    expect((await lstat(copied)).mtimeMs).toBe(1_600_000_001_000);
    expect(await readlink(join(copied, "link"))).toBe("large");
    expect((await lstat(join(copied, "a b/ü/empty"))).size).toBe(0);
  }

  const job = await client.start({
    targets: "py1",
    command: { kind: "shell", text: "wc -c" },
    input: content,
  });
  let counted = "";
  for await (const event of job.receive({ follow: true })) {
    if (event.type === "out") counted += Buffer.from(event.bytes).toString();
  }
  expect(counted.trim()).toBe("700000");
});

test("a token that is used up is denied, and says so", async () => {
  await using resources = new AsyncDisposableStack();
  const { url, peer } = await controllerWithOperator(resources);
  const { token } = await peer.request("token.create", { ttlMs: 60_000, uses: 1 });
  const first = resources.use(await PythonAgent.create());
  expect(await first.join(url, token, "py1"), first.said).toBe(0);
  const second = resources.use(await PythonAgent.create());
  expect(await second.join(url, token, "py2")).not.toBe(0);
  expect(second.said).toContain("denied");
});
