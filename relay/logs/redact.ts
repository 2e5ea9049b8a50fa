import { hideCredentials } from "./hide_credentials.ts";

/** What comes of a query that is not in a whole URL: `/topics/t?access_token=...`. */
const QUERY = /([?&][\w.-]*(?:token|key|secret|password)[\w.-]*=)[^\s&#"']+/gi;

/** Three parts of base64url, of which the first is the beginning of a JSON object. */
const TOKEN = /\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g;

const SCHEME = /\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi;

/** What a WebSocket client offers in place of a header. */
const OFFER = /\bbearer\.[\w-]{8,}/g;

/** As providers of language models make them. */
const KEY = /\b(sk|pk|rk|gsk|xai)-[\w-]{8,}/g;

const MASK = "[redacted]";

/**
 * Takes out of a text what looks like a token or a key. Whoever logs something
 * leaves these out; this is for what nobody thought of.
 */
export function redact(text: string): string {
  return hideCredentials(text)
    .replaceAll(QUERY, `$1${MASK}`)
    .replaceAll(TOKEN, MASK)
    .replaceAll(SCHEME, `$1 ${MASK}`)
    .replaceAll(OFFER, `bearer.${MASK}`)
    .replaceAll(KEY, `$1-${MASK}`);
}
