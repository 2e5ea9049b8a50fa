/** What stands where a secret was. */
const MASK = "[redacted]";

/** Headers, and fields of a URL's query, that hold a secret, or may. */
const SECRET_NAME =
  /assertion|auth|bearer|cookie|credential|dpop|jwt|key|passw|secret|session|^sig$|signature|token/i;

/** Names that only sound like it. */
const HARMLESS_NAME = /ratelimit|^idempotency-key$/i;

/**
 * Fields of a JSON body that hold a secret: a tool's `authorization`, say. Not
 * `max_tokens`, `prompt_cache_key` or the `signature` of a model's thinking.
 */
const SECRET_FIELD =
  /(?:auth|authorization|cookie|credentials?|jwt|password|passwd|secret|(?:access|api|private|secret)[-_]?key|(?:access|api|auth|bearer|id|refresh|security|session)[-_]?token|^token)$/i;

/** Fields of a JSON body that hold a URL. */
const URL_FIELD = /ur[il]$/i;

/** A header's value that says itself that it is a key. */
const CREDENTIALS = /^\s*(?:apikey|basic|bearer|digest|token)\s+\S/i;

/** The same of a body's field, where a prompt may begin with any of those words. */
const BEARER = /^\s*bearer\s+(?=\S*[^a-z\s])\S+\s*$/i;

/** Shorter values would be found in, and cut out of, innocent text. */
const MIN_SECRET_LENGTH = 6;

/** Where a request may have secrets. */
export interface ScrubbedRequest {
  /** The keys in use; those that are too short to be one are passed over. */
  readonly secrets: readonly string[];
  /** Its path, with its query. */
  readonly path: string;
  /** Its headers. */
  readonly headers: Iterable<readonly [string, string]>;
  /** Its body: what JSON became, or a text. */
  readonly body: unknown;
}

/**
 * Takes the secrets of one request out of what is kept of it and of its answer.
 *
 * It knows the keys that it is told, and those that it finds in the request
 * where requests have them: in headers, queries, and the fields of a body. They
 * are removed wherever they appear whole, since providers quote what they
 * refuse. A secret that an answer spreads over several events is not found.
 */
export class Scrubber {
  /** All that is looked for, the longest first, so that none is hidden by a part of it. */
  readonly #forms: readonly string[];

  /** Learns the secrets of a request. */
  constructor({ secrets, path, headers, body }: ScrubbedRequest) {
    const found = new Set<string>();
    for (const secret of secrets) {
      if (secret.length >= MIN_SECRET_LENGTH) addForms(found, secret);
    }
    for (const [name, value] of headers) {
      if (isSecretHeader(name, value)) addParts(found, value);
    }
    addQuery(found, path);
    addFields(found, body);
    this.#forms = [...found].sort((a, b) => b.length - a.length);
  }

  /** Takes the secrets out of a text. */
  text(text: string): string {
    for (const form of this.#forms) {
      if (text.includes(form)) text = text.replaceAll(form, MASK);
    }
    return text;
  }

  /** Takes the secrets out of a path, and the values of its query that may be one. */
  path(path: string): string {
    return this.text(maskQuery(path));
  }

  /** Takes the secrets out of headers, and the values of those that may be one. */
  headers(
    headers: Iterable<readonly [string, string]>,
  ): Record<string, string> {
    return Object.fromEntries(
      Array.from(headers, ([name, value]) => [
        name,
        isSecretHeader(name, value) ? MASK : this.text(value),
      ]),
    );
  }

  /** Takes the secrets out of a copy of what JSON became. */
  json(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (typeof value === "number") {
      const text = String(value);
      return this.text(text) === text ? value : MASK;
    }
    if (Array.isArray(value)) return value.map((item) => this.json(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => [
        this.text(name),
        isSecretField(name, field) ? MASK : this.json(
          URL_FIELD.test(name) && typeof field === "string"
            ? maskQuery(field)
            : field,
        ),
      ]),
    );
  }
}

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !HARMLESS_NAME.test(name);
}

function isSecretHeader(name: string, value: string): boolean {
  return isSecretName(name) || CREDENTIALS.test(value);
}

function isSecretField(name: string, value: unknown): value is string {
  return typeof value === "string" &&
    (SECRET_FIELD.test(name) || BEARER.test(value));
}

function addFields(found: Set<string>, value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const [name, field] of Object.entries(value)) {
    if (isSecretField(name, field)) addParts(found, field);
    else if (typeof field !== "string") addFields(found, field);
    else if (URL_FIELD.test(name)) addQuery(found, field);
  }
}

/** `Bearer KEY`, `a=COOKIE; b=COOKIE`: the whole, and what it consists of. */
function addParts(found: Set<string>, value: string): void {
  for (const part of [value, ...value.split(/[\s,;="]+/)]) {
    // A word is a scheme, or a setting such as a cookie's, or the `ollama` that
    // some servers take for a key: innocent text is full of it.
    if (part.length >= MIN_SECRET_LENGTH && !/^[a-z]*$/i.test(part)) {
      addForms(found, part);
    }
  }
}

function addQuery(found: Set<string>, url: string): void {
  for (const { name, value } of queryOf(url)) {
    if (value === "" || !isSecretName(name)) continue;
    addParts(found, value);
    addParts(found, decode(value));
  }
}

function maskQuery(url: string): string {
  const query = url.indexOf("?");
  const head = query < 0 ? url : url.slice(0, query);
  const shown = head.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, `$1${MASK}@`);
  if (query < 0) return shown;
  const fields = queryOf(url).map(({ text, name, value }) =>
    value !== "" && isSecretName(name)
      ? `${text.slice(0, text.indexOf("="))}=${MASK}`
      : text
  );
  return `${shown}?${fields.join("&")}`;
}

function queryOf(
  url: string,
): { readonly text: string; readonly name: string; readonly value: string }[] {
  const query = url.indexOf("?");
  if (query < 0) return [];
  return url.slice(query + 1).split("&").map((text) => {
    const equals = text.indexOf("=");
    return equals < 0 ? { text, name: decode(text), value: "" } : {
      text,
      name: decode(text.slice(0, equals)),
      value: text.slice(equals + 1),
    };
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not percent-encoded UTF-8: it has no other form
  }
}

/** A secret as it is, and as it is written in JSON and in URLs. */
function addForms(found: Set<string>, secret: string): void {
  const json = JSON.stringify(secret).slice(1, -1);
  found.add(secret);
  found.add(json);
  found.add(json.replaceAll("/", "\\/"));
  found.add(encodeURIComponent(secret.toWellFormed()));
}
