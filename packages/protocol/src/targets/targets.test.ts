import type { HostName, Labels } from "../ids.ts";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evaluate, parse, selects, type TargetHost } from "./index.ts";

const host = (name: string, labels: Labels = {}): TargetHost => ({ name: name as HostName, labels });
const hosts = [
  host("web10", { role: "web", zone: "eu-1" }),
  host("web9", { role: "web", zone: "eu-2" }),
  host("web1", { role: "web" }),
  host("db1", { role: "db", zone: "eu-1" }),
  host("d.b-x_1"),
];
const names = (expression: string): string[] => evaluate(parse(expression), hosts).map(({ name }) => name);

describe("target expressions", () => {
  test.each([
    ["web1", ["web1"]],
    ["db1,web1", ["db1", "web1"]],
    [" web1 , db1 ", ["web1", "db1"]],
    ["web*", ["web1", "web9", "web10"]],
    ["web?", ["web1", "web9"]],
    ["role=web", ["web1", "web9", "web10"]],
    ["zone=eu-*", ["db1", "web9", "web10"]],
    ["db1,role=db,*1", ["db1", "d.b-x_1", "web1"]],
    ["d.b*", ["d.b-x_1"]],
  ])("%s", (expression, expected) => {
    expect(names(expression)).toEqual(expected);
  });

  test.each([
    ["", 1],
    ["web1,", 6],
    ["web1,,db1", 6],
    ["web1, wéb", 8],
    ["Web1", 1],
    ["=x", 1],
    ["web1,-x", 6],
  ])("%j is malformed at %i", (expression, position) => {
    expect(() => parse(expression)).toThrow(
      expect.objectContaining({ code: "invalid_argument", data: { position } }),
    );
  });

  test.each(["web2", "x*", "role=mail", "constructor=x", "web1,web2"])("%s fits no host", (expression) => {
    expect(() => names(expression)).toThrow(expect.objectContaining({ code: "not_found" }));
  });

  const name = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,12}$/);

  test("a list of names selects exactly these, each once, in order", () => {
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1 }), fc.array(fc.nat()), (all, picks) => {
        const wanted = picks.length === 0 ? [all[0]!] : picks.map((pick) => all[pick % all.length]!);
        const found = evaluate(
          parse(wanted.join(",")),
          all.map((text) => host(text)),
        );
        expect(found.map((one) => one.name)).toEqual([...new Set(wanted)]);
      }),
    );
  });

  test("a pattern selects what begins and ends as it says, whatever characters the names have", () => {
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1 }), name, name, (all, start, end) => {
        const fits = all.filter(
          (text) => text.startsWith(start) && text.endsWith(end) && text.length >= start.length + end.length,
        );
        const select = (): string[] =>
          evaluate(
            parse(`${start}*${end}`),
            all.map((text) => host(text)),
          ).map((one) => one.name);
        if (fits.length === 0) expect(select).toThrow("fits");
        else expect(new Set(select())).toEqual(new Set(fits));
      }),
    );
  });

  test("no text whatever does more than throw one of ours", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        try {
          evaluate(parse(text), hosts);
        } catch (error) {
          expect(["invalid_argument", "not_found"]).toContain((error as { code?: unknown }).code);
        }
      }),
    );
  });
});

describe("what a host can say of itself alone", () => {
  test.each([
    ["web1", true],
    ["web10", false],
    ["*", true],
    ["web?", true],
    ["db1,web1", true],
    ["role=web", true],
    ["role=db", false],
    ["role=*", true],
    ["zone=*", false],
    // Every object has these; no host has them as labels.
    ["constructor=*", false],
  ])("%s", (expression, expected) => {
    expect(selects(parse(expression), host("web1", { role: "web" }))).toBe(expected);
  });

  test("is what an evaluation over all hosts says of it", () => {
    const term = fc.constantFrom(
      "web1",
      "web*",
      "db?",
      "*1",
      "*",
      "role=web",
      "role=*",
      "zone=eu-1",
      "zone=eu-?",
    );
    fc.assert(
      fc.property(fc.array(term, { minLength: 1, maxLength: 4 }), (terms) => {
        const targets = parse(terms.join(","));
        expect(new Set(hosts.filter((each) => selects(targets, each)))).toEqual(
          new Set(evaluate(targets, hosts)),
        );
      }),
    );
  });
});
