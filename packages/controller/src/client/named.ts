/** Names as a caller writes them. */
import { ErrorCode, OutpostError } from "@outpost/protocol";
import * as v from "valibot";

/** @throws OutpostError `invalid_argument` saying what it should look like */
export function named<S extends v.GenericSchema<string, string>>(schema: S, text: string): v.InferOutput<S> {
  const parsed = v.safeParse(schema, text);
  if (parsed.success) return parsed.output;
  throw new OutpostError(ErrorCode.invalidArgument, `"${text}" ${parsed.issues[0].message}`);
}
