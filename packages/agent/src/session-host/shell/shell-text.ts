/** Shell code in TypeScript, legible: backslashes are as they stand; only `\${` stands for `${`, and "\`" for "`". */
export function shellText(pieces: TemplateStringsArray, ...values: readonly string[]): string {
  return pieces.raw
    .map((piece, i) => piece.replaceAll("\\${", "${").replaceAll("\\`", "`") + (values[i] ?? ""))
    .join("");
}
