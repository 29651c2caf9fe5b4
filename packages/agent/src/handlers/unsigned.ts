/** The params without their signature: once the gate has looked at it, it has done its work. */
export function unsigned<T extends { authorization?: unknown }>(params: T): Omit<T, "authorization"> {
  const { authorization: _, ...rest } = params;
  return rest;
}
