// This module is browser compatible.

/**
 * Describes a value that is not of the type that was expected, without what is in
 * it: that may be secret.
 *
 * @param value The value.
 * @returns Its kind, such as `"a string"`, `"null"` or `"a Response"`.
 */
export function described(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const { name = "" } = value.constructor ?? {};
  if (name === "" || name === "Object") return "an object";
  return `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}
