import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Configurations } from "./configurations.ts";
import { needsRoot } from "../testing/run-as.ts";

let folder: string;
let configurations: Configurations;

beforeEach(() => {
  folder = join(mkdtempSync(join(realpathSync(tmpdir()), "outpost-configurations-")), "configurations");
  mkdirSync(folder, { mode: 0o755 });
  chmodSync(folder, 0o755);
  configurations = new Configurations(folder);
});

afterEach(() => {
  rmSync(join(folder, ".."), { recursive: true });
});

function write(name: string, text: string, mode = 0o644): string {
  const path = join(folder, `${name}.yaml`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

test("the default is there without a file, and without a folder", () => {
  expect(configurations.find()).toEqual({ name: "default", users: [], env: {}, limits: {} });
  expect(new Configurations(join(folder, "none")).find().name).toBe("default");
  expect(new Configurations(join(folder, "none")).list()).toHaveLength(1);
});

test("a file replaces the default, and a bad one does not fall back to it", () => {
  write("default", "user: deploy");
  expect(configurations.find().user).toBe("deploy");
  expect(configurations.replacesDefault).toBe(true);
  write("default", "usr: deploy");
  expect(() => configurations.find()).toThrow(/unknown key/);
});

test("an edit holds from the next request on", () => {
  write("shop", "user: one");
  expect(configurations.find("shop").user).toBe("one");
  expect(configurations.find("shop")).toBe(configurations.find("shop"));
  write("shop", "user: two");
  expect(configurations.find("shop").user).toBe("two");
  rmSync(join(folder, "shop.yaml"));
  expect(() => configurations.find("shop")).toThrow(expect.objectContaining({ code: "not_found" }));
});

test.each(["../default", "..", ".", "", "a/b", "/etc/passwd", "Default", "a\0b", "x".repeat(64), "-a"])(
  "%j is no name, and leads nowhere",
  (name) => {
    writeFileSync(join(folder, "..", "default.yaml"), "");
    expect(() => configurations.find(name)).toThrow(expect.objectContaining({ code: "not_found" }));
  },
);

describe("is not believed when somebody else could have written it:", () => {
  test.each([0o666, 0o664, 0o646, 0o777])("a file of mode %o", (mode) => {
    write("shop", "user: root", mode);
    expect(() => configurations.find("shop")).toThrow(expect.objectContaining({ code: "denied" }));
    expect(() => configurations.find("shop")).toThrow(/it can be written by others .*chmod go-w/);
  });

  test.each([0o777, 0o775, 0o1777])("a folder of mode %o", (mode) => {
    write("shop", "user: root");
    chmodSync(folder, mode);
    expect(() => configurations.find("shop")).toThrow(/written by others/);
  });

  test("a symbolic link, a directory, a huge file", () => {
    symlinkSync(write("real", "user: root"), join(folder, "link.yaml"));
    expect(() => configurations.find("link")).toThrow(/symbolic link/);
    mkdirSync(join(folder, "directory.yaml"));
    expect(() => configurations.find("directory")).toThrow(/not a regular file/);
    write("huge", "#".repeat(1024 * 1024 + 1));
    expect(() => configurations.find("huge")).toThrow(/larger than/);
  });

  test("a file or folder of another user", (context) => {
    needsRoot(context);
    const path = write("shop", "user: root");
    chownSync(path, 65_534, 65_534);
    expect(() => configurations.find("shop")).toThrow(/belongs to user 65534/);
    chownSync(path, 0, 0);
    chownSync(folder, 65_534, 65_534);
    expect(() => configurations.find("shop")).toThrow(/belongs to user 65534/);
  });
});

test("all are listed, with what is wrong", () => {
  write("shop", "description: x");
  write("bad", "usr: x");
  write("Not.A.Name", "");
  writeFileSync(join(folder, "notes.txt"), "");
  const listed = configurations.list();
  expect(listed.map(({ name }) => name)).toEqual(["bad", "default", "shop"]);
  expect(listed[0]!.error?.message).toContain("unknown key");
  expect(listed[1]!.file).toBeUndefined();
});
