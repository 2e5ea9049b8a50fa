// This module is browser compatible.

/**
 * An escape of one of the characters that names of fields, types and statuses are
 * made of: lower case letters, `.` and `_`. No known encoder writes one, but JSON
 * allows it.
 */
const ESCAPED = String.raw`\\u00(?:2[eE]|5[fF]|6[1-9a-fA-F]|7[0-9aA])`;

/** Finds a field `error` with a value, at any depth. */
export const ERROR_FIELD: string = String.raw`"error"(?!\s*:\s*null)`;

/** Finds the fields of an error that says neither by name nor by type that it is one. */
export const BARE_ERROR: string = '"(?:errors|detail|message|msg)"';

/**
 * Makes the test that tells the few events that have to be parsed from the many
 * that have not: it takes 0.1 to 0.3 µs for an event of 300 bytes, and `JSON.parse`
 * 0.7 to 0.9 µs.
 *
 * It must find every event that says anything, and may find others. So strings
 * are looked for with both their quotes and without what is around them, and data
 * that has a letter of a name escaped is always found.
 *
 * @param patterns The patterns to look for in the raw JSON: regular expressions
 * that need names only in lower case letters, `.` and `_`.
 * @returns The test.
 */
export function telling(...patterns: string[]): RegExp {
  return new RegExp([...patterns, ESCAPED].join("|"));
}
