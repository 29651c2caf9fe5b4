/** The commands about operators, hosts, tokens, policy and contexts, as a person runs them, against a controller that says what
 * the test wants. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initialPolicy } from "@outpost/access";
import {
  type AuditEntry,
  type AuditListParams,
  ErrorCode,
  type FanOutStartParams,
  type HostInfo,
  HostName,
  newHostId,
  newOperatorId,
  newTokenId,
  OutpostError,
  type PolicyExplainParams,
  type TokenCreateParams,
} from "@outpost/protocol";
import * as v from "valibot";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { writeContext } from "../client/context.ts";
import { TlsController } from "../client/testing/tls-controller.ts";

let controller: TlsController;
let home: string;
beforeAll(async () => void (controller = await TlsController.start()));
afterAll(() => controller[Symbol.asyncDispose]());

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "outpost-home-"));
  controller.handlers = {};
  controller.hello = {};
  controller.refusal = undefined;
  await writeContext(contextDirectory("prod"), await controller.context());
  await writeFile(join(root(), "current"), "prod\n");
});

afterEach(() => rm(home, { recursive: true }));

const root = (): string => join(home, ".config", "outpost");
const contextDirectory = (name: string): string => join(root(), "contexts", name);

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `outpost` for real. */
function outpost(
  args: readonly string[],
  more: { env?: NodeJS.ProcessEnv; input?: string } = {},
): Promise<Outcome> {
  const main = join(import.meta.dirname, "main.ts");
  const { OUTPOST_CONTEXT: _, OUTPOST_CONTEXT_DIR: __, ...inherited } = process.env;
  const env = { ...inherited, HOME: home, OUTPOST_CONTROLLER_DIR: join(home, "controller"), ...more.env };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ["--conditions=source", main, ...args],
      { env },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.on("error", () => {});
    child.stdin?.end(more.input);
  });
}

const hourMs = 3_600_000;

function host(name: string, more: Partial<HostInfo> = {}): HostInfo {
  return {
    id: newHostId(),
    name: v.parse(HostName, name),
    state: "connected",
    labels: {},
    enrolledAt: 0,
    certificateExpiresAt: Date.now() + 20 * 24 * hourMs,
    ...more,
  };
}

describe("host", () => {
  const quarantined = { quarantinedSince: Date.now() - 5 * 60_000 };

  test("list shows who waits in quarantine, and whose certificate ends soon", async () => {
    const ending = { certificateExpiresAt: Date.now() + 50 * hourMs };
    controller.handlers["host.list"] = () => ({
      hosts: [host("web1"), host("web2", quarantined), host("web3", ending)],
    });
    const { stdout } = await outpost(["host", "list"]);
    const [head, ...rows] = stdout.trimEnd().split("\n");
    expect(head).toMatch(/^NAME +STATE .*NOTE$/);
    expect(rows[0]).toMatch(/^web1 +connected/);
    expect(rows[1]).toMatch(/^web2 +quarantine .*waits for approval since 5 min/);
    expect(rows[2]).toMatch(/^web3 +connected .*certificate ends in 2 d/);
    controller.handlers["host.list"] = () => ({ hosts: [host("web1")] });
    expect((await outpost(["host", "list"])).stdout).not.toContain("NOTE");
  });

  test("approve: those that wait, by name or pattern", async () => {
    const asked: string[][] = [];
    controller.handlers["host.list"] = () => ({
      hosts: [host("web1"), host("web2", quarantined), host("web3", quarantined), host("db1", quarantined)],
    });
    controller.handlers["host.approve"] = ({ hosts }) => {
      asked.push(hosts);
      return { hosts: hosts.map((name) => host(name)) };
    };
    expect(await outpost(["host", "approve", "web*"])).toEqual({
      code: 0,
      stdout: "approved web[2-3]\n",
      stderr: "",
    });
    expect(await outpost(["host", "approve", "web1"])).toMatchObject({ stdout: "web1: not in quarantine\n" });
    expect(asked).toEqual([["web2", "web3"]]);
    const missing = await outpost(["host", "approve", "wbe2"]);
    expect(missing).toMatchObject({
      code: 252,
      stderr: expect.stringContaining("there is no host called wbe2"),
    });
    expect(missing.stderr).toContain("Did you mean web2");
  });

  test("remove asks, and where it cannot ask needs --yes", async () => {
    const asked: string[][] = [];
    controller.handlers["host.list"] = () => ({ hosts: [host("web1"), host("web2")] });
    controller.handlers["host.remove"] = ({ hosts }) => {
      asked.push(hosts);
      return { hosts: hosts.map((name) => host(name)) };
    };
    const refused = await outpost(["host", "remove", "web*"], { input: "y\n" });
    expect(refused).toMatchObject({ code: 251, stdout: "" });
    expect(refused.stderr).toContain("to remove web[1-2], say --yes");
    expect(asked).toEqual([]);
    expect(await outpost(["host", "remove", "web*", "--yes"])).toMatchObject({
      stdout: "removed web[1-2]\n",
      code: 0,
    });
    expect(asked).toEqual([["web1", "web2"]]);
  });
});

describe("token", () => {
  test("create fixes name and labels, and sends hosts to quarantine", async () => {
    const asked: TokenCreateParams[] = [];
    const token = `outpost2_${Buffer.concat([Buffer.alloc(32), controller.operatorsFingerprint, Buffer.alloc(24)]).toString("base64url")}`;
    controller.handlers["token.create"] = (params) => {
      asked.push(params);
      return { id: newTokenId(), token, expiresAt: 0, uses: params.uses };
    };
    expect(await outpost(["token", "create"])).toEqual({ code: 0, stdout: `${token}\n`, stderr: "" });
    await outpost([
      "token",
      "create",
      "--name",
      "db1",
      "--label",
      "role=db",
      "--label",
      "zone=a",
      "--approve",
      "--ttl",
      "5m",
    ]);
    expect(asked).toEqual([
      { ttlMs: hourMs, uses: 1 },
      { ttlMs: 300_000, uses: 1, name: "db1", labels: { role: "db", zone: "a" }, quarantine: true },
    ]);
    const twice = await outpost(["token", "create", "--name", "db1", "--uses", "2"]);
    expect(twice).toMatchObject({ code: 251, stderr: expect.stringContaining("--name is for one host") });
  });

  test("create shows no token that names other operators", async () => {
    const revoked: string[] = [];
    const token = `outpost2_${Buffer.alloc(88, 7).toString("base64url")}`;
    const about = {
      createdAt: 0,
      createdBy: "me",
      expiresAt: 0,
      uses: 1,
      used: 0,
      labels: {},
      quarantine: false,
    };
    controller.handlers["token.create"] = ({ uses }) => ({ id: newTokenId(), token, expiresAt: 0, uses });
    controller.handlers["token.revoke"] = ({ id }) => {
      revoked.push(id);
      return { token: { id, ...about } };
    };
    const { code, stdout, stderr } = await outpost(["token", "create", "--output", "json"]);
    expect(code).toBe(253);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "denied", data: { reason: "operators" } } });
    expect(stdout + stderr).not.toContain(token);
    expect(revoked).toHaveLength(1);
  });

  test("list and revoke", async () => {
    const id = newTokenId();
    const now = Date.now();
    const about = { id, createdAt: now, createdBy: "me", labels: { role: "db" }, quarantine: true };
    const usable = { ...about, expiresAt: now + 10 * hourMs, uses: 5, used: 2 };
    controller.handlers["token.list"] = () => ({
      tokens: [
        usable,
        { ...usable, used: 5 },
        { ...usable, expiresAt: now - 1 },
        { ...usable, revokedAt: now },
      ],
    });
    controller.handlers["token.revoke"] = () => ({ token: { ...usable, revokedAt: now } });
    const { stdout } = await outpost(["token", "list"]);
    const rows = stdout.trimEnd().split("\n").slice(1);
    expect(rows[0]).toMatch(new RegExp(`^${id} +usable, to quarantine +2 of 5 +in 9 h 59 min .*role=db$`));
    expect(rows.map((row) => row.split(/ {2,}/)[1])).toEqual([
      "usable, to quarantine",
      "used up",
      "expired",
      "revoked",
    ]);
    expect((await outpost(["token", "revoke", id])).stdout).toBe(
      `revoked ${id}; 2 hosts have enrolled with it\n`,
    );
    expect(await outpost(["token", "revoke", "not-an-id"])).toMatchObject({
      code: 251,
      stderr: expect.stringContaining("is not a token id"),
    });
  });
});

describe("operator, sign-in and context", () => {
  beforeEach(() => {
    controller.handlers["operator.add"] = ({ name, ttlMs }) => ({
      added: { id: newOperatorId(), name, state: "invited", createdAt: 0, invitedUntil: Date.now() + ttlMs },
    });
    controller.handlers["host.list"] = () => ({ hosts: [host("web1")] });
  });

  test("one operator makes another, who signs in and is in use; and back", async () => {
    const file = join(home, "ada.bundle");
    const added = await outpost(["operator", "add", "ada", "--file", file]);
    expect(added).toEqual({ code: 0, stdout: `wrote the bundle of ada to ${file}\n`, stderr: "" });
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const signedIn = await outpost(["sign-in", file]);
    expect(signedIn).toMatchObject({ code: 0, stderr: "" });
    expect(signedIn.stdout).toBe(
      `signed in as ada at ${controller.url}; the context 127.0.0.1 is in use. Back to prod: outpost context use prod\n`,
    );
    const list = await outpost(["context", "list", "--output", "json"]);
    expect(JSON.parse(list.stdout)).toMatchObject({
      contexts: [
        { name: "127.0.0.1", inUse: true, operator: "ada", holdsOperatorsKey: false },
        { name: "prod", inUse: false, operator: "me", holdsOperatorsKey: true },
      ],
    });
    expect(list.stdout).not.toContain("PRIVATE");
    expect((await outpost(["host", "list"])).code).toBe(0);

    const without = await outpost(["operator", "add", "bob"]);
    expect(without).toMatchObject({ code: 253, stderr: expect.stringContaining("operators.key") });
    const withProd = await outpost(["operator", "add", "bob"], { env: { OUTPOST_CONTEXT: "prod" } });
    expect(withProd.stdout).toMatch(/^outpost-signin1_[\w-]+\n$/);

    expect((await outpost(["context", "use", "prod"])).stdout).toBe("prod is in use from now on\n");
    expect(await readFile(join(root(), "current"), "utf8")).toBe("prod\n");
  });

  test("a bundle from standard input, into a context of another name, or a folder", async () => {
    const bundle = (await outpost(["operator", "add", "ada"])).stdout;
    const named = await outpost(["sign-in", "-", "--context", "work", "--output", "json"], { input: bundle });
    expect(JSON.parse(named.stdout)).toMatchObject({
      operator: "ada",
      context: "work",
      directory: contextDirectory("work"),
    });
    const again = (
      await outpost(["operator", "add", "bob"], { env: { OUTPOST_CONTEXT: "prod" } })
    ).stdout.trim();
    const folder = join(home, "folder");
    const fixed = await outpost(["sign-in", again], { env: { OUTPOST_CONTEXT_DIR: folder } });
    expect(fixed.stdout).toBe(`signed in as bob at ${controller.url}; the context is in ${folder}\n`);
    expect(await readFile(join(root(), "current"), "utf8")).toBe("work\n");
  });

  test.each<[string[], RegExp]>([
    [["sign-in", "nowhere.bundle"], /nowhere\.bundle is no bundle, and as a file it is not there/],
    [["sign-in", "outpost-signin1_abc"], /the sign-in bundle is damaged/],
    [["sign-in", "-"], /this is no sign-in bundle/],
    [["context", "use", "nope"], /there is no context called nope; there are: prod/],
    [["operator", "add", "not a name"], /is not an operator's name/],
  ])("%j says what is wrong", async (args, message) => {
    const { code, stderr, stdout } = await outpost(args, { input: "nothing" });
    expect(stderr).toMatch(message);
    expect(code).not.toBe(0);
    expect(stdout).toBe("");
  });

  test("a bundle's file that cannot be made: nobody is added", async () => {
    let asked = false;
    controller.handlers["operator.add"] = () => {
      asked = true;
      throw new Error("asked");
    };
    const { stderr } = await outpost(["operator", "add", "ada", "--file", join(home, "no", "where")]);
    expect(stderr).toContain("cannot be written (ENOENT)");
    expect(asked).toBe(false);
  });

  test("list and remove", async () => {
    const now = Date.now();
    const about = { id: newOperatorId(), createdAt: now - 2 * hourMs };
    controller.handlers["operator.list"] = () => ({
      operators: [
        { ...about, name: "ada", state: "active", key: "ab".repeat(32), lastSeen: now },
        { ...about, name: "bob", state: "invited", invitedUntil: now + hourMs - 1 },
        { ...about, name: "eve", state: "invited", invitedUntil: now - 1 },
      ] as never,
    });
    const { stdout } = await outpost(["operator", "list"]);
    const cells = stdout
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((row) => row.split(/ {2,}/));
    expect(cells).toEqual([
      ["ada", "active", "2 h ago", "now", "ab".repeat(8)],
      ["bob", expect.stringMatching(/^invited, for 59 min/), "2 h ago", "never", "-"],
      ["eve", "invitation expired", "2 h ago", "never", "-"],
    ]);
    controller.handlers["operator.remove"] = ({ name }) => ({ removed: { ...about, name, state: "active" } });
    expect((await outpost(["operator", "remove", "ada"])).stderr).toContain("to remove ada, say --yes");
    expect((await outpost(["operator", "remove", "ada", "--yes"])).stdout).toBe("removed ada\n");
  });

  test("context show, and remove: the key of the operators' authority is not forgotten unasked", async () => {
    const shown = await outpost(["context", "show"]);
    expect(shown.stdout).toMatch(/context +prod\n/);
    expect(shown.stdout).toMatch(/certificate +ends in 36\d d/);
    const fingerprint = controller.operatorsFingerprint.toString("hex").toUpperCase().match(/../g)!.join(":");
    expect(shown.stdout).toContain(fingerprint);
    const json = await outpost(["context", "show", "--output", "json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      operators: controller.operatorsFingerprint.toString("hex"),
    });
    expect(shown.stdout).not.toContain("PRIVATE");
    const kept = await outpost(["context", "remove", "prod"]);
    expect(kept).toMatchObject({ code: 251, stderr: expect.stringContaining("say --yes") });
    const removed = await outpost(["context", "remove", "prod", "--yes"]);
    expect(removed).toMatchObject({
      code: 0,
      stdout: "removed prod\n",
      stderr: expect.stringContaining("it was in use"),
    });
    const none = await outpost(["host", "list"]);
    expect(none.stderr).toMatch(/there is no operator's context in .*outpost sign-in, with a bundle/);
  });

  test("a context of 0.1, where it used to be", async () => {
    await rm(root(), { recursive: true });
    await mkdir(root(), { recursive: true });
    await writeFile(join(root(), "context.json"), '{"controller":"wss://x:7443","name":"me"}');
    const { code, stderr } = await outpost(["host", "list"]);
    expect(code).toBe(252);
    expect(stderr).toMatch(/holds a context of Outpost 0\.1.*sign in anew/);
  });

  test("somebody who was removed hears why, and what to do", async () => {
    controller.refusal = "the operator me was removed by ada on 2026-03-01";
    const { code, stderr } = await outpost(["host", "list"]);
    expect(code).toBe(253);
    expect(stderr).toMatch(/was removed by ada on 2026-03-01; if that was not meant, .*outpost sign-in\n$/);
  });
});

describe("policy", () => {
  test("check finds nothing wrong in a new controller's, and says where something is", async () => {
    const file = join(home, "policy.yaml");
    await writeFile(file, initialPolicy("me"));
    expect(await outpost(["policy", "check", file])).toEqual({
      code: 0,
      stdout: `${file}: nothing is wrong\n`,
      stderr: "",
    });
    await writeFile(file, "rules:\n  - name: a\n    operators: [me]\n    actions: [invok]\n");
    const wrong = await outpost(["policy", "check", file]);
    expect(wrong.code).toBe(1);
    expect(wrong.stdout).toMatch(new RegExp(`^${file}:4:\\d+: .*invok`));
    const json = await outpost(["policy", "check", file, "--output", "json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ file, problems: [{ line: 4 }] });
  });

  test("check without a file looks in the controller's directory; needs no context", async () => {
    await rm(root(), { recursive: true });
    const missing = await outpost(["policy", "check"]);
    expect(missing).toMatchObject({ code: 252, stderr: expect.stringContaining("policy.yaml is not there") });
    await mkdir(join(home, "controller"));
    await writeFile(join(home, "controller", "policy.yaml"), initialPolicy("me"));
    expect((await outpost(["policy", "check"])).code).toBe(0);
    expect((await outpost(["policy", "check", "-"], { input: initialPolicy("me") })).stdout).toBe(
      "standard input: nothing is wrong\n",
    );
  });

  test("show gives the text, and says when the file's is not in force", async () => {
    const policy = { text: "rules: []\n", file: "/x/policy.yaml", loadedAt: 0 };
    controller.handlers["policy.show"] = () => ({ ...policy, problem: "line 3: no such action" });
    expect(await outpost(["policy", "show"])).toEqual({
      code: 0,
      stdout: "rules: []\n",
      stderr: "outpost: what is in /x/policy.yaml now is not in force: line 3: no such action\n",
    });
  });

  test("explain says who may what where, and which rule decides", async () => {
    const asked: PolicyExplainParams[] = [];
    controller.handlers["policy.explain"] = (params) => {
      asked.push(params);
      return {
        decisions: [
          {
            host: host("web1").name,
            allowed: true,
            rule: "deployers",
            reason: "the rule deployers allows invoke",
          },
          { host: host("db1").name, allowed: false, rule: "default", reason: "no rule allows it" },
        ],
        rules: [{ rule: "deployers", says: "allows invoke on role=web" }],
      };
    };
    const args = [
      "policy",
      "explain",
      "ada",
      "invoke",
      "web1,db1",
      "--configuration",
      "ops",
      "--user",
      "deploy",
    ];
    const { stdout } = await outpost([...args, "--owner", "grace"]);
    expect(stdout).toBe(
      [
        "HOST  DECISION  RULE       WHY",
        "web1  allowed   deployers  the rule deployers allows invoke",
        "db1   denied    default    no rule allows it",
        "",
        "RULE       SAYS",
        "deployers  allows invoke on role=web",
        "",
      ].join("\n"),
    );
    expect(asked).toEqual([
      {
        as: "ada",
        action: "invoke",
        targets: "web1,db1",
        configuration: "ops",
        user: "deploy",
        owner: "grace",
      },
    ]);
    const typo = await outpost(["policy", "explain", "ada", "invoek"]);
    expect(typo).toMatchObject({ code: 251, stderr: expect.stringContaining("did you mean invoke?") });
  });
});

describe("audit", () => {
  const entries = Array.from({ length: 2_500 }, (_, index): AuditEntry => ({
    sequence: index + 1,
    time: Date.UTC(2026, 0, 1) + index,
    kind: "request",
    action: "invoke",
    operator: "ada",
    hosts: ["web1", "web2", "web3", "web4"],
    decision: index % 2 === 0 ? "allowed" : "denied",
    rule: "deployers",
    what: `echo ${String(index + 1)}`,
    previous: "",
  }));

  test("list asks for what is wanted, page by page", async () => {
    const asked: AuditListParams[] = [];
    controller.handlers["audit.list"] = (params) => {
      asked.push(params);
      const { before = Infinity, newest = 200 } = params;
      const found = entries.filter(({ sequence }) => sequence < before);
      return { entries: found.slice(-newest), more: found.length > newest };
    };
    const list = ["audit", "list"];
    const filters = [
      "--host",
      "web1",
      "--operator",
      "ada",
      "--denied",
      "--action",
      "job.*",
      "--subject",
      "x",
    ];
    const { stdout, stderr } = await outpost([
      ...list,
      ...filters,
      "--newest",
      "2",
      "--since",
      "2026-01-01T00:00Z",
    ]);
    expect(asked[0]).toEqual({
      host: "web1",
      by: "ada",
      decision: "denied",
      action: "job.*",
      subject: "x",
      since: Date.UTC(2026, 0, 1),
      newest: 2,
    });
    const rows = stdout.trimEnd().split("\n");
    expect(rows).toHaveLength(3);
    expect(rows[2]).toMatch(/^2500 .*ada +invoke +web1,web2 \+2 .*denied +deployers +echo 2500$/);
    expect(stderr).toContain("there are older ones");

    asked.length = 0;
    const many = await outpost([...list, "--newest", "2200", "--output", "ndjson"]);
    const sequences = many.stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as AuditEntry).sequence);
    expect(sequences).toEqual(Array.from({ length: 2_200 }, (_, index) => index + 301));
    expect(asked.map(({ newest, before }) => [newest, before])).toEqual([
      [1_000, undefined],
      [1_000, 1_501],
      [200, 501],
    ]);
  });

  test("verify: what is wrong is the exit code", async () => {
    const found = { entries: 7, first: 3, last: 9, head: "abc", problems: [] };
    controller.handlers["audit.verify"] = () => found;
    const good = await outpost(["audit", "verify"]);
    expect(good).toMatchObject({
      code: 0,
      stdout: "7 lines, #3 to #9: none was edited, taken out or put in\nhead: abc\n",
    });
    const problem = { file: "audit.ndjson", line: 4, message: "was edited" };
    controller.handlers["audit.verify"] = () => ({ ...found, problems: [problem] });
    const bad = await outpost(["audit", "verify"]);
    expect(bad).toMatchObject({
      code: 1,
      stdout: "audit.ndjson:4: was edited\n7 lines, #3 to #9: one problem\n",
    });
  });
});

describe("authority", () => {
  const authorities = [
    { fingerprint: "aa", state: "current", expiresAt: Date.now() + 49 * hourMs },
    { fingerprint: "bb", state: "incoming", expiresAt: Date.now() + 49 * hourMs },
  ] as const;

  test("show says whether the operators' authority is ours, and who is waited for", async () => {
    const ours = controller.operatorsFingerprint.toString("hex");
    const waiting = [host("web1").name];
    controller.handlers["authority.show"] = () => ({
      authorities: [...authorities],
      operators: ours,
      waiting,
    });
    const { stdout } = await outpost(["authority", "show"]);
    expect(stdout).toContain("the one that this context knows");
    expect(stdout).toContain("waiting for web1; then: outpost authority rotate finish");
    controller.handlers["authority.show"] = () => ({
      authorities: [authorities[0]],
      operators: "00",
      waiting: [],
    });
    expect((await outpost(["authority", "show"])).stdout).toContain("NOT the one that this context knows");
  });

  test("rotate takes its steps", async () => {
    const asked: unknown[] = [];
    controller.handlers["authority.rotate"] = (params) => {
      asked.push(params);
      return { authorities: [...authorities], operators: "00", waiting: [] };
    };
    expect((await outpost(["authority", "rotate", "begin"])).code).toBe(0);
    expect((await outpost(["authority", "rotate", "finish", "--force"])).code).toBe(0);
    expect(asked).toEqual([
      { step: "begin", force: false },
      { step: "finish", force: true },
    ]);
    expect((await outpost(["authority", "rotate", "finnish"])).code).toBe(251);
    expect((await outpost(["authority", "rotate", "begin", "--force"])).code).toBe(251);
  });
});

describe("secrets", () => {
  const starts: FanOutStartParams[] = [];
  beforeEach(() => {
    starts.length = 0;
    controller.handlers["fanout.start"] = (params) => {
      starts.push(params);
      throw new OutpostError(
        ErrorCode.denied,
        "me is not allowed invoke on web1: no rule allows it; `outpost policy explain me invoke web1` shows how that is decided",
      );
    };
  });

  test("come from our environment and from files, beside the spec, and nothing shows them", async () => {
    const file = join(home, "cert.pem");
    await writeFile(file, "pem-hunter3");
    const args = [
      "invoke",
      "web1",
      "--env-secret",
      "TOKEN",
      "--secret-file",
      `CERT=${file}`,
      "--output",
      "json",
    ];
    const options = ["--configuration", "ops", "--user", "deploy"];
    const { code, stdout, stderr } = await outpost([...args, ...options, "--", "true"], {
      env: { TOKEN: "hunter2" },
    });
    expect(code).toBe(253);
    expect(stderr).toMatch(
      /^outpost: me is not allowed invoke on web1: .*outpost policy explain.*decided\n$/,
    );
    expect(stdout + stderr).not.toMatch(/hunter/);
    const [{ secrets, spec }] = starts as [FanOutStartParams];
    expect(secrets).toMatchObject({ env: { TOKEN: "hunter2" } });
    expect(Buffer.from(secrets!.files["CERT"]!).toString()).toBe("pem-hunter3");
    expect(JSON.stringify(spec)).not.toMatch(/hunter/);
    expect(spec).toMatchObject({ configuration: "ops", user: "deploy", env: {} });
  });

  test.each<[string[], string]>([
    [["--env-secret", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set in our environment"],
    [["--env-secret", "TOKEN=hunter2"], "what was given is not a variable's name alone"],
    [["--env-secret=TOKEN=hunter2"], "what was given is not a variable's name alone"],
    [["--secret-file", "/etc/passwd"], "is not NAME=PATH"],
    [["--secret-file", "A=/nowhere/at/all"], "/nowhere/at/all is not there"],
    [["--session", "x", "--env-secret", "HOME"], "a session's shell would keep the secrets"],
    [["--session", "x", "--user", "root"], "a session has its own configuration and user"],
  ])("%j is wrong usage, and shows none", async (args, message) => {
    const targets = args[0] === "--session" ? [] : ["web1"];
    const { code, stdout, stderr } = await outpost(["job", "start", ...targets, ...args, "--", "true"]);
    expect(stderr).toContain(message);
    expect(code).toBe(251);
    expect(stdout + stderr).not.toContain("hunter2");
    expect(starts).toEqual([]);
  });
});

describe("completion", () => {
  test("of operators, tokens, contexts and actions; what cannot be typed is left out", async () => {
    const id = newTokenId();
    controller.handlers["operator.list"] = () => ({
      operators: [{ id: newOperatorId(), name: "ada", state: "active", createdAt: 0 } as never],
    });
    controller.handlers["token.list"] = () => ({
      tokens: [
        {
          id,
          createdAt: 0,
          createdBy: "m\u001b[2Je",
          expiresAt: 0,
          uses: 1,
          used: 0,
          labels: {},
          quarantine: false,
        },
      ],
    });
    controller.handlers["host.list"] = () => ({
      hosts: [host("web1", { labels: { role: "web\u001b[2J", zone: "a", owner: "$(touch pwned)" } })],
    });
    const words = async (...args: string[]): Promise<string> =>
      (await outpost(["__complete", "--", ...args])).stdout;
    expect(await words("operator", "remove", "")).toContain("ada\tactive\n");
    expect(await words("token", "revoke", "")).toBe(`${id}\tby m�[2Je\n--help\tShow help\n`.split("--")[0]);
    expect(await words("context", "use", "")).toContain(`prod\tme at ${controller.url}\n`);
    expect(await words("policy", "explain", "ada", "job.")).toBe("job.read\njob.stop\njob.remove\n");
    const hosts = await words("host", "approve", "");
    expect(hosts).toContain("zone=a");
    expect(hosts).not.toContain("\u001b");
    // Bash puts it on the line as it is, and runs it when the line is entered.
    expect(hosts).not.toContain("$(");
  });
});
