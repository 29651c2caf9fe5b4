import { ErrorCode, newHostId, OutpostError } from "@outpost/protocol";
import { testOperators } from "@outpost/access/testing";
import { FakeClock } from "@outpost/protocol/testing";
import { pino } from "pino";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Credentials } from "./credentials.ts";
import { createIdentity } from "./identity.ts";
import { createIdentityAside } from "./identity-worker.ts";
import { Renewal } from "./renewal.ts";
import { TestAuthority } from "./testing/authority.ts";

const dayMs = 24 * 60 * 60 * 1000;
const host = newHostId();
let authority: TestAuthority;
let operators: string;
let clock: FakeClock;
let lines: { level: number; msg: string }[];
let written: Credentials[];
let trusted: string[];
let renewed: string[];
let renewal: Renewal;
/** What the controller does with a request. */
let answer: (request: string) => Promise<{ certificate: string; authority: string; operators: string }>;
let asked: number;

beforeAll(async () => {
  authority = await TestAuthority.create();
  operators = (await testOperators()).authority;
});

beforeEach(async () => {
  clock = new FakeClock();
  await clock.advance(Date.now() - clock.now());
  lines = [];
  written = [];
  trusted = [];
  renewed = [];
  asked = 0;
  answer = async (request) => ({
    // The clock of these tests is ahead of the authority's.
    certificate: await authority.issueHost(request, "web1", host, 200),
    authority: authority.certificate,
    operators,
  });
});
afterEach(() => {
  renewal[Symbol.dispose]();
  expect(clock.pending).toBe(0);
});

/** @param days how long its certificate is still valid; it began a day ago */
async function start(days: number, more: Partial<Credentials> = { operators }): Promise<void> {
  const { key, request } = await createIdentity("web1");
  const certificate = await authority.issueHost(request, "web1", host, days);
  renewal = new Renewal({
    host,
    name: "web1",
    credentials: { key, certificate, authority: authority.certificate, ...more },
    createIdentity,
    write: async (credentials) => void written.push(credentials),
    renewed: (message) => renewed.push(message),
    trusted: (pem) => trusted.push(pem),
    clock,
    log: pino({ level: "debug" }, { write: (line) => void lines.push(JSON.parse(line) as never) }),
    random: () => 0.5,
  });
}

const ask = (request: string): ReturnType<typeof answer> => {
  asked++;
  return answer(request);
};

/** Lets the time pass, and what is done in it. */
async function pass(ms: number): Promise<void> {
  const stepMs = 30 * 60_000;
  for (let left = ms; left > 0; left -= stepMs) {
    await clock.advance(Math.min(left, stepMs));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("renews at two thirds of the certificate's life, with a new key", async () => {
  await start(29); // of 30 days one has passed
  const before = renewal.credentials;
  renewal.connected(ask);
  await pass(18.9 * dayMs);
  expect(asked).toBe(0);
  await pass(0.2 * dayMs);
  await expect.poll(() => written.length).toBe(1);
  expect(renewal.credentials).toEqual(written[0]);
  expect(renewal.credentials.key).not.toBe(before.key);
  expect(renewed).toHaveLength(1);
  await pass(dayMs);
  expect(asked).toBe(1);
});

test("without a connection it waits for one, and says so loudly when less than a week is left", async () => {
  await start(29);
  await pass(21 * dayMs);
  expect(lines.filter(({ level }) => level >= 50)).toEqual([]);
  await pass(2 * dayMs);
  expect(lines.at(-1)).toMatchObject({
    level: 50,
    msg: expect.stringMatching(/EXPIRES IN 1\d\d HOURS and was not renewed \(there is no connection/),
  });
  renewal.connected(ask);
  await expect.poll(() => written.length).toBe(1);
});

test("told that it is outdated, it renews within half a minute; told again meanwhile, again", async () => {
  await start(29);
  const told = Promise.withResolvers<void>();
  const first = answer;
  answer = async (request) => {
    await told.promise;
    return first(request);
  };
  const unrenew = renewal.connected(ask);
  renewal.outdated();
  await clock.advance(14_999);
  expect(asked).toBe(0);
  await clock.advance(1);
  await expect.poll(() => asked).toBe(1);
  renewal.outdated();
  told.resolve();
  await expect.poll(() => written.length).toBe(1);
  await clock.advance(30_000);
  await expect.poll(() => written.length).toBe(2);
  unrenew();
});

test("the answer's authorities replace ours: an old CA leaves", async () => {
  const incoming = await TestAuthority.create();
  await start(29, { operators, authority: `${authority.certificate}\n${incoming.certificate}` });
  answer = async (request) => ({
    certificate: await incoming.issueHost(request, "web1", host),
    authority: incoming.certificate,
    operators,
  });
  renewal.connected(ask);
  renewal.outdated();
  await clock.advance(15_000);
  await expect.poll(() => written.length).toBe(1);
  expect(renewal.credentials.authority).toBe(incoming.certificate);
});

test("failures are tried again, ever more slowly, and leave everything as it was", async () => {
  await start(1.4); // due: more than two thirds of 2.4 days will have passed soon
  await pass(0.8 * dayMs);
  const before = renewal.credentials;
  const works = answer;
  answer = () => Promise.reject(new OutpostError(ErrorCode.busy, "too many"));
  const attempts: number[] = [];
  const unrenew = renewal.connected((request) => {
    attempts.push(clock.now());
    return ask(request);
  });
  for (let attempt = 1; attempt <= 9; attempt++) {
    await expect
      .poll(() => lines.filter(({ msg }) => msg.includes("was not renewed: too many")).length)
      .toBe(attempt);
    // Its next attempt is on the clock one turn later.
    await expect.poll(() => clock.pending).toBe(1);
    await clock.advance(Math.min(30_000 * 2 ** (attempt - 1), 60 * 60_000));
  }
  const waits = attempts.slice(1).map((at, index) => (at - attempts[index]!) / 1000);
  expect(waits.slice(0, 8)).toEqual([30, 60, 120, 240, 480, 960, 1920, 3600]);
  expect(renewal.credentials).toBe(before);
  expect(lines.some(({ level, msg }) => level === 50 && msg.includes("EXPIRES IN"))).toBe(true);
  answer = works;
  await clock.advance(60 * 60_000);
  await expect.poll(() => written.length).toBe(1);
  unrenew();
});

test.each([
  ["for another key", async () => authority.issueHost((await createIdentity("x")).request, "web1", host), {}],
  ["for another host", async (request: string) => authority.issueHost(request, "web1", newHostId()), {}],
  [
    "of a CA that is not beside it",
    async (request: string) => (await TestAuthority.create()).issueHost(request, "web1", host),
    {},
  ],
  ["that is none", async () => "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", {}],
  [
    "without any CA",
    async (request: string) => authority.issueHost(request, "web1", host),
    { authority: "" },
  ],
])("a certificate %s is not taken", async (_what, issue: (request: string) => Promise<string>, more) => {
  await start(29);
  const before = renewal.credentials;
  answer = async (request) => ({
    certificate: await issue(request),
    authority: authority.certificate,
    operators,
    ...more,
  });
  renewal.connected(ask);
  renewal.outdated();
  await clock.advance(15_000);
  await expect.poll(() => lines.some(({ msg }) => msg.includes("was not renewed"))).toBe(true);
  expect([renewal.credentials, written]).toEqual([before, []]);
});

test("operators that are known are known for ever; others are noticed, and not believed", async () => {
  await start(29);
  const others = (await testOperators()).authority;
  answer = async (request) => ({
    certificate: await authority.issueHost(request, "web1", host),
    authority: authority.certificate,
    operators: others,
  });
  renewal.connected(ask);
  renewal.outdated();
  await clock.advance(15_000);
  await expect.poll(() => written.length).toBe(1);
  expect(written[0]!.operators).toBe(operators);
  expect(trusted).toEqual([]);
  expect(lines.some(({ msg }) => msg.includes("other operators than this host knows"))).toBe(true);
});

test("a host that joined with an older agent takes its operators over once, as soon as it is connected", async () => {
  await start(29, {});
  renewal.connected(ask);
  await expect.poll(() => trusted).toEqual([operators]);
  expect(written[0]!.operators).toBe(operators);
  expect(
    lines.some(({ level, msg }) => level === 40 && msg.includes("obeys operators of the authority")),
  ).toBe(true);
});

test("several authorities of operators at once are not taken over", async () => {
  await start(29, {});
  const two = operators + (await testOperators()).authority;
  answer = async (request) => ({
    certificate: await authority.issueHost(request, "web1", host),
    authority: authority.certificate,
    operators: two,
  });
  const unrenew = renewal.connected(ask);
  await expect.poll(() => lines.some(({ msg }) => msg.includes("several authorities"))).toBe(true);
  expect([trusted, written]).toEqual([[], []]);
  unrenew();
});

test("the thread that makes a key ends, and the key is the request's", async () => {
  await start(29);
  const { key, request } = await createIdentityAside("web1");
  const certificate = await authority.issueHost(request, "web1", host);
  const { checkCertificate } = await import("./trust.ts");
  checkCertificate({ certificate, authority: authority.certificate }, key, host);
});
