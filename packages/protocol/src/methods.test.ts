import { describe, expect, test } from "vitest";
import * as methods from "./methods.ts";
import { supportedVersions } from "./version.ts";

const maps = Object.entries(methods) as [string, methods.MethodMap][];
const all = maps.flatMap(([map, entries]) =>
  Object.entries(entries).map(([name, definition]) => ({ name: `${map} ${name}`, definition })),
);
const fields = (schema: unknown): string[] =>
  Object.keys((schema as { entries?: object } | null)?.entries ?? {});

test.each(all)("$name: a version that we speak, and what the wire needs", ({ definition }) => {
  const { since, params, result, events = {} } = definition;
  expect(since).toBeGreaterThanOrEqual(supportedVersions.min);
  expect(since).toBeLessThanOrEqual(supportedVersions.max);
  expect(params.type).toBe("object");
  // Nothing can be said about a request that has no answer.
  if (result === null) expect(events).toEqual({});
  else expect(result.type).toBe("object");
  // An event is told from a notification by `request` alone, which the peer adds.
  const told = result === null ? [params] : Object.values(events);
  for (const schema of told) expect(fields(schema)).not.toContain("request");
});

describe("sessions", () => {
  const shared = Object.keys(methods.sessionMethods) as (keyof typeof methods.sessionMethods)[];

  test.each(shared)("%s is the same at the agent and at the session host: the agent passes it on", (name) => {
    expect(methods.agentMethods[name]).toBe(methods.sessionMethods[name]);
    expect(methods.sessionHostMethods[name]).toBe(methods.sessionMethods[name]);
  });

  test("an operator says on which host, and never who it is", () => {
    for (const name of ["attach", "resize", "role", "acknowledge", "read"] as const) {
      const [ofHost, ofOperator] = [
        fields(methods.sessionMethods[`session.${name}`].params),
        fields(methods.controllerOperatorMethods[`session.${name}`].params),
      ];
      expect(ofOperator.toSorted()).toEqual(
        [...ofHost.filter((field) => field !== "operator"), "host"].toSorted(),
      );
    }
    for (const [name, { params }] of Object.entries(methods.controllerOperatorMethods)) {
      expect(fields(params), name).not.toContain("operator");
    }
  });

  test("what the host tells during an attach and a read reaches the operator as it is", () => {
    for (const name of ["session.attach", "session.read"] as const) {
      expect(methods.controllerOperatorMethods[name].events).toMatchObject(
        methods.sessionMethods[name].events,
      );
    }
  });
});

test("a program on the host asks its agent as the controller does, but is not believed to be an operator", () => {
  expect(methods.agentLocalMethods["job.read"]).toBe(methods.agentMethods["job.read"]);
  expect(fields(methods.agentLocalMethods["job.start"].params)).not.toContain("operator");
});
