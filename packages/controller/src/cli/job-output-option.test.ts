import { describe, expect, test } from "vitest";
import { jobOutputOption, renderingOf } from "./job-output-option.ts";

type Asked = Parameters<typeof renderingOf>[1];

function asked(given: Partial<Asked>): Asked {
  const defaults = Object.fromEntries(
    Object.entries(jobOutputOption).map(([name, option]) => [name, option.read([])]),
  ) as Omit<Asked, "timestamps">;
  return { ...defaults, timestamps: false, ...given };
}

test("the defaults, and what the words mean", () => {
  expect(renderingOf("invoke", asked({}))).toEqual({
    format: "stream",
    timestamps: false,
    diff: false,
    outputDirectory: undefined,
    progress: true,
    prefix: true,
    color: "auto",
  });
  expect(jobOutputOption.output.read(["group"])).toBe("group");
  expect(jobOutputOption.output.read(["text"])).toBe("stream");
  expect(() => jobOutputOption.output.read(["tables"])).toThrow(
    "is none of stream, group, table, json, ndjson",
  );
  expect(() => jobOutputOption["output-dir"].read([""])).toThrow("is no directory");
});

test("--diff is of groups", () => {
  expect(renderingOf("invoke", asked({ diff: true }))).toMatchObject({ format: "group", diff: true });
});

describe("what excludes each other is told, with what to leave out", () => {
  test.each<[Partial<Asked>, RegExp]>([
    [{ diff: true, output: "json" }, /--diff .*--output json/],
    [{ diff: true, output: "table" }, /--diff .*--output table/],
    [{ "output-dir": "x", output: "group" }, /--output-dir .*leave --output group out/],
    [{ "output-dir": "x", diff: true }, /leave --diff out/],
    [{ timestamps: true, output: "table" }, /--output table shows no times/],
    [{ timestamps: true, diff: true }, /--diff shows no times/],
    [{ timestamps: true, "output-dir": "x" }, /--output-dir shows no times/],
  ])("%j", (given, message) => expect(() => renderingOf("invoke", asked(given))).toThrow(message));
});
