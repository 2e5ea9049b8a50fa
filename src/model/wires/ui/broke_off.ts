// This module is browser compatible.

/**
 * Returns the words that tell a user of a chat that an answer broke off.
 *
 * @param reason The reason. Default: it is not known.
 */
export function brokeOff(reason?: string): string {
  const words = "The answer broke off";
  return reason === undefined ? words : `${words}: ${reason}`;
}
