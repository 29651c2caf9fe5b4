/** From the words of `outpost copy` to what is to be copied. */
import { placeOf } from "./place.ts";
import { UsageError } from "../usage-error.ts";

export type CopyRequest =
  | {
      readonly kind: "to";
      readonly sources: readonly string[];
      readonly targets: string;
      readonly path: string;
    }
  | {
      readonly kind: "from";
      readonly targets: string;
      readonly paths: readonly string[];
      readonly directory: string;
    }
  | { readonly kind: "resume"; readonly job: string; readonly directory: string };

/** @throws UsageError saying what is missing or too much */
export function requestOf(words: readonly string[], resume: string | undefined): CopyRequest {
  if (resume !== undefined) return resumeOf(words, resume);
  const last = words.at(-1);
  const others = words.slice(0, -1);
  if (last === undefined || others.length === 0) {
    throw wrong("say what and where: FILE… TARGETS:PATH, or TARGETS:PATH DIR");
  }
  const to = placeOf(last);
  const from = others.map(placeOf);
  if (to !== undefined) {
    if (from.some((each) => each !== undefined)) {
      throw wrong("both are hosts: files go by way of this machine, so copy them here first, and then there");
    }
    return { kind: "to", sources: others, ...to };
  }
  const places = from.filter((each) => each !== undefined);
  if (places.length < others.length) {
    throw wrong(
      places.length === 0
        ? `none of them is on hosts: in ${JSON.stringify(last)} there is no colon, or a slash before it; write TARGETS:PATH`
        : "some are of hosts and some are here; copy them one after the other",
    );
  }
  const [{ targets }] = places as [(typeof places)[number]];
  if (places.some((each) => each.targets !== targets)) {
    throw wrong(
      "the files are of different hosts; copy them one after the other, or name the hosts together: web1,web2:PATH",
    );
  }
  return { kind: "from", targets, paths: places.map(({ path }) => path), directory: last };
}

function resumeOf(words: readonly string[], job: string): CopyRequest {
  const [directory, ...more] = words;
  if (directory === undefined || more.length > 0) {
    throw wrong(
      "--resume takes the directory that it was to be copied to, and nothing else: --resume JOB DIR",
    );
  }
  return { kind: "resume", job, directory };
}

function wrong(message: string): UsageError {
  return new UsageError(message, "copy");
}
