/** Once for all container tests: the image of a host, and the programs that hosts run. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";
import { dockerRuns } from "./kit/docker.ts";
import { makePrograms, type Programs } from "./kit/programs.ts";

declare module "vitest" {
  interface ProvidedContext {
    readonly hosts: {
      /** The name of the image. */
      readonly image: string;
      readonly programs: Programs;
      /** The Node binary. */
      readonly node: string;
      /** A label of all containers of this run. */
      readonly label: string;
    };
  }
}

const run = promisify(execFile);

/** @returns what takes it away again */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!dockerRuns()) {
    throw new Error("container tests need Docker, and none answers: start dockerd, or leave them to .ci/run");
  }
  const { stdout } = await run(join(import.meta.dirname, "image/build"));
  const directory = await mkdtemp(join(tmpdir(), "outpost-programs-"));
  const label = `outpost-test-run=${randomUUID()}`;
  const remove = async (): Promise<void> => {
    await removeContainers(label);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const programs = await makePrograms(directory);
    project.provide("hosts", { image: stdout.trim(), programs, node: process.execPath, label });
    return remove;
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Each test removes what it has made; this is for one that was interrupted. */
async function removeContainers(label: string): Promise<void> {
  const { stdout } = await run("docker", ["ps", "--all", "--quiet", "--filter", `label=${label}`]);
  const ids = stdout.split("\n").filter((id) => id !== "");
  if (ids.length === 0) return;
  await run("docker", ["rm", "--force", "--volumes", ...ids]);
  await run("docker", ["network", "prune", "--force", "--filter", "label=org.testcontainers=true"]);
}
