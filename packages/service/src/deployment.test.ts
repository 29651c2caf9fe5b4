import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { deploy, type Deployment, replace } from "./deployment.ts";
import { Program } from "./program.ts";
import { FakeSystemd } from "./testing/fake-systemd.ts";
import { writeProgram } from "./testing/packages.ts";

const unit = "x.service";
let folder: string;
let program: Program;
let fake: FakeSystemd;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "outpost-deployment-")));
  program = new Program({
    prefix: join(folder, "opt"),
    command: "program",
    main: "dist/main.js",
    commands: join(folder, "bin"),
  });
  fake = new FakeSystemd(join(folder, "systemd"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** @param start what `--start` does, as a module's text */
async function deployment(version: string, start = "", more: Partial<Deployment> = {}): Promise<Deployment> {
  const source = writeProgram(join(folder, `source-${version}`), { version });
  const main = `const [what] = process.argv.slice(2);\nif (what === "--version") console.log("${version}");\nelse {${start}}`;
  writeFileSync(join(source, "dist/main.js"), main);
  return {
    systemd: fake.systemd,
    program,
    unit,
    text: `# of ${version}\n[Service]\nExecStart=${program.launcher}\n`,
    version: await program.add(source),
    verify: async () => {},
    ...more,
  };
}

const inForce = (): string[] => [program.current!.version, fake.systemd.read(unit)!.split("\n")[0]!];
const broken = 'console.error("no such setting"); process.exit(1);';

test("a first deployment: link, unit, enabled, started, verified", async () => {
  let verified: number | undefined;
  const verify = async ({ pid }: { readonly pid: number | undefined }): Promise<void> =>
    void (verified = pid);
  await deploy(await deployment("1.0.0", "", { verify }));
  expect(inForce()).toEqual(["1.0.0", "# of 1.0.0"]);
  expect(fake.calls).toEqual([
    "daemon-reload",
    `enable --quiet ${unit}`,
    `reset-failed ${unit}`,
    `restart --no-block ${unit}`,
  ]);
  expect(verified).toBe(1);
  expect(await fake.systemd.show(unit)).toMatchObject({
    isLoaded: true,
    active: "active",
    pid: 1,
    restarts: 3,
    status: "connected = well",
  });
});

test("one that does not start says what its journal says, and stays: systemd tries on", async () => {
  const error = await deploy(await deployment("1.0.0", broken)).catch((reason: unknown) =>
    OutpostError.from(reason),
  );
  expect(error).toMatchObject({ code: ErrorCode.startFailed });
  expect((error as OutpostError).message).toBe(
    "x.service does not start (exit-code)\nIts journal (`journalctl -u x.service`) ends with:\n  no such setting\n  a line of ours",
  );
  expect(inForce()).toEqual(["1.0.0", "# of 1.0.0"]);
});

describe("replacing", () => {
  beforeEach(async () => {
    await deploy(await deployment("1.0.0"));
  });

  test("by one that works", async () => {
    await replace(await deployment("2.0.0"));
    expect(inForce()).toEqual(["2.0.0", "# of 2.0.0"]);
    expect((await fake.systemd.show(unit)).pid).toBe(2);
    expect(program.previous?.version).toBe("1.0.0");
  });

  test("by one that does not start: the old one is back, with its unit, and runs", async () => {
    const next = await deployment("2.0.0", broken);
    await expect(replace(next)).rejects.toThrow(
      /^2\.0\.0 did not work; 1\.0\.0 is in force again, and runs\. x\.service does not start .*no such setting/s,
    );
    expect(inForce()).toEqual(["1.0.0", "# of 1.0.0"]);
    expect((await fake.systemd.show(unit)).active).toBe("active");
    expect(existsSync(next.version.folder)).toBe(false);
  });

  test("by one that starts and does not do what it should", async () => {
    const verify = async (): Promise<void> => {
      throw new OutpostError(ErrorCode.controllerUnreachable, "it is not connected");
    };
    await expect(replace(await deployment("2.0.0", "", { verify }))).rejects.toMatchObject({
      code: ErrorCode.controllerUnreachable,
      message: "2.0.0 did not work; 1.0.0 is in force again, and runs. it is not connected",
    });
    expect(inForce()).toEqual(["1.0.0", "# of 1.0.0"]);
  });

  test("when the old one does not start any more either, both are said", async () => {
    const state = join(folder, "gone");
    await replace(
      await deployment(
        "1.5.0",
        `if (require("node:fs").existsSync(${JSON.stringify(state)})) process.exit(1);`.replace(
          "require(",
          "process.getBuiltinModule(",
        ),
      ),
    );
    writeFileSync(state, "");
    await expect(replace(await deployment("2.0.0", broken))).rejects.toThrow(
      /^2\.0\.0 did not work: .*\n1\.5\.0 is in force again, and does not start either: x\.service does not start/s,
    );
    expect(inForce()).toEqual(["1.5.0", "# of 1.5.0"]);
  });
});

describe("systemctl", () => {
  test("what it refuses is said in its words", async () => {
    mkdirSync(join(folder, "systemd/units"), { recursive: true });
    writeFileSync(join(folder, "systemd/units/stubborn"), "");
    await expect(fake.systemd.enable(unit)).rejects.toThrow(
      "systemctl enable --quiet x.service failed: Failed to enable unit: no",
    );
  });

  test("a unit that fails over and over is stopped first: its old failures are not this start's", async () => {
    await deploy(await deployment("1.0.0", broken)).catch(() => {});
    await deploy(await deployment("2.0.0"));
    expect(fake.calls.slice(-3)).toEqual([
      `stop ${unit}`,
      `reset-failed ${unit}`,
      `restart --no-block ${unit}`,
    ]);
  });

  test("taking a unit away stops it; one that is not there is no matter", async () => {
    await fake.systemd.disable(unit);
    expect(fake.calls).toEqual([]);
    await deploy(await deployment("1.0.0"));
    await fake.systemd.disable(unit);
    await fake.systemd.remove(unit);
    expect(fake.systemd.read(unit)).toBeUndefined();
    expect(fake.calls.slice(-4)).toEqual([
      `stop ${unit}`,
      `disable --quiet ${unit}`,
      "daemon-reload",
      `reset-failed ${unit}`,
    ]);
  });
});
