/**
 * A target expression is a union of terms, separated by commas:
 *
 *     web1            the host of that name
 *     web*, db?       every host whose name fits: `*` any characters, `?` exactly one
 *     role=web        every host with that label; the value may hold `*` and `?`, too
 */
import { ErrorCode, OutpostError } from "../errors.ts";

export type Term =
  | { readonly kind: "name"; readonly text: string }
  | { readonly kind: "glob"; readonly text: string }
  | { readonly kind: "label"; readonly text: string; readonly key: string; readonly value: string };

export type Targets = readonly Term[];

/** More terms than this in one expression are refused: each is looked at for each host. */
const maxTerms = 10_000;

/**
 * @throws OutpostError `invalid_argument` with the position (characters, from 1) of what cannot be read;
 * `data.position` holds it, too
 */
export function parse(expression: string): Targets {
  const parts = expression.split(",");
  if (parts.length > maxTerms) {
    throw new OutpostError(
      ErrorCode.limitExceeded,
      `a target expression may have ${String(maxTerms)} terms at most`,
    );
  }
  let position = 1;
  return parts.map((part) => {
    const term = parseTerm(part, position);
    position += part.length + 1;
    return term;
  });
}

function parseTerm(part: string, start: number): Term {
  const text = part.trim();
  const position = start + part.indexOf(text);
  if (text === "") throw malformed("a host, pattern or label is missing", position);
  const equals = text.indexOf("=");
  if (equals >= 0) return parseLabel(text, equals, position);
  if (!/^[a-z0-9*?][a-z0-9._*?-]*$/.test(text)) {
    const bad = text.search(/[^a-z0-9._*?-]/);
    throw malformed(
      `"${text}" is not a host name or pattern (a-z 0-9 . _ - and * ?)`,
      position + Math.max(bad, 0),
    );
  }
  return /[*?]/.test(text) ? { kind: "glob", text } : { kind: "name", text };
}

function parseLabel(text: string, equals: number, position: number): Term {
  const key = text.slice(0, equals).trim();
  if (!/^[a-z][a-z0-9._/-]{0,62}$/.test(key))
    throw malformed(`"${key}" is not a label key (a-z 0-9 . _ / -)`, position);
  return { kind: "label", text, key, value: text.slice(equals + 1).trim() };
}

function malformed(what: string, position: number): OutpostError {
  return new OutpostError(
    ErrorCode.invalidArgument,
    `target expression: ${what}, at character ${String(position)}`,
    {
      data: { position },
    },
  );
}
