/**
 * Wrong inputs, by the way in which they come; what is answered to each stands in
 * `tests/relay/wrong_inputs.txt`.
 *
 * @module
 */

/** A secret that must not be repeated to anybody. */
export const SECRET = "s3cret-0123456789";

/** A command line, with variables of the environment. */
export interface WrongCommand {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

function flags(...args: string[]): WrongCommand {
  return { args };
}

function variable(name: string, value: string): WrongCommand {
  return { args: [], env: { [name]: value } };
}

function file(name: string): WrongCommand {
  return { args: ["--config", `CONFIG/${name}.json`] };
}

/** The files that the commands name. */
export const FILES: Readonly<Record<string, string>> = {
  "broken.json": `{"jwtKey": "${SECRET}"`,
  "list.json": "[]",
  "key.json": '{"prot": 1}',
  "type.json": '{"port": true}',
  "nested.json": '{"sources": [{"name": "a"}]}',
  "name.json": '{"sources": [{"name": "a b", "url": "http://h/"}]}',
  "secret.json":
    `{"providers": [{"name": "p", "url": "u", "key": "${SECRET}"}]}`,
  "short.key": SECRET,
  "private.key": "-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n",
  "broken.key": "-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY-----\n",
  "jwk.key": '{"kty": "oct"}',
  "text.sse": "hello\n",
};

// deno-fmt-ignore
/** Command lines that cannot start. */
export const COMMANDS: readonly WrongCommand[] = [
  flags("--nope"), flags("-p"), flags("nope"), flags("tokne"), flags("serve", "nope"), flags("help", "limit"),
  flags("--port"), flags("--port", "x"), flags("--port", "65536"), flags("--port", "-1"), flags("--port", "80.5"), flags("--port", "--host"),
  flags("--host", "0.0.0.0"), flags("--host", ""),
  flags("--ttl", "10"), flags("--ttl", "soon"), flags("--heartbeat", "0s"), flags("--drain", "never"),
  flags("--max-topics", "0"), flags("--max-topics", "many"), flags("--max-body", "16MB"), flags("--max-message-rate", "-1"),
  flags("--on-slow", "cry"), flags("--log-level", "loud"), flags("--log-format", "xml"), flags("--insecure-open=yes"),
  flags("--source", "http://h/"), flags("--source", "a=b"), flags("--source", "a=ftp://h/"), flags("--source", ".a=http://h/"), flags("--source", "a b=http://h/"), flags("--source", `a=http://u:${SECRET}@h h/`),
  flags("--source", "a=http://h/", "--source", "a=http://i/"), flags("--source-timeout", "1"),
  flags("--fixture", "a"), flags("--fixture", "a=CONFIG/text.sse"), flags("--fixture", "a=CONFIG/nowhere.sse"),
  flags("--provider", "opnai"), flags("--provider", "p=h"), flags("--provider", "topics=http://h/v1"), flags("--provider", "openai", "--provider", "openai"),
  flags("--chat", "app"), flags("--chat", "app=/api/chat"), flags("--chat", "app=ftp://h"), flags("--chat", "my app=http://h"), flags("--chat", "app=http://h,share"), flags("--chat", "app=http://h,shared=yes"), flags("--chat", "app=http://h", "--chat", "app=http://g"),
  flags("--record", "CONFIG/text.sse"), flags("--record-max-age", "7d"),
  flags("--store", "store.db"), flags("--store", ""), flags("--store", "sqlite:"), flags("--store", "sqlite:CONFIG/store.db?sync=off"), flags("--store", "sqlite:CONFIG/store.db?mode=ro"), flags("--store", "sqlite:CONFIG/nowhere/store.db"), flags("--store", "sqlite:CONFIG/text.sse"), flags("--store", "unix:"), flags("--store", "https://user:secret@parent.example.com"), flags("--store", "http://parent.example.com/path"), flags("--store", "ftp://parent.example.com"), flags("--workers", "0"), flags("--workers", "two"), flags("--workers", "2", "--links", "yes"), flags("--workers", "9999"), flags("--store", "nats://"), flags("--store", "nats://h:99999"), flags("--store", "nats://h?replicas=9"), flags("--store", "nats://h?replica=3"), flags("--store", "nats://h/topics"), flags("--store", "http://127.0.0.1:1", "--store-token", ""), flags("--store", "http://127.0.0.1:1", "--store-token", "a b"), flags("--store-token", "a.b.c"), flags("--store", "sqlite:CONFIG/store.db", "--store-token", "a.b.c"), flags("--link-name", "edge"), flags("--store", "http://127.0.0.1:1", "--store-token-file", "CONFIG/nowhere.key"), flags("--max-store", "10GB"), flags("--max-store", "0"), flags("--store", "nats://h", "--max-store", "1GiB"), flags("--store", "http://127.0.0.1:1", "--max-store", "1GiB"),
  flags("--origin", "app.example.com"), flags("--origin", "https://app.example.com/"), flags("--trusted-proxy", "proxy"), flags("--allow-source", "h"), flags("--allow-address", "10.0.0.0/99"), flags("--allow-provider-path", "files"),
  flags("--jwt-key", SECRET), flags("--jwt-key", `https://h/?k=${SECRET}`), flags("--jwks", "keys.example"), flags("--jwks", SECRET), flags("--jwks", "http://h/", "--jwt-key", `${SECRET}${SECRET}`),
  flags("--jwt-key-file", "CONFIG/nowhere.key"), flags("--jwt-key-file", "CONFIG/short.key"), flags("--jwt-key-file", "CONFIG/private.key"), flags("--jwt-key-file", "CONFIG/broken.key"), flags("--jwt-key-file", "CONFIG/jwk.key"),
  file("nowhere"), file("broken"), file("list"), file("key"), file("type"), file("nested"), file("name"), file("secret"),
  variable("RIVULET_PORT", "x"), variable("RIVULET_TTL", "1"), variable("RIVULET_SOURCE", "news"), variable("RIVULET_JWT_KEY", SECRET), variable("RIVULET_INSECURE_OPEN", "maybe"),
];

/** A request over HTTP. */
export interface WrongRequest {
  readonly target: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const JSON_TYPE = { "Content-Type": "application/json" };

function post(
  target: string,
  body: string,
  headers: Readonly<Record<string, string>> = JSON_TYPE,
): WrongRequest {
  return { target, method: "POST", body, headers };
}

function put(body: string): WrongRequest {
  return { target: "/topics/t", method: "PUT", body, headers: JSON_TYPE };
}

function token(value: string): WrongRequest {
  return { target: "/topics", headers: { Authorization: `Bearer ${value}` } };
}

// deno-fmt-ignore
/** Requests that an open relay refuses. */
export const REQUESTS: readonly WrongRequest[] = [
  { target: "/nowhere" }, { target: "/topics/t", method: "PATCH" }, { target: "/topics/a%20b" }, { target: "/topics/.a" }, { target: "/topics/%ff" }, { target: `/topics/${"a".repeat(129)}` },
  { target: "/topics/t?after=x" }, { target: "/topics/t?mode=fast", headers: { Accept: "text/event-stream" } }, { target: "/topics/none", headers: { Accept: "application/json" } }, { target: "/topics/ended?limit=0", headers: { Accept: "application/json" } }, { target: "/topics/t", headers: { Accept: "text/html" } },
  { target: "/topics/none", method: "DELETE" }, { target: "/topics/none/end", method: "POST" },
  post("/topics/t", "x", { "Content-Type": "text/html" }), post("/topics/t", "x"), post("/topics/t", "[]"), post("/topics/t", '{"data":1}'), post("/topics/t", '{"text":"a"}'), post("/topics/t", '{"data":"a","event":"a\\nb"}'), post("/topics/ended", '{"data":"a"}'),
  post("/topics/ended/end", '{"status":"done"}'), post("/topics/ended/end", '{"status":"failed"}'), post("/topics/ended/cancel", '{"reason":1}'),
  put("x"), put("[]"), put('{"source":"http://h/"}'), put('{"source":{"url":"h"}}'), put('{"source":{"url":"http://h/"}}'), put(`{"source":{"url":"http://h/","headers":{"Host":"${SECRET}"}}}`), put(`{"source":{"url":"http://h/","headers":{"a b":"${SECRET}"}}}`),
  { target: "/topics/t", headers: { Origin: "https://app.example.com" } }, { target: "/ws" },
];

const ENDED = "/topics/ended";

/** Requests with headers that are rarely wrong. */
export const HEADERS: readonly WrongRequest[] = [
  post("/topics/t", "x", { "Content-Encoding": "compress", ...JSON_TYPE }),
  post("/topics/t", "x", { "Content-Encoding": "gzip", ...JSON_TYPE }),
  post("/topics/t", "x", { "Content-Type": "application/json;;" }),
  post("/topics/t", "x", { "Content-Type": "" }),
  { target: ENDED, headers: { "Sec-Fetch-Site": "cross-site" } },
  { target: ENDED, headers: { Origin: "null" } },
];

/** Requests that a relay with a provider refuses. */
export const RUNS: readonly WrongRequest[] = [
  post("/v1/responses", "{}", { "Rivulet-Topic": "a b", ...JSON_TYPE }),
  post("/v1/responses", "{}", { "Rivulet-On-Disconnect": "no", ...JSON_TYPE }),
  post("/v1/responses", "{}", {
    "Idempotency-Key": "a".repeat(256),
    ...JSON_TYPE,
  }),
  post("/v1/..%2fadmin", "{}"),
];

/** Tokens that a relay with a key refuses. */
export const TOKENS: readonly WrongRequest[] = [
  { target: "/topics" },
  token(SECRET),
  token(`${SECRET}.${SECRET}.${SECRET}`),
  token(`eyJhbGciOiJub25lIn0.${SECRET}.`),
  token(`eyJhbGciOiJIUzI1NiJ9.e30.${SECRET}`),
  token("a".repeat(9_000)),
  { target: "/topics", headers: { Authorization: `Basic ${SECRET}` } },
  {
    target: "/topics",
    headers: { Authorization: `Bearer ${SECRET}`, "Rivulet-Token": "other" },
  },
];

// deno-fmt-ignore
/** Messages over a WebSocket that are refused. */
export const MESSAGES: readonly string[] = [
  "{}", '{"type":"shout"}', '{"type":"subscribe"}', '{"type":"subscribe","topic":"a b"}', '{"type":"subscribe","topic":"t","after":"x"}', '{"type":"subscribe","topic":"t","mode":"fast"}', '{"type":"subscribe","topic":"t","window":0}',
  '{"type":"publish","topic":"t"}', '{"type":"publish","topic":"t","events":[{"data":1}]}', '{"type":"publish","topic":"ended","events":[{"data":"a"}]}', '{"type":"cancel","topic":"none"}',  "x", "[]",
];
