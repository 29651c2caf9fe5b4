/** The container tests, apart from all others because they need Docker: `pnpm test:hosts`. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { limits, reporters, shared } from "../../vitest.config.ts";

// Ryuk removes what a killed test run leaves, and is an image that we cannot pull.
process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";

export default defineConfig({
  ...shared,
  root: join(import.meta.dirname, "../.."),
  test: {
    ...limits,
    name: "hosts",
    include: ["test/hosts/**/*.test.ts"],
    globalSetup: ["test/hosts/setup.ts"],
    reporters: reporters("hosts"),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Each file has a controller and hosts of its own, and waits more than it works.
    maxWorkers: 2,
  },
});
