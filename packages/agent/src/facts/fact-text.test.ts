import { CustomFacts } from "@outpost/protocol";
import * as fc from "fast-check";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { readFacts } from "./fact-text.ts";

describe("what a program prints", () => {
  test.each<[string, object]>([
    ["r12\n", { rack: "r12" }],
    ["row=4\n\n# where it stands\n site = eu west \nempty=\n", { row: "4", site: "eu west", empty: "" }],
    ["url=http://x/?a=b", { url: "http://x/?a=b" }],
    ['{"rack": "r12", "units": 2, "spare": true, "none": null}', { rack: "r12", units: 2, spare: true }],
    ['{"power": {"feed": "a", "kw": 3.5}}', { "power.feed": "a", "power.kw": 3.5 }],
    ["", {}],
    ["\n \n", {}],
    ["# nothing to say\n", {}],
    ["{}", {}],
  ])("%j", (text, facts) => expect(readFacts(text, "rack")).toEqual({ facts, problems: [] }));

  test.each<[string, object, string]>([
    ["one\ntwo=2\n", { two: "2" }, 'not KEY=VALUE: "one"'],
    ["=x\na=1", { a: "1" }, "not KEY=VALUE"],
    ["Rack=r12\nrow=4", { row: "4" }, '"Rack"'],
    ['{"rack": "r12"', {}, "is not JSON"],
    ['{"tags": ["a"], "row": 4}', { row: 4 }, "gives tags a value"],
    ['{"a": {"b": {"c": {"d": {"e": 1}}}}, "row": 4}', { row: 4 }, "nests deeper"],
    [`long=${"x".repeat(1025)}\nrow=4`, { row: "4" }, "more than 1024 characters"],
    ["a\0b", {}, "NUL"],
    ['{"__proto__": "x", "constructor": "y"}', { constructor: "y" }, "__proto__"],
  ])("%j: what can be used is", (text, facts, problem) => {
    const read = readFacts(text, "rack");
    expect(read.facts).toEqual(facts);
    expect(read.problems.join("\n")).toContain(problem);
  });

  test("a bare line in a file whose name is none for a fact", () => {
    expect(readFacts("r12", "10_rack").problems.join()).toContain('"10_rack"');
  });

  test("a file that is read holds JSON and nothing else", () => {
    expect(readFacts("rack=r12", "rack", true)).toMatchObject({ facts: {}, problems: [/JSON/] });
    expect(readFacts("[1]", "rack", true)).toMatchObject({ facts: {}, problems: [/not an object/] });
  });

  test("whatever it is, it becomes facts that can be told, or problems of a readable length", () => {
    const anything = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.json(),
      fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value)),
      fc
        .array(fc.tuple(fc.string(), fc.string()))
        .map((pairs) => pairs.map((pair) => pair.join("=")).join("\n")),
    );
    fc.assert(
      fc.property(anything, fc.boolean(), (text, json) => {
        const { facts, problems } = readFacts(text, "rack", json);
        for (const [name, value] of Object.entries(facts))
          expect(v.is(CustomFacts, { [name]: value })).toBe(true);
        expect(problems.length).toBeLessThanOrEqual(6);
        for (const problem of problems) expect(problem.length).toBeLessThan(400);
      }),
    );
  });
});
