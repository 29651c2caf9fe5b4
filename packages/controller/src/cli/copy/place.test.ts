import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { placeOf } from "./place.ts";
import { requestOf } from "./request.ts";
import { copyStatusText, Rate } from "./status-text.ts";

describe("TARGETS:PATH", () => {
  test.each([
    ["web1:/srv", "web1", "/srv"],
    ["web1:", "web1", ""],
    ["web[1-3],db1:a/b", "web[1-3],db1", "a/b"],
    ["role=web and not eu*:x:y", "role=web and not eu*", "x:y"],
    ["@eu-web:/srv", "@eu-web", "/srv"],
    ["@eu-web:srv", "@eu-web", "srv"],
    ["@eu-web:~/x:y", "@eu-web", "~/x:y"],
    ["@slurm:gpu:/srv", "@slurm:gpu", "/srv"],
    ["@slurm:gpu,web1:x", "@slurm:gpu,web1", "x"],
    ["web1,@slurm:gpu:x", "web1,@slurm:gpu", "x"],
    ["@file:/etc/hosts.list:/srv", "@file:/etc/hosts.list", "/srv"],
    ["@file:./list:", "@file:./list", ""],
    ['address="fe80::1":/srv', 'address="fe80::1"', "/srv"],
    ["(example.com/role=web):/srv", "(example.com/role=web)", "/srv"],
  ])("%s", (text, targets, path) => expect(placeOf(text)).toEqual({ targets, path }));

  test.each(["file", "./odd:name", "/srv/a:b", "dir/a:b", "../a:b", ".", ":x", 'a"b:c', ""])(
    "%j is here",
    (text) => expect(placeOf(text)).toBeUndefined(),
  );

  test("of any name and any path", () => {
    const targets = fc.stringMatching(/^[a-z][a-z0-9[\],-]{0,20}$/);
    fc.assert(
      fc.property(targets, fc.string(), (host, path) => {
        expect(placeOf(`${host}:${path}`)).toEqual({ targets: host, path });
        expect(placeOf(`./${host}:${path}`)).toBeUndefined();
        expect(placeOf(`/${host}:${path}`)).toBeUndefined();
      }),
    );
  });
});

describe("the words", () => {
  test("to hosts, from hosts, and on with one", () => {
    expect(requestOf(["a", "./b:c", "web1:/x"], undefined)).toEqual({
      kind: "to",
      sources: ["a", "./b:c"],
      targets: "web1",
      path: "/x",
    });
    expect(requestOf(["web1:a", "web1:b", "dir"], undefined)).toEqual({
      kind: "from",
      targets: "web1",
      paths: ["a", "b"],
      directory: "dir",
    });
    expect(requestOf(["dir"], "4k7m")).toEqual({ kind: "resume", job: "4k7m", directory: "dir" });
  });

  test.each([
    [["a"], /say what and where/],
    [["a", "b"], /none of them is on hosts/],
    [["web1:a", "web2:b"], /copy them here first/],
    [["web1:a", "b", "dir"], /one after the other/],
    [["web1:a", "web2:b", "dir"], /different hosts/],
  ])("%j make no sense", (words, message) => expect(() => requestOf(words, undefined)).toThrow(message));
});

test("the status line is never wider than there is room", () => {
  const status = {
    bytes: 312e6,
    totalBytes: 1e9,
    isUpload: true,
    bytesPerSecond: 112e6,
    hosts: 5,
    done: 3,
    failed: 1,
  };
  expect(copyStatusText(status, 100)).toBe(
    "outpost copy  312 MB of 1.0 GB sent  hosts 3/5  failed 1  112 MB/s",
  );
  for (let columns = 0; columns < 80; columns++) {
    expect(copyStatusText(status, columns).length).toBeLessThanOrEqual(columns);
  }
});

test("the rate is that of the last seconds", () => {
  const rate = new Rate();
  for (let second = 0; second < 10; second++) rate.note(second * 100, second * 1_000);
  expect(rate.note(1_000, 10_000)).toBeCloseTo(100);
  expect(rate.note(1_000, 60_000)).toBe(0);
});
