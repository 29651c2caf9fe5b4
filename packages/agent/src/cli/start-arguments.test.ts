import { expect, test } from "vitest";
import { defaultAgentDirectory } from "../directory.ts";
import { readStart } from "./start-arguments.ts";

const dir = defaultAgentDirectory();

test.each([
  ["start", { dir, logLevel: "info" }],
  ["start --dir /srv/agent", { dir: "/srv/agent", logLevel: "info" }],
  ["start --log-level=debug --dir=/srv/agent", { dir: "/srv/agent", logLevel: "debug" }],
])("%s", (line, options) => expect(readStart(line.split(" "))).toEqual(options));

test.each([
  "",
  "status",
  "start --help",
  "start -h",
  "start --dri /srv",
  "start --dir",
  "start --dir=",
  "start --dir a --dir b",
  "start --log-level loud",
  "start extra",
  "--version",
])("%j is left to yargs", (line) => expect(readStart(line.split(" "))).toBeUndefined());
