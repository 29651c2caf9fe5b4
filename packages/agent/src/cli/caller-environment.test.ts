import { expect, test } from "vitest";
import { callerEnvironment, parseVariables } from "./caller-environment.ts";

const sessions = "/var/lib/outpost-agent/sessions";

test("what a shell has is passed, but for its terminal and the session that it sits in", () => {
  const shell = {
    HOME: "/root",
    LANG: "de_DE.UTF-8",
    OUTPOST_AGENT_DIR: "/var/lib/outpost-agent",
    OUTPOST_SESSION: "4k7m4k7m4k7m",
    TERM: "xterm",
    COLUMNS: "80",
    PWD: "/root",
    SHLVL: "2",
    ZDOTDIR: `${sessions}/4k7m4k7m4k7m/shell`,
    ENV: "/root/.shrc",
  };
  expect(callerEnvironment(shell, { LANG: "C", MORE: "" }, sessions)).toEqual({
    HOME: "/root",
    LANG: "C",
    OUTPOST_AGENT_DIR: "/var/lib/outpost-agent",
    ENV: "/root/.shrc",
    MORE: "",
  });
});

test("a value may hold =, and be empty", () => {
  expect(parseVariables(["A=b=c", "D="])).toEqual({ A: "b=c", D: "" });
  expect(() => parseVariables(["=x"])).toThrow('--env: "=x" is not KEY=VALUE');
});
