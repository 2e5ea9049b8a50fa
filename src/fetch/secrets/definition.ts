// This module is browser compatible.

// Everything that decides what a secret is stands in this file: the names, the
// shapes, the forms, the lengths and the mark. Logs, errors, recordings, the
// events of followers and the reasons of ends all use it.

/** The text that takes the place of a secret. */
export const REDACTED = "[redacted]";

/** Shorter values are not looked for in text: innocent text contains them. */
export const MIN_LENGTH = 6;

/**
 * The same for the events that followers read. A short key, such as the `123456`
 * of a local server, also occurs within the numbers and ids of an answer, and a
 * mark there breaks the JSON of the event.
 */
export const MIN_LENGTH_IN_EVENTS = 16;

/** Parts of the names of headers, query parameters and properties that hold secrets. */
export const SECRET_NAME_PARTS = [
  "assertion",
  "auth",
  "bearer",
  "cookie",
  "credential",
  "dpop",
  "hmac",
  "jwt",
  "key",
  "passphrase",
  "passw",
  "secret",
  "session",
  "signature",
  "token",
] as const;

/** Names that hold secrets, and are too short to be looked for in longer ones. */
export const SECRET_NAMES = ["pass", "pwd", "sig"] as const;

/** Names that hold no secret, although a part of them sounds like it. */
const INNOCENT_NAME =
  /rate-?limit|^idempotency[-_]?key$|cache[-_]?key$|max\w*[-_]?tokens$|authenticate$|(?:^|[-_])author(?:s|ity)?$|key(?:words?|board)|tokeniz/i;

/**
 * Ends of the names of a JSON body's fields that hold secrets; `_` stands for any
 * separator, or none.
 *
 * Fewer than the parts above: a body also has `max_tokens`, `prompt_cache_key`,
 * the `signature` of a model's thinking, and the keys of any dictionary.
 */
export const SECRET_FIELD_ENDS = [
  "auth",
  "authorization",
  "authorization_token",
  "bearer",
  "cookie",
  "credential",
  "credentials",
  "jwt",
  "passphrase",
  "passwd",
  "password",
  "secret",
  "access_key",
  "api_key",
  "api_keys",
  "auth_key",
  "private_key",
  "secret_key",
  "subscription_key",
  "access_token",
  "api_token",
  "auth_token",
  "bearer_token",
  "id_token",
  "refresh_token",
  "security_token",
  "session_token",
  "subscription_token",
] as const;

/** Names of fields that hold secrets, and end the names of many that do not. */
export const SECRET_FIELDS = ["token"] as const;

/** The headers in which the SDKs of providers put their key. */
export const KEY_HEADERS = [
  "authorization",
  "x-api-key",
  "api-key",
  "x-goog-api-key",
] as const;

/** Words that precede a secret in a header's value, and are none (RFC 9110, section 11). */
export const SCHEMES = [
  "apikey",
  "basic",
  "bearer",
  "digest",
  "negotiate",
  "token",
] as const;

/** A shape that tells that a text is a secret, whatever it is called. */
export interface SecretShape {
  /** The name of the shape. */
  readonly name: string;
  /** Finds the shape anywhere in a text. Its groups are kept. */
  readonly pattern: RegExp;
  /** The replacement, for `replaceAll`. */
  readonly shown: string;
  /** Whether a body's field of nothing else is a secret; a prompt may be two words. */
  readonly standsAlone: boolean;
}

/** The shapes of secrets, in the order in which they are looked for. */
export const SECRET_SHAPES = [
  {
    // Three parts of base64url; the first begins a JSON object. The dots are looked
    // for first: else a text of many beginnings takes quadratic time.
    name: "JWT",
    pattern:
      /(?<![\w-])(?=[\w-]+\.[\w-]+\.)((?:[\w-]*?-)?)eyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g,
    shown: `$1${REDACTED}`,
    standsAlone: true,
  },
  {
    name: "credentials",
    pattern:
      /\b(Bearer|Basic)\s+(?!(?:authentication|authorization|credentials)(?![\w~+/=-]))[\w.~+/=-]{8,}/gi,
    shown: `$1 ${REDACTED}`,
    standsAlone: false,
  },
  {
    // A browser's WebSocket sends its token as a subprotocol: PROTOCOL.md.
    name: "subprotocol",
    pattern: /\bbearer\.[\w-]{8,}/g,
    shown: `bearer.${REDACTED}`,
    standsAlone: false,
  },
  {
    // OpenAI, Anthropic, OpenRouter, xAI, Cerebras, Perplexity, NVIDIA.
    name: "provider's key",
    pattern: /\b(sk|pk|rk|gsk|xai|csk|pplx|nvapi)-[\w-]{8,}/g,
    shown: `$1-${REDACTED}`,
    standsAlone: true,
  },
  {
    // Groq, Hugging Face, Replicate, Google, AWS, GitHub.
    name: "key with a prefix",
    pattern: /\b(gsk_|hf_|r8_|AIza|AKIA|gh[opsu]_)[\w-]{16,}/g,
    shown: `$1${REDACTED}`,
    standsAlone: true,
  },
] as const satisfies readonly SecretShape[];

const FIELD_SHAPES = SECRET_SHAPES.filter(({ standsAlone }) => standsAlone);

/** A longer text is none of these. */
const MAX_SHAPE = 8 * 1024;

const NAME_PARTS = SECRET_NAME_PARTS.join("|");
const NAMES = SECRET_NAMES.join("|");
const FIELD_ENDS = SECRET_FIELD_ENDS.join("|").replaceAll("_", "[-_]?");
const FIELDS = SECRET_FIELDS.join("|");

const SECRET_NAME = new RegExp(`${NAME_PARTS}|^(?:${NAMES})$`, "i");

const SECRET_FIELD = new RegExp(`(?:${FIELD_ENDS})$|^(?:${FIELDS})$`, "i");

/** A whole name of a header or a query parameter that carries a key: `?key=` is Google's. */
const CREDENTIAL_NAME = /^(?:x[-_])?(?:dpop|key|sig|signature|token)$/i;

const SCHEME = new RegExp(`^\\s*(?:${SCHEMES.join("|")})(?:\\s+|$)`, "i");

/** A query's field that is not in a whole URL: `/topics/t?access_token=...`. */
const QUERY_FIELD = new RegExp(
  `([?&])([\\w.%-]{0,64}?(?:${NAME_PARTS})[\\w.%-]{0,64}|${NAMES})=[^\\s&#"'<>]+`,
  "gi",
);

/**
 * A header or a field that is quoted with its name. Its value has to have more
 * than letters: messages say `apiKey: Expected ...`.
 */
const QUOTED_FIELD = new RegExp(
  `(?<![\\w-])([\\w-]{0,64}?(?:${FIELD_ENDS})|${FIELDS})(\\\\?["']?\\s*[:=]\\s*\\\\?["']?(?:(?:${
    SCHEMES.join("|")
  })\\s+)?)(?=[^\\s"',;&\\\\]{0,200}[\\d_+/=~-])[^\\s"',;&\\\\]{${MIN_LENGTH},}`,
  "gi",
);

/** A scheme and something after it, as a whole value; prompts begin with the others too. */
const BEARER = /^\s*bearer\s+(?=\S*[^a-z\s])\S+\s*$/i;

/** Names of a JSON body's fields that hold URLs. */
const URL_FIELD = /ur[il]$/i;

/** Whether a header, a query parameter or a property of this name may hold a secret. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !INNOCENT_NAME.test(name);
}

/**
 * Whether a header or a query parameter of this name says who asks: it carries a
 * key or a token, and nothing else.
 *
 * Fewer than the secret names: a `session_id` may be a secret, and names no caller.
 */
export function isCredentialName(name: string): boolean {
  return SECRET_FIELD.test(name) || CREDENTIAL_NAME.test(name);
}

/** Whether a header is a secret, by its name or by its value. */
export function isSecretHeader(name: string, value: string): boolean {
  return isSecretName(name) || hasScheme(value) || isSecretShape(value);
}

/** Whether a field of a JSON body is a secret, by its name or by its value. */
export function isSecretField(name: string, value: unknown): value is string {
  return typeof value === "string" &&
    (SECRET_FIELD.test(name) || BEARER.test(value) ||
      hasShape(value, FIELD_SHAPES));
}

/** Whether a field of a JSON body holds a URL, whose query may hold secrets. */
export function isUrlField(name: string): boolean {
  return URL_FIELD.test(name);
}

/** Whether a field of a JSON body holds headers, as those of a tool do. */
export function isHeadersField(name: string): boolean {
  return /headers?$/i.test(name);
}

/** Whether the whole of a text has the shape of a secret. */
export function isSecretShape(text: string): boolean {
  return hasShape(text, SECRET_SHAPES);
}

function hasShape(text: string, shapes: readonly SecretShape[]): boolean {
  if (text.length > MAX_SHAPE) return false;
  const trimmed = text.trim();
  return shapes.some(({ pattern }) => trimmed.match(pattern)?.[0] === trimmed);
}

/** Takes out of a text what has the shape of a secret. */
export function redactShapes(text: string): string {
  text = text.replaceAll(
    QUERY_FIELD,
    (field, mark, name) =>
      isSecretName(name) ? `${mark}${name}=${REDACTED}` : field,
  ).replaceAll(QUOTED_FIELD, `$1$2${REDACTED}`);
  for (const { pattern, shown } of SECRET_SHAPES) {
    text = text.replaceAll(pattern, shown);
  }
  return text;
}

/**
 * Returns the parts of a value that are secrets each: of `Bearer KEY` the key, of
 * `a=COOKIE; b=COOKIE` the whole, and what it consists of.
 */
export function partsOf(value: string): string[] {
  const whole = value.replace(SCHEME, "").trim();
  return [whole, ...whole.split(/[\s,;="]+/)].filter((part) =>
    part.length >= MIN_LENGTH && !SCHEME.test(part)
  );
}

/**
 * Whether a value is a word that innocent text contains: a setting of a cookie,
 * or the `ollama` that local servers take for a key.
 */
export function isWord(value: string): boolean {
  return value.length < MIN_LENGTH_IN_EVENTS && /^[a-z]*$/i.test(value);
}

/** Returns a secret as it is, and as it is written in JSON and in URLs. */
export function formsOf(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  return [
    secret,
    json,
    json.replaceAll("/", "\\/"),
    percentEncoded(secret),
  ];
}

function hasScheme(value: string): boolean {
  return SCHEME.test(value) && value.replace(SCHEME, "").trim() !== "";
}

function percentEncoded(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    return text; // half of a surrogate pair has no such form
  }
}
