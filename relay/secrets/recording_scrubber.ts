import {
  isHeadersField,
  isSecretField,
  isSecretHeader,
  isSecretName,
  isSecretShape,
  isUrlField,
  isWord,
  MIN_LENGTH,
  REDACTED,
} from "../../src/fetch/secrets/definition.ts";
import { secretsOf } from "../../src/fetch/secrets/request_secrets.ts";
import { SecretReplacer } from "../../src/fetch/secrets/secret_replacer.ts";
import { queryFields } from "../../src/fetch/secrets/urls.ts";
import { cleaned } from "./long_text.ts";

/** A request that is recorded, and the keys that are known without it. */
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
 * Takes the secrets of one request out of what is recorded of it and of its
 * answer.
 *
 * Secrets are the keys that it is told, and those that it finds in the request.
 * They are removed wherever they appear whole, since providers quote what they
 * refuse. A secret that an answer spreads over several events is not found.
 */
export class RecordingScrubber {
  readonly #secrets: SecretReplacer;

  /** Learns the secrets of a request. */
  constructor({ secrets, path, headers, body }: ScrubbedRequest) {
    const found = secretsOf({ url: path, headers, body });
    this.#secrets = new SecretReplacer([
      ...secrets.filter(({ length }) => length >= MIN_LENGTH),
      ...found.filter((secret) => !isWord(secret)),
    ]);
  }

  /** Takes the secrets out of a text. */
  text(text: string): string {
    return this.#secrets.text(text);
  }

  /** Takes the secrets out of a text that may be long, in steps. */
  *longText(text: string): Generator<void, string> {
    return yield* cleaned(this.#secrets, text);
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
        isSecretHeader(name, value) ? REDACTED : this.text(value),
      ]),
    );
  }

  /** Takes the secrets out of a copy of what JSON became. */
  json(value: unknown): unknown {
    return this.#json(value, false);
  }

  #json(value: unknown, isHeaders: boolean): unknown {
    if (typeof value === "string") return this.text(value);
    if (typeof value === "number") {
      const text = String(value);
      return this.text(text) === text ? value : REDACTED;
    }
    if (Array.isArray(value)) return value.map((item) => this.json(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => [
        this.text(name),
        this.#field(name, field, isHeaders),
      ]),
    );
  }

  #field(name: string, field: unknown, isHeaders: boolean): unknown {
    if (typeof field !== "string") {
      return this.#json(field, isHeadersField(name));
    }
    if (isSecretField(name, field)) return REDACTED;
    if (isHeaders && isSecretHeader(name, field)) return REDACTED;
    return this.text(isUrlField(name) ? maskQuery(field) : field);
  }
}

function maskQuery(url: string): string {
  const query = url.indexOf("?");
  const head = query < 0 ? url : url.slice(0, query);
  const shown = head.replace(
    /^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i,
    `$1${REDACTED}@`,
  );
  if (query < 0) return shown;
  const fields = queryFields(url).map(({ text, name, value }) =>
    value !== "" && (isSecretName(name) || isSecretShape(value))
      ? `${text.slice(0, text.indexOf("="))}=${REDACTED}`
      : text
  );
  return `${shown}?${fields.join("&")}`;
}
