import { assertEquals } from "@std/assert";
import {
  RecordingScrubber,
  type ScrubbedRequest,
} from "../../../relay/secrets/recording_scrubber.ts";

function scrubberOf(given: Partial<ScrubbedRequest> = {}): RecordingScrubber {
  return new RecordingScrubber({
    secrets: [],
    path: "/v1/responses",
    headers: [],
    body: undefined,
    ...given,
  });
}

Deno.test("RecordingScrubber hides the headers that hold a secret, and no others", () => {
  const scrubber = scrubberOf();
  for (
    const name of [
      "api-key",
      "authorization",
      "cf-access-client-secret",
      "cf-access-jwt-assertion",
      "cookie",
      "dpop",
      "ocp-apim-subscription-key",
      "openai-ephemeral-token",
      "proxy-authorization",
      "set-cookie",
      "x-amz-security-token",
      "x-api-key",
      "x-goog-api-key",
      "x-hub-signature",
      "x-password",
      "x-session-id",
    ]
  ) {
    assertEquals(scrubber.headers([[name, "a"]]), { [name]: "[redacted]" });
  }
  for (
    const [name, value] of [
      ["anthropic-ratelimit-tokens-limit", "100"],
      ["content-type", "application/json"],
      ["idempotency-key", "run-1"],
      ["openai-organization", "org"],
      ["x-ratelimit-remaining-tokens", "99"],
      ["x-request-id", "req_1"],
    ] as const
  ) {
    assertEquals(scrubber.headers([[name, value]]), { [name]: value });
  }
  assertEquals(
    scrubber.headers([["x-any", "Bearer a"], ["x-other", "bearer"]]),
    { "x-any": "[redacted]", "x-other": "bearer" },
  );
});

Deno.test("RecordingScrubber removes elsewhere what headers and queries hold", () => {
  const scrubber = scrubberOf({
    path: "/v1/x?key=a%2Fb+c-1&access_token=%E9-token-2&model=gpt-5",
    headers: [
      ["authorization", "Bearer sk-header-3"],
      ["cookie", "theme=dark; lang=english; sid=cookie-4"],
      ["x-api-key", "ollama"],
      ["idempotency-key", "request-5"],
    ],
  });
  assertEquals(
    scrubber.text("a/b+c-1 a%2Fb+c-1 %E9-token-2 sk-header-3 cookie-4"),
    "[redacted] [redacted] [redacted] [redacted] [redacted]",
  );
  // Words, and what is no secret.
  const innocent = "Bearer ollama english theme dark request-5 gpt-5";
  assertEquals(scrubber.text(innocent), innocent);
});

Deno.test("RecordingScrubber removes a key in each form that it is written in", () => {
  const key = 'a/"b"\\c';
  const scrubber = scrubberOf({ secrets: [key, "lonely\ud800"] });
  for (
    const form of [
      key,
      JSON.stringify(key).slice(1, -1),
      JSON.stringify(key).slice(1, -1).replaceAll("/", "\\/"),
      encodeURIComponent(key),
    ]
  ) {
    assertEquals(scrubber.text(`<${form}${form}>`), "<[redacted][redacted]>");
  }
});

Deno.test("RecordingScrubber hides no part of a longer key", () => {
  const scrubber = scrubberOf({ secrets: ["sk-123", "sk-123-456"] });
  assertEquals(scrubber.text("sk-123-456 sk-123"), "[redacted] [redacted]");
});

Deno.test("RecordingScrubber leaves text alone where a key is too short to be one", () => {
  const scrubber = scrubberOf({ secrets: ["", "a", "EMPTY"] });
  assertEquals(scrubber.text("an EMPTY text"), "an EMPTY text");
});

Deno.test("RecordingScrubber hides the fields of a body that hold a secret, and no others", () => {
  const body = {
    model: "gpt-5",
    max_tokens: 100,
    prompt_cache_key: "user-1",
    input: [
      {
        role: "user",
        content: "Bearer bonds? Token rings? 1234567 tool-key-1",
      },
      { type: "thinking", signature: "Abc+/1==" },
    ],
    tools: [{
      type: "mcp",
      server_url: "https://user:pass@h/mcp?api_key=url-key-2&b=2",
      authorization: "tool-key-1",
      headers: { "X-Api-Key": "tool-key-3", "X-Any": "Bearer tool-key-4" },
    }],
    image_url: "data:image/png;base64,AA",
    account: 1234567,
    text: {
      format: { schema: { properties: { password: { type: "string" } } } },
    },
    __proto__: null,
  };
  const scrubber = scrubberOf({ secrets: ["1234567"], body });
  assertEquals(scrubber.json(body), {
    model: "gpt-5",
    max_tokens: 100,
    prompt_cache_key: "user-1",
    input: [
      {
        role: "user",
        content: "Bearer bonds? Token rings? [redacted] [redacted]",
      },
      { type: "thinking", signature: "Abc+/1==" },
    ],
    tools: [{
      type: "mcp",
      server_url: "https://[redacted]@h/mcp?api_key=[redacted]&b=2",
      authorization: "[redacted]",
      headers: { "X-Api-Key": "[redacted]", "X-Any": "[redacted]" },
    }],
    image_url: "data:image/png;base64,AA",
    account: "[redacted]",
    text: {
      format: { schema: { properties: { password: { type: "string" } } } },
    },
  });
  assertEquals(
    scrubber.text("tool-key-1 url-key-2 tool-key-3 tool-key-4 user-1"),
    "[redacted] [redacted] [redacted] [redacted] user-1",
  );
});

Deno.test("E11: RecordingScrubber hides the secrets of a tool's headers, however they are written", () => {
  // deno-fmt-ignore
  const bodies: unknown[] = [
    { headers: { Authorization: "opaque-1", "X-Api-Key": "opaque-2" } },
    { header: { "X-Auth-Token": "opaque-1" }, http_headers: { "X-Token": "opaque-2" } },
    { headers: { Authorization: ["Bearer opaque-1"], "X-Api-Key": ["opaque-2"] } },
    { headers: { Authorization: { value: "opaque-1" } } },
    { headers: { common: { "X-Session": "opaque-1" } } },
    { headers: [{ name: "Authorization", value: "opaque-1" }, { key: "X-Api-Key", value: "opaque-2" }] },
    { headers: [["Authorization", "opaque-1"]] },
    { headers: ["Authorization: opaque-1"] },
    { headers: "Authorization: opaque-1\nX-Api-Key: opaque-2" },
    { headers: '{"Authorization":"opaque-1","X-Api-Key":"opaque-2"}' },
    { mcp_servers: [{ authorization_token: "opaque-1", api_keys: ["opaque-2"], bearer: "opaque-3" }] },
    { input: [{ type: "function_call", arguments: '{"headers":{"X-Api-Key":"opaque-1"}}' }] },
  ];
  for (const body of bodies) {
    const shown = JSON.stringify(scrubberOf({ body }).json(body));
    assertEquals(shown.includes("opaque"), false, shown);
  }
  for (
    const body of [
      { headers: { "Content-Type": "application/json", "User-Agent": "me/1" } },
      { headers: [["Accept", "text/event-stream"]] },
      { properties: { authorization: { type: "string", title: "headers" } } },
      { content: '{"a": ["b"]}', header: "On tokens: a history" },
    ]
  ) {
    assertEquals(scrubberOf({ body }).json(body), body);
  }
});

Deno.test("RecordingScrubber hides the values of a query that may be secrets", () => {
  const scrubber = scrubberOf();
  for (
    const [path, expected] of [
      ["/v1/x", "/v1/x"],
      ["/v1/x?", "/v1/x?"],
      ["/v1/x?key=a&b", "/v1/x?key=[redacted]&b"],
      ["/v1/x?API_KEY=a=b&c=d?e=f", "/v1/x?API_KEY=[redacted]&c=d?e=f"],
      ["/v1/x?%6Bey=a&key=&%E9=1", "/v1/x?%6Bey=[redacted]&key=&%E9=1"],
    ] as const
  ) {
    assertEquals(scrubber.path(path), expected);
  }
});
