// This module is browser compatible.

/**
 * Returns what a user of a chat is told of an answer that broke off.
 *
 * @param reason The reason why it did. Default: none is known.
 */
export function brokeOff(reason?: string): string {
  const words = "The answer broke off";
  return reason === undefined ? words : `${words}: ${reason}`;
}
