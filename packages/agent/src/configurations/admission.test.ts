/** What depends on who the agent is; what happens to requests is shown with real processes, in jobs/ and session-host/. */
import { type JobSpec, UserName } from "@outpost/protocol";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { admitJob, type Users } from "./admission.ts";
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

test("only its operators use it", () => {
  expect(() => admit('operators: [eve, "ad?"]', "root")).not.toThrow();
  expect(() => admit("operators: [eve]", "root")).toThrow(/is not for ada/);
  expect(() => admit("operators: []", "root")).toThrow(/is not for ada/);
});
