import { defineConfig, type ViteUserConfig } from "vitest/config";
import { LeftOut } from "./test/left-out.ts";

/** Set by `.ci/run`: where the JSON report goes, from which the counts are taken. */
const report = process.env["OUTPOST_TEST_REPORT"];

export const shared = {
  // Sources run as they are: workspace packages resolve to their TypeScript.
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"], externalConditions: ["source"] } },
};
export const limits = { execArgv: ["--conditions=source"], testTimeout: 30_000, hookTimeout: 30_000 };

type Reporters = NonNullable<NonNullable<ViteUserConfig["test"]>["reporters"]>;

/** @param tests which are run: all but those in containers, or those */
export function reporters(tests: "all" | "hosts"): Reporters {
  const json =
    report === undefined ? [] : [["json", { outputFile: report }] as ["json", { outputFile: string }]];
  return ["default", new LeftOut(tests), ...json];
}

// Tests in containers have their own: test/hosts/vitest.config.ts.
const never = ["**/node_modules/**", "**/dist/**", "test/hosts/**"];

export default defineConfig({
  ...shared,
  test: {
    ...limits,
    reporters: reporters("all"),
    // Each group runs after the one before it, so that tests that kill and time things have the machine to themselves.
    projects: [
      {
        ...shared,
        test: {
          ...limits,
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "test/architecture.test.ts", "test/kit/**/*.test.ts"],
          exclude: never,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...shared,
        test: {
          ...limits,
          name: "integration",
          include: ["test/**/*.test.ts"],
          exclude: [...never, "test/architecture.test.ts", "test/kit/**", "test/faults/**"],
          testTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        ...shared,
        test: {
          ...limits,
          name: "faults",
          include: ["test/faults/**/*.test.ts"],
          exclude: never,
          testTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
