// This module is browser compatible.

/**
 * Returns the message of a caught value, which may be anything: JavaScript can
 * throw values that are not errors.
 *
 * @param thrown The caught value.
 * @returns The message of an `Error`, and any other value as text.
 */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
