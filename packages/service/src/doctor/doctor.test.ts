import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createTcp, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTls } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  type Check,
  clockAnswer,
  conclusion,
  examine,
  exitCodeOf,
  type Finding,
  findingText,
  isShown,
  lookAtDisk,
  lookAtHandshake,
  lookAtModes,
  lookAtName,
  lookAtPort,
  ok,
  problem,
  skipped,
  styleOf,
  warning,
} from "./index.ts";
import { certificates } from "./testing/certificates.ts";

async function all(checks: readonly Check[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const finding of examine(checks)) findings.push(finding);
  return findings;
}

describe("an examination", () => {
  test("what needs something that is wrong, or was not looked at, is not asked", async () => {
    const asked: string[] = [];
    const check = (name: string, needs: string[], answer = ok("fine")): Check => ({
      name,
      needs,
      look: () => (asked.push(name), answer),
    });
    const findings = await all([
      check("a", [], problem("broken", "mend it")),
      check("b", ["a"]),
      check("c", ["b"]),
      check("d", [], warning("odd", "look")),
      check("e", ["d"]),
      check("f", [], skipped("not here")),
      check("g", ["f"]),
    ]);
    expect(asked).toEqual(["a", "d", "e", "f"]);
    expect(findings.map(({ verdict }) => verdict).join(" ")).toBe(
      "problem skipped skipped warning ok skipped skipped",
    );
    expect(exitCodeOf(findings)).toBe(1);
    expect(conclusion(findings)).toBe(
      "1 problem, 1 warning; not looked at, as it needs what is wrong: b, c, g",
    );
    expect(findings.filter(isShown).map((found) => found.check)).toEqual(["a", "d", "e", "f"]);
  });

  test("warnings are no failure; a check that fails is one, and the others go on", async () => {
    expect(exitCodeOf(await all([{ name: "a", look: () => warning("odd", "look") }]))).toBe(0);
    const findings = await all([
      { name: "a", look: () => Promise.reject(new Error("no such thing")) },
      { name: "b", look: () => [ok("one"), problem("two", "mend it")] },
      { name: "c", needs: ["b"], look: () => ok("never") },
    ]);
    expect(findings).toMatchObject([
      { check: "a", verdict: "problem", message: "no such thing" },
      { check: "b", verdict: "ok" },
      { check: "b", verdict: "problem" },
      { check: "c", verdict: "skipped" },
    ]);
  });

  test("signs and colours are for terminals and for those who want them; what to do stands below", () => {
    const found = { check: "port", ...problem("nothing listens\nthere", "start it") };
    expect(findingText(found, styleOf(false, {}), 6)).toBe(
      "FAIL port    nothing listens\n             there\n             -> start it",
    );
    expect(styleOf(true, { NO_COLOR: "1" }).isPretty).toBe(false);
    expect(styleOf(true, { TERM: "dumb" }).isPretty).toBe(false);
    expect(findingText(found, styleOf(true, {}), 6)).toContain("✗");
  });
});

describe("clocks", () => {
  const tolerance = 300_000;
  test.each([
    [0, "ok"],
    [1_500, "ok"],
    [-10_000, "warning"],
    [299_000, "warning"],
    [301_000, "problem"],
    [-3_600_000, "problem"],
  ])("%i ms apart: %s", (offset, verdict) => {
    expect(clockAnswer(offset, tolerance, "the controller's").verdict).toBe(verdict);
  });

  test("who is behind is said the right way round", () => {
    expect(clockAnswer(60_000, tolerance, "the controller's").message).toContain(
      "60 s behind the controller's",
    );
    expect(clockAnswer(-60_000, tolerance, "the controller's").message).toContain("60 s ahead of");
  });
});

describe("files", () => {
  test("a key that others may read, a directory that others may write to", async () => {
    const directory = await mkdtemp(join(tmpdir(), "outpost-doctor-"));
    try {
      const [key, none] = [join(directory, "a.key"), join(directory, "none.key")];
      await writeFile(key, "", { mode: 0o600 });
      const look = () => lookAtModes({ directory, secrets: [key, none] });
      expect((await look()).verdict).toBe("ok");
      await chmod(key, 0o640);
      expect(await look()).toMatchObject({
        verdict: "problem",
        advice: expect.stringContaining(`chmod 600 ${key}`),
      });
      await chmod(key, 0o600);
      await chmod(directory, 0o777);
      expect(await look()).toMatchObject({ verdict: "problem", advice: `chmod 700 ${directory}` });
      expect((await lookAtDisk(directory)).verdict).not.toBe("skipped");
      expect((await lookAtDisk(directory, Number.MAX_SAFE_INTEGER)).verdict).toBe("problem");
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe("the way to a controller", () => {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  });
  async function listen(server: Server): Promise<number> {
    servers.push(server);
    server.on("connection", (socket: Socket) => {
      sockets.add(socket.on("error", () => {}));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }
  const at = (port: number, host = "127.0.0.1") => ({
    controller: `wss://${host}:${String(port)}`,
    elsewhere: "change it",
  });
  const shake = async (
    port: number,
    authority: string,
    host = "127.0.0.1",
  ): Promise<{ readonly verdict: string; readonly message: string; readonly advice?: string }> =>
    lookAtHandshake({ ...at(port, host), authority, otherAuthority: "join again" });

  test("names: an address is one, localhost is known, nonsense is not", async () => {
    expect((await lookAtName(at(1))).verdict).toBe("ok");
    expect((await lookAtName(at(1, "[::1]"))).message).toContain("::1 is an address");
    expect((await lookAtName(at(1, "localhost"))).verdict).toBe("ok");
    const answer = await lookAtName(at(1, "no-such-host.invalid"));
    expect(answer).toMatchObject({ verdict: "problem", advice: expect.stringContaining("change it") });
  });

  test("ports: what listens, and what does not", async () => {
    const port = await listen(createTcp());
    expect((await lookAtPort(at(port))).verdict).toBe("ok");
    const [server] = servers.splice(0);
    await new Promise((resolve) => server!.close(resolve));
    expect(await lookAtPort(at(port))).toMatchObject({
      verdict: "problem",
      advice: expect.stringContaining("outpost controller start"),
    });
  });

  test("another CA, an expired certificate, another name, no TLS: each is told apart, and what to do", async () => {
    const { authority, other, good, expired } = certificates();
    const serve = (credentials: { key: string; cert: string }): Promise<number> =>
      listen(createTls(credentials));
    const port = await serve(good);
    expect((await shake(port, authority)).verdict).toBe("ok");
    expect(await shake(port, other)).toMatchObject({ verdict: "problem", advice: "join again" });
    expect((await shake(port, other)).message).toContain("it shows: a certificate for");
    const named = await shake(port, authority, "localhost");
    expect(named.message).toContain("is for other names");
    expect(named.advice).toContain("a name that is in its certificate: change it");
    const late = await shake(await serve(expired), authority);
    expect(late.message).toContain("has expired");
    expect(late.advice).toContain("compare the clocks");
    const plain = await listen(createTcp((socket) => socket.end("220 mail.example.org\r\n")));
    const wrong = await shake(plain, authority);
    expect(wrong.message).toContain("does not speak TLS");
    expect(wrong.advice).toContain("openssl s_client");
  });
});
