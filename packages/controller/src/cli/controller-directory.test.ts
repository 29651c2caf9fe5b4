import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readStartSettings, writeStartSettings } from "./controller-directory.ts";
import { metricsText, offered, parseMetrics } from "./metrics-option.ts";

describe("what the controller's directory says to its start", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "outpost-settings-"));
  });
  afterEach(() => rm(directory, { recursive: true }));
  const file = (): string => join(directory, "controller.json");

  test("what is given is kept, and what is not given stays", async () => {
    expect(await readStartSettings(directory)).toEqual({});
    await writeStartSettings(directory, { listen: { host: "::", port: 7443 } });
    await writeStartSettings(directory, { metrics: { host: "127.0.0.1", port: 9464 } });
    expect(JSON.parse(await readFile(file(), "utf8"))).toEqual({
      listen: "[::]:7443",
      metrics: "127.0.0.1:9464",
    });
    await writeStartSettings(directory, { metrics: "off" });
    expect(await readStartSettings(directory)).toEqual({
      listen: { host: "::", port: 7443 },
      metrics: "off",
    });
  });

  test.each(["", "nonsense", "[]", '{"listen":7,"metrics":{}}', '{"listen":"here","metrics":"sometimes"}'])(
    "%j: nothing is taken from it",
    async (text) => {
      await writeFile(file(), text);
      expect(await readStartSettings(directory)).toEqual({});
    },
  );
});

describe("--metrics", () => {
  test.each(["off", "operators", "127.0.0.1:9464", "[::1]:9464", "localhost:0"])("%s", (text) => {
    expect(metricsText(parseMetrics(text))).toBe(text);
  });
  test.each(["", "on", "9464", "127.0.0.1", "host:99999"])("not %j", (text) => {
    expect(() => parseMetrics(text)).toThrow("operators or off");
  });
  test("off is nothing that the server is asked for", () => {
    expect(offered("off")).toBeUndefined();
    expect(offered("operators")).toBe("operators");
  });
});
