/** Numbers and sizes as people write them: `8`, `8GiB`, `512M`, `1.5T`. A K is 1,024, as in configurations. */

const units: Readonly<Record<string, number>> = {
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
};

/** A whole number, or a size with its unit; `undefined` for what is neither. `1.4` is neither: it may be a version. */
export function quantityOf(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : sizeOf(text);
}

/** A number, also with a fraction or a minus, or a size. */
export function numberOf(text: string): number | undefined {
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : sizeOf(text);
}

function sizeOf(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?([kmgtp])(?:i?b)?$/i.exec(text) ?? [];
  return amount === undefined ? undefined : Number(amount) * units[unit!.toLowerCase()]!;
}
