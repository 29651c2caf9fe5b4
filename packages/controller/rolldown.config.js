/**
 * The `outpost` program as few files, in the place of what `tsc` makes of it: Node finds, reads and links each module by
 * itself, and a short command waits for a hundred of them. What is loaded later stays apart, and so do the packages of others:
 * those that our other packages import are in this one's dependencies, too.
 *
 * All of it lies flat in `dist/cli`, so that modules that ask where they are (`import.meta.dirname`) are as deep as before.
 * Paths are as seen from the root, where `pnpm build` runs.
 */
export default {
  input: { main: "./packages/controller/src/cli/main.ts" },
  platform: "node",
  external: /^(?!\.|\/|@outpost\/)/,
  resolve: { conditionNames: ["source", "node", "import"] },
  output: {
    dir: "packages/controller/dist/cli",
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "bundled-[name].js",
  },
};
