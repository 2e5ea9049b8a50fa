// This module is browser compatible.

/**
 * Refuses what a wire API cannot say: leaving it out would change what is asked.
 *
 * @param api The API's name.
 * @param path Its path, from `prompt` on.
 * @param reason The fault, and the remedy.
 * @throws {TypeError} Always.
 */
export function refuse(api: string, path: string, reason: string): never {
  throw new TypeError(
    `Cannot stream as ${api} has no place for '${path}': ${reason}`,
  );
}
