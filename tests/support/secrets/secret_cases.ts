/**
 * A request with a secret in every place that the definition knows, and one with
 * innocent values in places that look alike.
 *
 * @module
 */
import {
  SCHEMES,
  SECRET_FIELD_ENDS,
  SECRET_FIELDS,
  SECRET_NAME_PARTS,
  SECRET_NAMES,
  type SECRET_SHAPES,
} from "../../../src/fetch/secrets/definition.ts";

/** A value in a request. */
export interface RequestValue {
  /** The part of the request that holds the value. */
  readonly part: "header" | "query" | "body";
  /** Its name there, or its shape. */
  readonly name: string;
  /** The value as a provider quotes it. */
  readonly value: string;
}

/** A request, and the values in it that are looked for. */
export interface QuotedRequest {
  /** Its query, with `?`. */
  readonly query: string;
  /** Its headers. */
  readonly headers: Readonly<Record<string, string>>;
  /** Its body. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The values. */
  readonly values: readonly RequestValue[];
}

/** An example of every shape; without one, this does not compile. */
export const SHAPE_EXAMPLES: Readonly<
  Record<typeof SECRET_SHAPES[number]["name"], string>
> = {
  "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0YWJsZSJ9.c2lnbmF0dXJl",
  "credentials": "Bearer shape-credentials-0123456789",
  "subprotocol": "bearer.c2hhcGUtc3VicHJvdG9jb2w",
  "provider's key": "sk-proj-shape-0123456789",
  "key with a prefix": "AIzaSyShape0123456789012345678901234567",
};

/** Names that providers and clouds give to their keys. */
const REAL_NAMES = {
  headers: [
    "api-key",
    "cf-access-jwt-assertion",
    "ocp-apim-subscription-key",
    "openai-ephemeral-token",
    "x-amz-security-token",
    "x-api-key",
    "x-goog-api-key",
    "x-hub-signature",
    "x-session-id",
  ],
  query: [
    "X-Amz-Credential",
    "X-Amz-Signature",
    "access_token",
    "api_key",
    "key",
    "sig",
  ],
  fields: ["apiKey", "x-goog-api-key", "client_secret", "Authorization"],
} as const;

/** Names that look like secrets, and are none. */
const INNOCENT_NAMES = {
  headers: [
    "anthropic-ratelimit-tokens-limit",
    "idempotency-key",
    "openai-organization",
    "x-author",
    "x-keyword",
    "x-max-tokens",
    "x-ratelimit-remaining-tokens",
    "x-request-id",
  ],
  query: ["author", "max_tokens", "model", "prompt_cache_key"],
  fields: [
    "key",
    "max_completion_tokens",
    "max_tokens",
    "prompt_cache_key",
    "session",
    "signature",
  ],
} as const;

/** Makes a request with a secret under every name and of every shape. */
export function requestWithSecrets(): QuotedRequest {
  let count = 0;
  const values: RequestValue[] = [];
  const add = (
    part: RequestValue["part"],
    name: string,
    value?: string,
  ): string => {
    count++;
    values.push({
      part,
      name,
      value: value ?? `hidden-${count.toString().padStart(4, "0")}-0123456789`,
    });
    return values.at(-1)!.value; // pushed above
  };
  const headers: Record<string, string> = {};
  const parts = SECRET_NAME_PARTS.map((part) => `x-${part}-1`);
  for (
    const name of new Set([...parts, ...SECRET_NAMES, ...REAL_NAMES.headers])
  ) {
    headers[name] = add("header", name);
  }
  for (const scheme of SCHEMES) {
    headers[`x-scheme-${scheme}`] = `${scheme} ${
      add("header", `scheme ${scheme}`)
    }`;
  }
  headers["x-cookies"] = `sid=${
    add("header", "cookie among others")
  }; theme=dark`;
  for (const [shape, example] of Object.entries(SHAPE_EXAMPLES)) {
    headers[`x-shape-${count}`] = add("header", shape, example);
  }
  const query = new URLSearchParams();
  for (
    const name of new Set([
      ...SECRET_NAME_PARTS,
      ...SECRET_NAMES,
      ...REAL_NAMES.query,
    ])
  ) query.set(name, add("query", name));
  const tool: Record<string, unknown> = { type: "mcp" };
  for (
    const name of new Set([
      ...SECRET_FIELD_ENDS,
      ...SECRET_FIELDS,
      ...REAL_NAMES.fields,
    ])
  ) tool[name] = add("body", name);
  tool["headers"] = { "x-session": add("body", "header") };
  tool["server_url"] = `https://h/?sig=${add("body", "URL")}`;
  tool["quoted"] = {
    api_key: add("body", "key with quotes", 'a"quoted"-key-0123'),
  };
  return {
    query: `?${query}`,
    headers,
    body: { tools: [tool] },
    values,
  };
}

/** Makes a request with nothing that is secret in it. */
export function innocentRequest(): QuotedRequest {
  let count = 0;
  const values: RequestValue[] = [];
  const fill = (
    part: RequestValue["part"],
    names: readonly string[],
  ): Record<string, string> =>
    Object.fromEntries(names.map((name) => {
      count++;
      const value = `innocent-${count.toString().padStart(4, "0")}-0123456789`;
      values.push({ part, name, value });
      return [name, value];
    }));
  const query = new URLSearchParams(fill("query", INNOCENT_NAMES.query));
  const headers = fill("header", INNOCENT_NAMES.headers);
  const body = fill("body", INNOCENT_NAMES.fields);
  return { query: `?${query}`, headers, body: { thinking: body }, values };
}

/** Makes groups of a few values each, to be quoted in one message. */
export function groupsOf<T>(values: readonly T[], size: number): T[][] {
  const groups: T[][] = [];
  for (let i = 0; i < values.length; i += size) {
    groups.push(values.slice(i, i + size));
  }
  return groups;
}
