/** Labels as they are written: `role=web,zone=a`. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  const texts = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return texts.length === 0 ? "-" : texts.join(",");
}
