/** The form of a token, in words for messages. */
export const BEARER_TOKEN_FORM = "a token of letters, digits and -._~+/=";

/** Whether a header `Authorization: Bearer` can have a token (RFC 6750, section 2.1). */
export function isBearerToken(text: string): boolean {
  return /^[\w.~+/-]+=*$/.test(text);
}
