import { assertEquals } from "@std/assert";
import { secretsOf } from "../../../src/fetch/secrets/request_secrets.ts";

Deno.test("secretsOf finds keys in headers and queries", () => {
  const found = secretsOf({
    url:
      "https://example.com/v1/x?key=e-1234&api_key=f-1234&access_token=g-1234&sig=h-1234&model=i-1234&key=",
    headers: new Headers({
      "authorization": "bearer  a-1234",
      "x-api-key": "b-1234",
      "api-key": "c-1234",
      "x-other": "d-1234",
      "idempotency-key": "j-1234",
    }),
  });
  const letters = found.map((secret) => secret[0]).sort();
  assertEquals(letters, ["a", "b", "c", "e", "f", "g", "h"]);
  assertEquals(found.every((secret) => secret.endsWith("-1234")), true);
});

Deno.test("secretsOf finds the user and the password of a URL, decoded too", () => {
  assertEquals(
    secretsOf({ url: "https://user-1:pass%2F2@h/", headers: [] }),
    ["user-1", "pass%2F2", "pass/2"],
  );
});

Deno.test("secretsOf finds the fields of a body, and those of headers in it", () => {
  const body = {
    max_tokens: "123456",
    tools: [{
      authorization: "Bearer tool-key-1",
      server_url: "https://h/?sig=tool-key-2&a=innocent-1",
      headers: { "X-Session": "tool-key-3", "X-Other": "innocent-2" },
      session: "innocent-3",
    }],
  };
  for (const given of [body, JSON.stringify(body)]) {
    assertEquals(
      secretsOf({ url: "/v1", headers: [], body: given }).sort(),
      ["tool-key-1", "tool-key-2", "tool-key-3"],
    );
  }
  assertEquals(secretsOf({ url: "/v1", headers: [], body: "no JSON" }), []);
});

Deno.test("secretsOf reads a body that is nested more deeply than calls can be", () => {
  const depth = 100_000;
  let body: unknown = { api_key: "deep-key-1" };
  for (let i = 0; i < depth; i++) body = [body];
  assertEquals(secretsOf({ url: "/v1", headers: [], body }), ["deep-key-1"]);
});
