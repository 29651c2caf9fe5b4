import { expect, test } from "vitest";
import {
  agentMethods,
  controllerAgentMethods,
  Peer,
  supportedVersions,
  systemClock,
  newJobId,
  type JobStatus,
  OutpostError,
} from "./index.ts";
import { memoryLink } from "./memory.ts";

test("a smoke run: hello, a read with two streams and credit, the exit last", async () => {
  const { sockets } = memoryLink();
  const status = (job: JobStatus["job"]): JobStatus => ({
    job,
    state: "completed",
    output: { stdout: { written: 0, received: 0 }, stderr: { written: 0, received: 0 } },
  });
  const controller = new Peer(sockets[0], {
    local: controllerAgentMethods,
    remote: agentMethods,
    handlers: {
      hello: () => ({ version: 1, software: "x", maxMessageBytes: 1 << 20, name: "web1", time: Date.now() }),
      inventory: () => ({}),
      "job.changed": () => {},
    },
  });
  const nope = () => {
    throw new OutpostError("not_found", "no");
  };
  const agent = new Peer(sockets[1], {
    local: agentMethods,
    remote: controllerAgentMethods,
    handlers: {
      "job.start": nope,
      "job.acknowledge": nope,
      "job.status": nope,
      "job.stop": nope,
      "job.remove": nope,
      "job.input": nope,
      goodbye: () => {},
      async "job.read"(params, call) {
        const out = agent.openStream();
        call.emit("read.opened", { stream: out.number, name: "stdout", offset: 5_000_000_000 });
        out.begin(5_000_000_000, params.window);
        let left = 1_000_000;
        while (left > 0) {
          const n = Math.min(left, await out.ready(call.signal));
          out.send(new Uint8Array(n));
          left -= n;
        }
        out.end();
        return { status: status(params.job) };
      },
    },
  });
  const hello = await agent.request("hello", {
    versions: supportedVersions,
    software: "a",
    maxMessageBytes: 1 << 20,
  });
  expect(hello.name).toBe("web1");
  const job = newJobId();
  let got = 0;
  let ended = false;
  const result = await controller.request(
    "job.read",
    { job, from: { stdout: 0 }, follow: true, window: 16384 },
    {
      onEvent(e) {
        if (e.event !== "read.opened") return;
        const s = controller.acceptStream(
          e.params.stream,
          { offset: e.params.offset, window: 16384 },
          {
            chunk(offset, bytes) {
              got += bytes.length;
              s.grant(offset + bytes.length + 16384);
            },
            end() {
              ended = true;
            },
          },
        );
      },
    },
  );
  expect(result.status.job).toBe(job);
  expect(got).toBe(1_000_000);
  expect(ended).toBe(true);
  await expect(controller.request("job.status", { jobs: [] })).rejects.toMatchObject({ code: "not_found" });
  void systemClock;
  await agent.close("bye");
  expect((await controller.closed).message).toBe("bye");
});
