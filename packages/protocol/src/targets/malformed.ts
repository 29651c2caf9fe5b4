/** What an expression that cannot be read is answered with. */
import { ErrorCode, OutpostError } from "../errors.ts";

/** An expression that is longer goes into no error: it would have to be shown, too. */
const maxShownLength = 4_096;

/** @param offset of what cannot be read, from 0 */
export function malformed(what: string, expression: string, offset: number): OutpostError {
  const position = offset + 1;
  return new OutpostError(
    ErrorCode.invalidArgument,
    `target expression: ${what}, at character ${String(position)}`,
    { data: { position, ...(expression.length > maxShownLength ? {} : { expression }) } },
  );
}

export function tooLarge(what: string): OutpostError {
  return new OutpostError(ErrorCode.limitExceeded, `target expression: ${what}`);
}
