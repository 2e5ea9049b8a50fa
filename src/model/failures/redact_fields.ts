// This module is browser compatible.

/** Deeper than this no known provider nests an error. */
const DEEPEST = 64;

/**
 * Takes secrets out of every text in a value of JSON.
 *
 * @param value The value.
 * @param redact Takes the secrets out of a text.
 * @param levels The number of levels: fields nested deeper are left out.
 * @returns A copy without them.
 */
export function redactFields(
  value: unknown,
  redact: (text: string) => string,
  levels: number = DEEPEST,
): unknown {
  if (typeof value === "string") return redact(value);
  if (typeof value !== "object" || value === null) return value;
  if (levels === 0) return undefined;
  const one = (inner: unknown) => redactFields(inner, redact, levels - 1);
  if (Array.isArray(value)) return value.map(one);
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, one(inner)]),
  );
}
