/** File streams: trees of files as one stream of bytes, and back. The format is in docs/protocol.md. */
export { measureTrees } from "./measure.ts";
export { findSources, type Missing, type Source, type SourceOptions, type Sources } from "./sources.ts";
export { reasonText } from "./system-error.ts";
export { readTrees, type TreeReaderOptions } from "./tree-reader.ts";
export {
  type Problem,
  type Totals,
  TreeWriter,
  type TreeWriterOptions,
  type WrittenFile,
} from "./tree-writer.ts";
