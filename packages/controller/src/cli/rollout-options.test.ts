/** What the command line says of roll-outs, as the client is told it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readArguments } from "./arguments.ts";
import type { Given } from "./command.ts";
import { invoke } from "./commands/invoke.ts";
import { jobOptions, startOptions } from "./job-options.ts";
import type { GivenStart } from "./rerun-options.ts";
import { parseShare } from "./rollout-options.ts";

/** What `outpost invoke` makes of its arguments. */
async function given(...args: string[]): Promise<GivenStart> {
  const { positionals, given: texts, rest } = (await readArguments(invoke, args))!;
  const options = Object.fromEntries(
    Object.entries(jobOptions).map(([name, option]) => [name, option.read(texts.get(name) ?? [])]),
  ) as Given<typeof jobOptions>["options"];
  return startOptions("invoke", { positionals, options, rest });
}

const web = (...args: string[]): Promise<GivenStart> => given("web*", ...args, "-c", "true");

test("without any of them all hosts run it at once", async () => {
  const start = await web();
  expect(start).not.toHaveProperty("rollout");
  expect(start).not.toHaveProperty("check");
  expect(start).toMatchObject({ offline: "fail", expiresInMs: undefined });
});

test.each([
  [["--concurrency", "10"], { concurrency: { hosts: 10 } }],
  [["--concurrency", "12.5%"], { concurrency: { percent: 12.5 } }],
  [["--slow-start"], { slowStart: true }],
  [
    ["--canary", "1", "--batch", "25%", "--pause", "30s", "--confirm", "--max-failures", "0"],
    {
      canary: { hosts: 1 },
      batch: { percent: 25 },
      pauseMs: 30_000,
      confirm: true,
      maxFailures: { hosts: 0 },
    },
  ],
  [["--batch", "2", "--order", "random:42"], { batch: { hosts: 2 }, order: { kind: "random", seed: 42 } }],
  [["--check", "curl localhost"], {}],
] as const)("%j", async (args, expected) => {
  expect((await web(...args)).rollout).toEqual(expected);
});

test("a seed is drawn where none is given", async () => {
  const { rollout } = await web("--batch", "1", "--order", "random");
  expect(rollout?.order).toEqual({ kind: "random", seed: expect.any(Number) as number });
});

test("a check that says nothing is none: it would succeed everywhere", async () => {
  await expect(web("--check", " ")).rejects.toThrow("would succeed everywhere");
});

test("a check is shell text, run as the job itself", async () => {
  const { check } = await web("--check", "test -f ok", "--user", "shop", "--cwd", "/srv", "--timeout", "5s");
  expect(check).toMatchObject({
    command: { kind: "shell", text: "test -f ok" },
    user: "shop",
    cwd: "/srv",
    timeoutMs: 5_000,
  });
});

test("hosts that are offline, and retries", async () => {
  expect(await web("--offline", "queue", "--expires", "7d")).toMatchObject({
    offline: "queue",
    expiresInMs: 7 * 86_400_000,
  });
  expect((await web("--retry", "3", "--retry-delay", "10s")).retry).toEqual({ times: 3, delayMs: 10_000 });
});

describe("an earlier job again", () => {
  test("on the hosts of these kinds, narrowed or not, with its own command or another", async () => {
    const plain = await given("--rerun", "4k7m", "failed,not-begun");
    expect(plain).toMatchObject({ targets: undefined, command: undefined });
    expect(plain.rerun).toEqual({ job: "4k7m", kinds: new Set(["failed", "not-begun"]) });
    const other = await given("--rerun", "4k7m", "all", "web*", "--", "true");
    expect(other).toMatchObject({ targets: "web*", command: { kind: "exec", argv: ["true"] } });
  });

  test("its word is asked for, and must be one of those there are", async () => {
    await expect(given("--rerun", "4k7m")).rejects.toThrow(/^KIND is missing: with --rerun, which/);
    await expect(given("--rerun", "4k7m", "failed,sad")).rejects.toThrow(
      /"sad" is none of failed, timed-out/,
    );
    await expect(given("--rerun", "4k7m", "all", "--session", "s")).rejects.toThrow(/leave --session out/);
    await expect(given("--rerun", "4k7m", "all", "web1", "ls")).rejects.toThrow(
      /Did you mean: outpost invoke --rerun 4k7m all web1 -- ls$/,
    );
  });
});

test.each([
  [["--concurrency", "0"], /^is no host at all/],
  [["--batch", "0%"], /^is no host at all/],
  [["--canary", "110%"], /^is more than all hosts/],
  [["--batch", "some"], /is neither a number of hosts nor a percentage, e.g. 5 or 10%/],
  [["--max-failures", "-1"], /--max-failures/],
  [["--order", "backwards", "--batch", "1"], /^is neither name nor random/],
  [["--expires", "31d"], /is longer than 30d/],
  [["--expires", "1h"], /--expires is for hosts that are started later: with --offline queue/],
  [["--retry", "0"], /^is not a number from 1 to 100/],
  [["--retry-delay", "1s"], /--retry-delay is for --retry/],
  [["--retry-delay", "2d", "--retry", "1"], /is longer than 1d/],
  [["--confirm"], /--confirm comes between stages: .* with --batch or --canary/],
  [["--concurrency", "5", "--pause", "1s"], /--pause comes between stages/],
  [["--max-failures", "3"], /stops what has not begun, and all hosts begin at once: add --concurrency/],
  [["--order", "name"], /says whose turn comes first, and all hosts begin at once/],
  [["--session", "s", "--retry", "1"], /what runs in a session is not retried/],
] as const)("%j is refused with what to do", async (args, expected) => {
  await expect(web(...args)).rejects.toThrow(expected);
});

test("a share is what its digits say, and nothing else is one", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999_999_999 }), (hosts) => {
      expect(parseShare(String(hosts))).toEqual({ hosts });
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      let share;
      try {
        share = parseShare(text);
      } catch {
        return;
      }
      expect("hosts" in share ? String(share.hosts) : `${String(share.percent)}%`).toMatch(/^\d+(\.\d+)?%?$/);
      expect(text).toMatch(/^\d{1,9}$|^\d{1,3}(\.\d{1,6})?%$/);
    }),
  );
});
