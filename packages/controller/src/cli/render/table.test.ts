import { expect, test } from "vitest";
import { bytesText } from "./bytes-text.ts";
import { table } from "./table.ts";

const head = ["NAME", "STATE", "COMMAND"];

test("columns are aligned, without borders, without trailing blanks", () => {
  const rows = [
    ["web1", "connected", "true"],
    ["database", "never", ""],
  ];
  expect(table({ head, rows })).toBe(
    ["NAME      STATE      COMMAND", "web1      connected  true", "database  never"].join("\n"),
  );
});

test("the last column is shortened to the terminal", () => {
  const rows = [["web1", "connected", "x".repeat(100)]];
  for (const line of table({ head, rows, width: 40 }).split("\n"))
    expect(line.length).toBeLessThanOrEqual(40);
});

test("no control character of a name or command reaches the terminal", () => {
  expect(table({ head: ["A"], rows: [["\u001b]0;x\u0007\n"]] })).toBe("A\n�]0;x��");
});

test.each([
  [0, "0"],
  [512, "512 B"],
  [1_500, "1.5 kB"],
  [999_600, "1.0 MB"],
  [25_000_000, "25 MB"],
  [3_200_000_000, "3.2 GB"],
])("%d bytes read %s", (bytes, text) => expect(bytesText(bytes)).toBe(text));

test("a table of many rows looks as one of few", () => {
  const head = ["NAME", "STATE", "NOTE"];
  const rows = Array.from({ length: 600 }, (_, index) => [
    `web${String(index)}`,
    "running",
    "x".repeat(index % 30),
  ]);
  const long = table({ head, rows, width: 40 }).split("\n");
  const short = table({ head, rows: rows.slice(0, 400), width: 40 }).split("\n");
  expect(long.slice(0, 401)).toEqual(short);
});
