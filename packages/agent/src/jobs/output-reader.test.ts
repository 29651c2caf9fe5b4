import { createHash } from "node:crypto";
import { readFileSync, truncateSync } from "node:fs";
import { decodeTimeline, OutpostError } from "@outpost/protocol";
import { describe, expect, it } from "vitest";
import { background, openStore, readJob, shell, statusOf, until, untilEnded } from "../testing/job-store.ts";

const twoStreams =
  "for i in 1 2 3 4 5 6; do echo out $i; sleep 0.03; echo err $i >&2; sleep 0.03; done; head -c 17000 /dev/zero";

describe("reading while the job runs", () => {
  it("sends the streams in the order in which they grew, their ends, and only then the status", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, twoStreams);
    const reading = readJob(store.jobs, job, { from: { stdout: 0, stderr: 0, timeline: 0 } });
    const { status, tail } = await reading.result;
    expect(status.state).toBe("completed");
    expect(tail).toBeUndefined();
    const text = reading.events.flatMap((event) =>
      event.type === "chunk" && event.name !== "timeline" ? [event.bytes.toString()] : [],
    );
    const expected = [1, 2, 3, 4, 5, 6].map((i) => `out ${String(i)}\nerr ${String(i)}\n`).join("");
    expect(text.join("").replaceAll("\0", "")).toBe(expected);
    expect(reading.events.slice(-3).map(({ type }) => type)).toEqual(["end", "end", "end"]);
    const records = decodeTimeline(reading.bytes("timeline"));
    expect(records.at(-1)!.upTo).toBe(status.output.stdout.written);
    for (const { timeUs } of records) {
      expect(timeUs / 1000).toBeGreaterThan(status.startedAt! - 50);
      expect(timeUs / 1000).toBeLessThan(status.endedAt! + 50);
    }
  });

  it("restores the same order afterwards, from the timeline, and after a restart", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, twoStreams);
    const jobs = await store.reopen();
    const reading = readJob(jobs, status.job);
    await reading.result;
    const order = reading.events.flatMap((event) => (event.type === "chunk" ? [event.name] : []));
    expect(order.slice(0, 12).join()).toBe(Array.from({ length: 6 }, () => "stdout,stderr").join());
  });

  it("ends at what is there when it does not follow", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "echo here; sleep 60");
    await until(() => statusOf(store.jobs, job).output.stdout.written === 5);
    const reading = readJob(store.jobs, job, { follow: false });
    expect((await reading.result).status.state).toBe("running");
    expect(reading.bytes("stdout").toString()).toBe("here\n");
  });

  it("sees a line soon after it was written", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "while read -r line; do echo $line; done", {
      input: { kind: "stream" },
    });
    const reading = readJob(store.jobs, job, { from: { stdout: 0 } });
    const input = await store.jobs.input(job);
    await input.write(0, Buffer.from("hello\n"));
    await until(() => reading.bytes("stdout").toString() === "hello\n");
    await input.end();
    expect((await reading.result).status.state).toBe("completed");
  });

  it("resumes from offsets with no byte lost or doubled", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "head -c 30000000 /dev/urandom | tee /dev/stderr");
    const hashes = { stdout: createHash("sha256"), stderr: createHash("sha256") };
    const from = { stdout: 0, stderr: 0 };
    for (let round = 0; ; round++) {
      const controller = new AbortController();
      const reading = readJob(store.jobs, job, {
        from: { ...from },
        signal: controller.signal,
        window: 100_000,
      });
      const cut = setTimeout(() => controller.abort(), 10 + round * 3);
      const result = await reading.result.catch((error: unknown) => error);
      clearTimeout(cut);
      for (const name of ["stdout", "stderr"] as const) {
        const bytes = reading.bytes(name);
        hashes[name].update(bytes);
        from[name] += bytes.length;
      }
      if (!(result instanceof OutpostError)) break;
      expect(result.code).toBe("cancelled");
    }
    const local = createHash("sha256")
      .update(readFileSync(store.path(job, "stdout")))
      .digest("hex");
    expect(from).toEqual({ stdout: 30_000_000, stderr: 30_000_000 });
    expect(hashes.stdout.digest("hex")).toBe(local);
    expect(hashes.stderr.digest("hex")).toBe(local);
  });
});

describe("credit", () => {
  it("bounds what is sent, and a stream without it holds up no other", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero");
    const controller = new AbortController();
    const window = 65_536;
    const reading = readJob(store.jobs, status.job, {
      window,
      starved: ["stderr"],
      signal: controller.signal,
    });
    await until(() => reading.bytes("stdout").length === 300_000);
    expect(reading.bytes("stderr").length).toBe(window);
    reading.streams.get("stderr")!.credited(1_000_000);
    expect((await reading.result).status.state).toBe("completed");
    expect(reading.bytes("stderr").length).toBe(300_000);
  });

  it("may be nothing at first", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "echo out; echo err >&2");
    const reading = readJob(store.jobs, status.job, { window: 0 });
    await until(() => reading.streams.size === 2);
    expect(reading.bytes("stdout").length).toBe(0);
    for (const stream of reading.streams.values()) stream.credited(100);
    const { tail } = await reading.result;
    expect(tail).toBeUndefined();
    expect(reading.bytes("stdout").toString()).toBe("out\n");
    expect(reading.bytes("stderr").toString()).toBe("err\n");
  });

  it("that never comes does not outlive the connection", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "head -c 300000 /dev/zero");
    const reading = readJob(store.jobs, status.job, { window: 20_000, starved: ["stdout"] });
    await until(() => reading.bytes("stdout").length === 20_000);
    reading.streams.get("stdout")!.disconnected(new OutpostError("disconnected", "cut"));
    await expect(reading.result).rejects.toMatchObject({ code: "disconnected" });
  });
});

describe("what is missing", () => {
  it("is a gap: a file that somebody shortened", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "head -c 50000 /dev/zero");
    truncateSync(store.path(status.job, "stdout"), 20_000);
    const reading = readJob(store.jobs, status.job);
    await reading.result;
    expect(reading.bytes("stdout").length).toBe(20_000);
    expect(reading.events).toContainEqual({
      type: "gap",
      name: "stdout",
      gap: { from: 20_000, to: 50_000, reason: "truncated" },
    });
  });

  it("is a gap: a job that is removed while it is read", async () => {
    await using store = await openStore();
    const { status } = await shell(store.jobs, "head -c 50000 /dev/zero; head -c 50000 /dev/zero >&2");
    const reading = readJob(store.jobs, status.job, { window: 16_384, starved: ["stdout", "stderr"] });
    await until(() => reading.bytes("stdout").length === 16_384);
    await store.jobs.remove(status.job);
    for (const stream of reading.streams.values()) stream.credited(1_000_000);
    expect((await reading.result).status.removed).toBe(true);
    // What was open stays readable; the rest is announced as gone. Either way all of it is accounted for.
    for (const name of ["stdout", "stderr"] as const) {
      const gone = reading.events.flatMap((event) =>
        event.type === "gap" && event.name === name ? [event.gap] : [],
      );
      const missing = gone.reduce((sum, { from, to }) => sum + to - from, 0);
      expect(reading.bytes(name).length + missing).toBe(50_000);
    }
  });
});

describe("a slow reader", () => {
  it("costs the job nothing", async () => {
    await using store = await openStore();
    const job = await background(store.jobs, "head -c 20000000 /dev/zero");
    const controller = new AbortController();
    const reading = readJob(store.jobs, job, {
      window: 16_384,
      starved: ["stdout"],
      signal: controller.signal,
    });
    expect((await untilEnded(store.jobs, job)).output.stdout.written).toBe(20_000_000);
    expect(reading.bytes("stdout").length).toBeLessThanOrEqual(16_384);
    controller.abort();
    await expect(reading.result).rejects.toMatchObject({ code: "cancelled" });
  });
});
