import { assert, assertEquals } from "@std/assert";
import {
  isSecretField,
  isSecretHeader,
  isSecretName,
  redactShapes,
  SECRET_FIELD_ENDS,
  SECRET_FIELDS,
  SECRET_NAME_PARTS,
  SECRET_NAMES,
  SECRET_SHAPES,
} from "../../../src/fetch/secrets/definition.ts";
import { assertLinear } from "../../support/linear.ts";
import { SHAPE_EXAMPLES } from "../../support/secrets/secret_cases.ts";

Deno.test("isSecretName knows every name of the definition, however it is written", () => {
  for (const part of SECRET_NAME_PARTS) {
    for (const name of [part, `X-${part.toUpperCase()}-Id`, `my_${part}`]) {
      assert(isSecretName(name), name);
    }
  }
  for (const name of SECRET_NAMES) {
    assert(isSecretName(name) && isSecretName(name.toUpperCase()), name);
    assert(!isSecretName(`x${name}x`), name);
  }
});

Deno.test("isSecretName knows names that only sound like secrets", () => {
  for (
    const name of [
      "anthropic-ratelimit-tokens-limit",
      "author",
      "authority",
      "content-type",
      "idempotency-key",
      "keyword",
      "keywords",
      "max_completion_tokens",
      "max_tokens",
      "openai-organization",
      "prompt_cache_key",
      "promptCacheKey",
      "signal",
      "tokenizer",
      "www-authenticate",
      "x-compass",
      "x-rate-limit-tokens",
      "x-ratelimit-remaining-tokens",
      "x-request-id",
    ]
  ) assert(!isSecretName(name), name);
});

Deno.test("isSecretField knows every field of the definition, and each is a secret name", () => {
  for (const end of SECRET_FIELD_ENDS) {
    for (const separator of ["_", "-", ""]) {
      const field = end.replaceAll("_", separator);
      for (
        const name of [field, field.toUpperCase(), `my${separator}${field}`]
      ) {
        assert(isSecretField(name, "a"), name);
        assert(isSecretName(name), name);
      }
    }
    assert(!isSecretField(end, 5), end);
  }
  for (const name of SECRET_FIELDS) assert(isSecretField(name, "a"), name);
});

Deno.test("isSecretField knows fields that bodies have, and that are no secret", () => {
  for (
    const [name, value] of [
      ["content", "Basic arithmetic"],
      ["content", "Bearer bonds"],
      ["content", "Token rings"],
      ["content", "My key is sk-proj-0123456789, keep it"],
      ["key", "color"],
      ["max_tokens", "100"],
      ["prompt_cache_key", "user-1"],
      ["session", "12"],
      ["signature", "Abc+/1=="],
      ["special_token", "<|end|>"],
    ] as const
  ) assert(!isSecretField(name, value), name);
});

Deno.test("A value of each shape is a secret, whatever it is called", () => {
  for (const { name, standsAlone } of SECRET_SHAPES) {
    const example = SHAPE_EXAMPLES[name];
    assert(isSecretHeader("x-any", example), name);
    assert(isSecretHeader("x-any", ` ${example} `), name);
    if (standsAlone) assert(isSecretField("any", example), name);
  }
});

Deno.test("redactShapes takes every shape out of a text", () => {
  for (const [name, example] of Object.entries(SHAPE_EXAMPLES)) {
    const tail = example.slice(-10);
    for (
      const text of [
        example,
        `refused: ${example}, try again`,
        `"${example}"`,
        `(${example})`,
        `?any=${example}&b`,
        JSON.stringify({ any: [example] }),
      ]
    ) {
      const shown = redactShapes(text);
      assert(!shown.includes(tail), `${name}: ${shown}`);
      assert(shown.includes("[redacted]"), `${name}: ${shown}`);
      assertEquals(redactShapes(shown), shown);
    }
  }
});

Deno.test("redactShapes takes out what is quoted with the name of a secret", () => {
  for (const name of [...SECRET_FIELD_ENDS, ...SECRET_FIELDS]) {
    for (
      const text of [
        `${name}: hidden-1`,
        `${name}=hidden-1`,
        `x-my-${name}: Basic hidden-1`,
        JSON.stringify({ [name]: "hidden-1" }),
        JSON.stringify(JSON.stringify({ [name]: "hidden-1" })),
        `error: ${name}=hidden-1, retrying`,
      ]
    ) {
      const shown = redactShapes(text);
      assert(!shown.includes("hidden"), shown);
      assertEquals(redactShapes(shown), shown);
    }
  }
  for (const part of [...SECRET_NAME_PARTS, ...SECRET_NAMES]) {
    assertEquals(
      redactShapes(`GET /t?a=http://h/?${part}=b&c=d`),
      `GET /t?a=http://h/?${part}=[redacted]&c=d`,
    );
  }
});

Deno.test("redactShapes leaves innocent text as it is", () => {
  for (
    const text of [
      "Basic authentication is required",
      "Expected a bearer of news",
      "Invalid token: expected JSON at position 5",
      "apiKey: Expected a key without spaces",
      "max_tokens: 100, prompt_cache_key=user-1",
      "task-0123456789 of desk-0123456789",
      "/topics/t?author=somebody&max_tokens=4096#key",
      "x-ratelimit-remaining-tokens: 99999999",
      '{"signature":"Abc0123456789+/1=="}',
      "eyJust-a-word",
    ]
  ) assertEquals(redactShapes(text), text);
});

Deno.test("redactShapes takes linear time, whatever the text", async () => {
  for (
    const piece of [
      "eyJ-",
      "-eyJaaaaaaaa-",
      "a-.b-.",
      "eyJaaaaaaaa.",
      "a",
      "a:",
      "key=",
      "?key",
      "?a=",
      "token: ",
      " ",
      "\\",
      '"',
      "Bearer ",
      "https://",
      "sk-",
    ]
  ) {
    await assertLinear((length) => {
      redactShapes(piece.repeat(Math.ceil(length / piece.length)));
    }, 1 << 18);
  }
});
