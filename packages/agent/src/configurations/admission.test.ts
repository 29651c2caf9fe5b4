/** What depends on who the agent is; what happens to requests is shown with real processes, in jobs/ and session-host/. */
import { type JobSpec, type SessionSpec, UserName } from "@outpost/protocol";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { admitJob, admitSession, type Users } from "./admission.ts";
import { openConfiguration } from "./configuration.ts";
import { parseConfiguration } from "./configuration-file.ts";

const account = (name: string, uid: number): Users["own"] => ({
  name,
  uid,
  gid: uid,
  home: `/home/${name}`,
  shell: "/bin/sh",
});
const known = [account("root", 0), account("agent", 500), account("deploy", 501), account("toor", 0)];

function usersOf(own: string): Users {
  const find = (name: string): Users["own"] | undefined => known.find((each) => each.name === name);
  return { own: find(own)!, find, group: (name) => (name === "docker" ? 999 : undefined) };
}

const spec = (more: Partial<JobSpec> = {}): JobSpec => ({
  command: { kind: "exec", argv: ["id"] },
  env: {},
  input: { kind: "none" },
  ...more,
});

function admit(yaml: string, own: string, more: Partial<JobSpec> = {}): ReturnType<typeof admitJob> {
  const configuration = yaml === "" ? openConfiguration : parseConfiguration("x", yaml, "x.yaml");
  return admitJob(configuration, { spec: spec(more), operator: "ada" }, usersOf(own));
}

const user = (name: string): Partial<JobSpec> => ({ user: v.parse(UserName, name) });

describe("an agent that is not root", () => {
  test("runs things as its own user, also when that is named", () => {
    expect(admit("", "agent").runAs).toBeUndefined();
    expect(admit("user: agent", "agent").runAs).toBeUndefined();
    expect(admit("user: agent", "agent", user("agent")).runAs).toBeUndefined();
  });

  test("says that it cannot be anybody else, nor set groups", () => {
    expect(() => admit("user: deploy", "agent")).toThrow(
      /the agent runs as agent, and only one that runs as root can/,
    );
    expect(() => admit("users: [deploy]", "agent", user("deploy"))).toThrow(/only one that runs as root/);
    expect(() => admit("groups: [docker]", "agent")).toThrow(/can set groups/);
  });
});

describe("an agent that is root", () => {
  test("becomes the user, and is itself otherwise", () => {
    expect(admit("user: deploy", "root").runAs?.account.uid).toBe(501);
    expect(admit("user: root", "root").runAs).toBeUndefined();
    expect(admit("groups: [docker]", "root").runAs).toMatchObject({ account: { uid: 0 }, groups: [999] });
    expect(() => admit("groups: [nobody]", "root")).toThrow(/no group 'nobody'/);
  });

  test("takes another name of root for root", () => {
    expect(() => admit('user: deploy\nusers: ["*"]', "root", user("toor"))).toThrow(
      /root only where it is named/,
    );
    expect(() => admit('user: deploy\nusers: ["*"]', "root", user("agent"))).not.toThrow();
  });
});

test("what a configuration sets wins over what was asked for, and is not asked for", () => {
  expect(admit("env: { A: b }", "root", { env: { C: "d" } }).env).toEqual({ A: "b", C: "d" });
  expect(() => admit("env: { A: b }", "root", { env: { A: "d" } })).toThrow(/sets A itself/);
  expect(() => admit("acceptEnv: [B]", "root", { env: { C: "d" } })).toThrow(/only B may be set/);
  expect(() => admit("acceptEnv: []", "root", { env: { C: "d" } })).toThrow(/no variable may be set/);
});

test("a session of one program takes no variable and no directory by which that runs another one", () => {
  const open = (yaml: string, env: Record<string, string>, cwd?: string): ReturnType<typeof admitSession> => {
    const wanted: SessionSpec = {
      env,
      ...(cwd === undefined ? {} : { cwd }),
      columns: 80,
      rows: 24,
      record: false,
      temporary: false,
      onExit: "end",
    };
    const configuration = parseConfiguration("x", yaml, "x.yaml");
    return admitSession(configuration, { spec: wanted, operator: "ada" }, usersOf("root"));
  };
  const psql = "user: deploy\ncommand: [/usr/bin/psql, shop]\n";
  for (const name of ["LD_PRELOAD", "PATH", "EDITOR", "PYTHONSTARTUP", "PSQL_PAGER"]) {
    expect(() => open(psql, { [name]: "/tmp/evil" })).toThrow(/could be made to run something else/);
    expect(() => open(`${psql}acceptEnv: ["*"]`, { [name]: "/tmp/evil" })).toThrow(/something else/);
  }
  expect(() => open(psql, {}, "/tmp")).toThrow(/has a working directory of its own/);
  expect(open(`${psql}cwd: /srv\n`, {}, "/srv").cwd).toBe("/srv");
  expect(open(psql, { TERM: "xterm", LC_ALL: "C" }).env).toEqual({ TERM: "xterm", LC_ALL: "C" });
  // A shell runs anything as it is.
  expect(() => open("user: deploy", { EDITOR: "vi", PATH: "/opt/bin" })).not.toThrow();
});

test("only its operators use it", () => {
  expect(() => admit('operators: [eve, "ad?"]', "root")).not.toThrow();
  expect(() => admit("operators: [eve]", "root")).toThrow(/is not for ada/);
  expect(() => admit("operators: []", "root")).toThrow(/is not for ada/);
});
