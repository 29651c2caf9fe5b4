/** An agent that knows nothing of our code, only docs/protocol.md, serves the real controller. */
import { createHash, createPrivateKey } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bound, type Signer, signerOf, signRequest } from "@outpost/access";
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
  const { authority, operator } = await initController({
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
  return { url, peer, signer };
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
