/** Standard input: from the operator into the spool, from there to every host. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type JobId, OutpostError } from "@outpost/protocol";
import { Bench, type OperatorClient, startParams, until } from "./testing/bench.ts";

const spec = {
  command: { kind: "exec" as const, argv: ["cat"] },
  env: {},
  input: { kind: "stream" as const },
};

/** Sends input from wherever the controller is. Stops before `stopAt`, if given; ends with `error`, if given. */
async function send(
  client: OperatorClient,
  job: JobId,
  input: Uint8Array,
  stopAt?: number,
  error?: OutpostError,
) {
  const stream = client.openStream();
  const ready = Promise.withResolvers<void>();
  const answer = client.request(
    "fanout.input",
    { job, stream: stream.number },
    {
      onEvent({ params }) {
        stream.begin(params.offset, params.window);
        ready.resolve();
      },
    },
  );
  answer.catch(() => {});
  await ready.promise;
  const end = stopAt ?? input.byteLength;
  while (stream.offset < end) {
    const room = Math.min(await stream.ready(), end - stream.offset, 10_000);
    stream.send(input.subarray(stream.offset, stream.offset + room));
  }
  if (stopAt === undefined) stream.end(error);
  return { answer, stream };
}

describe("standard input", () => {
  test("reaches every host, each from where it is, over cuts of both sides and our death", async () => {
    await using bench = await Bench.create(["web1", "web2"]);
    const client = await bench.client();
    const params = startParams("web*", { spec });
    const input = randomBytes(400_000);
    await client.request("fanout.start", params);
    await send(client, params.job, input, 150_000);
    await until(() => bench.agent("web1").jobs.get(params.job)?.input.byteLength === 150_000);
    await bench.cut("web2");
    await client.close("cut");
    await bench.kill();
    await bench.connect("web1");
    const again = await bench.client();
    const { answer } = await send(again, params.job, input);
    await expect(answer).resolves.toEqual({ size: input.byteLength });
    await bench.connect("web2");
    for (const agent of bench.agents.values()) {
      const job = agent.job(params.job);
      await until(() => job.isInputComplete, "the whole input");
      expect(job.input.equals(input)).toBe(true);
    }
  });

  test("that will never be complete ends with its error on the hosts", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = startParams("web1", { spec });
    await client.request("fanout.start", params);
    const error = new OutpostError("cancelled", "the producer died");
    const { answer } = await send(client, params.job, randomBytes(1_000), undefined, error);
    await expect(answer).rejects.toMatchObject({ message: "the producer died" });
    await until(() => bench.agent("web1").count("job.input") === 1);
    expect(bench.agent("web1").job(params.job).isInputComplete).toBe(false);
  });

  test("beyond the limit is refused, saying which limit", async () => {
    await using bench = await Bench.create(["web1"], { maxInputBytes: 5_000 });
    const client = await bench.client();
    const params = startParams("web1", { spec });
    await client.request("fanout.start", params);
    const { answer } = await send(client, params.job, randomBytes(9_000));
    await expect(answer).rejects.toMatchObject({
      code: "limit_exceeded",
      message: expect.stringContaining("maxInputBytes"),
    });
  });

  test("is a conflict for a job that takes none", async () => {
    await using bench = await Bench.create(["web1"]);
    const client = await bench.client();
    const params = startParams("web1");
    await client.request("fanout.start", params);
    const stream = client.openStream();
    await expect(
      client.request("fanout.input", { job: params.job, stream: stream.number }),
    ).rejects.toMatchObject({ code: "conflict" });
  });
});
