import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { StreamEventsOptions } from "../../../src/fetch/mod.ts";
import { Redactor } from "../../../src/fetch/secrets/redactor.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { RawServer } from "../../support/http/raw_server.ts";
import {
  innocentRequest,
  type QuotedRequest,
  requestWithSecrets,
} from "../../support/secrets/secret_cases.ts";
import {
  answer,
  ScriptedBody,
  streamResponse,
} from "../../support/fetch/scripted_response.ts";
import { streamOnce } from "../../support/fetch/stream_once.ts";

/** Whether the runtime takes URLs with passwords: Node and browsers do not. */
const takesPassword = (() => {
  try {
    return Boolean(new Request("http://user:password@localhost/"));
  } catch {
    return false;
  }
})();

const SECRETS = [
  ...takesPassword ? ["hunter22"] : [],
  "sk-query-secret",
  "sk-header-secret",
  "cookie-secret",
  "api-key-secret",
];

const HEADERS = {
  Authorization: "Bearer sk-header-secret",
  Cookie: "session=cookie-secret",
  "X-Api-Key": "api-key-secret",
};

const withSecrets = (origin: string) =>
  `${
    takesPassword ? origin.replace("://", "://user:hunter22@") : origin
  }/path?access_token=sk-query-secret&v#sk-query-secret`;

/** Asserts that no way of showing an error shows a secret. */
function assertNoSecrets(error: unknown): asserts error is Error {
  assert(error instanceof Error, String(error));
  const shown = [
    String(error),
    error.stack,
    JSON.stringify(error),
    JSON.stringify(error, Object.getOwnPropertyNames(error)),
    Deno.inspect(error, { depth: 20, showHidden: true, getters: true }),
    ...Object.values(error).map((value) =>
      value instanceof Headers ? JSON.stringify([...value]) : String(value)
    ),
  ].join("\n");
  for (const secret of SECRETS) {
    assert(!shown.includes(secret), `${secret} is shown in ${shown}`);
  }
}

/** The error of a stream that is asked for with secrets. */
async function failure(
  options: StreamEventsOptions,
  origin = "http://localhost",
  meanwhile?: () => Promise<void>,
): Promise<unknown> {
  const events = streamOnce(withSecrets(origin), {
    headers: HEADERS,
    ...options,
  });
  const failed = events.next().then(() => undefined, (error) => error);
  await meanwhile?.();
  return await failed;
}

Deno.test("Redactor leaves an error without secrets as it is", () => {
  const redactor = new Redactor({ url: "http://h/?k=secret-1", headers: [] });
  const error = new TypeError("refused", { cause: new Error("why") });
  assertStrictEquals(redactor.thrown(error), error);
  assertStrictEquals(redactor.thrown(42), 42);
  assertEquals(redactor.thrown("no secret-1"), "no [redacted]");
});

Deno.test("Redactor finds the forms that a URL's secrets may have", () => {
  const redactor = new Redactor({
    url: "http://h/?k=a+b%2Fc+d&l=100%25+%E9tc",
    headers: [],
  });
  for (const form of ["a+b%2Fc+d", "a+b/c+d", "a b/c d", "100%25+%E9tc"]) {
    assertEquals(redactor.text(`<${form}>`), "<[redacted]>");
  }
});

Deno.test("Redactor copies an error with secrets without them", () => {
  const redactor = new Redactor({ url: "http://h/?k=secret-1", headers: [] });
  const cause = Object.assign(new Error("at http://h/?k=secret-1"), {
    code: "ECONNREFUSED",
    path: "http://h/?k=secret-1",
    errno: -111,
  });
  const error = new TypeError("fetch failed", { cause });
  const copy = redactor.thrown(error);
  assert(copy instanceof TypeError);
  assertEquals(copy.message, "fetch failed");
  assert(copy.cause instanceof Error);
  assertEquals(copy.cause.message, "at http://h/?k=[redacted]");
  assertEquals({ ...copy.cause }, {
    code: "ECONNREFUSED",
    path: "http://h/?k=[redacted]",
    errno: -111,
  });
  assert(
    !Deno.inspect(copy, { showHidden: true, depth: 9 }).includes("secret-1"),
  );
});

Deno.test("HttpStatusError shows no secret, even if the server does", async () => {
  const told = SECRETS.join(" ");
  const error = await failure({
    fetch: answer(
      new Response(`Incorrect key: ${told}`, {
        status: 401,
        statusText: `No ${told}`,
        headers: { "Set-Cookie": "a=new-cookie", "X-Echo": told },
      }),
    ),
  });
  assertNoSecrets(error);
  assert(
    error.message.includes("http://localhost/path?access_token=[redacted]"),
  );
  assert(!Deno.inspect(error).includes("new-cookie"));
});

/** The error for a server that refuses a request, and quotes all of its values. */
async function quotedError(request: QuotedRequest): Promise<Error> {
  using server = new RawServer();
  const quote = JSON.stringify(request.values.map(({ value }) => value));
  const events = streamOnce(`${server.origin}/path${request.query}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...request.headers },
    body: JSON.stringify(request.body),
  });
  const failed = events.next().then(() => undefined, (error) => error);
  const connection = await server.accept();
  await connection.readHead();
  await connection.write(
    `HTTP/1.1 401 No\r\nContent-Length: ${quote.length}\r\n\r\n${quote}`,
  );
  const error = await failed;
  assert(error instanceof Error, String(error));
  return error;
}

Deno.test("HttpStatusError shows no secret of any name, shape or form", async () => {
  const request = requestWithSecrets();
  const error = await quotedError(request);
  assertEquals(error.name, "HttpStatusError");
  const shown = `${error.message}\n${Deno.inspect(error, { depth: 9 })}`;
  assert(shown.includes("[redacted]"), shown);
  for (const { part, name, value } of request.values) {
    for (const form of [value, JSON.stringify(value).slice(1, -1)]) {
      assert(!shown.includes(form), `The ${part} ${name} is in ${shown}`);
    }
  }
});

Deno.test("HttpStatusError shows what is no secret", async () => {
  const request = innocentRequest();
  const error = await quotedError(request);
  assert("body" in error && typeof error.body === "string");
  for (const { part, name, value } of request.values) {
    // Any value of a query may be a key.
    if (part === "query") continue;
    assert(error.body.includes(value), `The ${part} ${name} is hidden`);
  }
});

Deno.test("NotAnEventStreamError shows no secret", async () => {
  assertNoSecrets(
    await failure({ fetch: answer(Response.json({ headers: HEADERS })) }),
  );
});

Deno.test("ConnectionError shows no secret when nobody listens", async () => {
  const server = new RawServer();
  server[Symbol.dispose]();
  const error = await failure({}, server.origin);
  assertNoSecrets(error);
  assertEquals(error.name, "ConnectionError");
  // Deno's message quotes the whole URL; Node and Bun have other messages.
  const said = /error sending request for url|fetch failed|Unable to connect/;
  assert(said.test(Deno.inspect(error)), Deno.inspect(error));
});

Deno.test("ConnectionError shows no secret when the connection breaks off", async () => {
  using server = new RawServer();
  const error = await failure({}, server.origin, async () => {
    const connection = await server.accept();
    await connection.readHead();
    await connection.write(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n",
    );
    connection[Symbol.dispose]();
  });
  assertNoSecrets(error);
  assertEquals(error.name, "ConnectionError");
});

Deno.test("The timeouts' errors show no secret", async () => {
  const clock = new FakeClock();
  const connect = await failure(
    { clock, fetch: () => new Promise(() => {}) },
    undefined,
    () => clock.advance(30_000),
  );
  assertNoSecrets(connect);
  assertEquals(connect.name, "ConnectTimeoutError");
  const idle = await failure(
    {
      clock,
      idleTimeout: 100,
      fetch: answer(streamResponse(new ScriptedBody().stream)),
    },
    undefined,
    () => clock.advance(100),
  );
  assertNoSecrets(idle);
  assertEquals(idle.name, "IdleTimeoutError");
});

Deno.test("Errors of arguments show no secret", () => {
  const headers = { Authorization: "Bearer sk-header-secret\n" + "…" };
  assertNoSecrets(assertThrows(() => streamOnce("http://h/", { headers })));
  assertNoSecrets(
    assertThrows(() => streamOnce("http://user:hunter22@[/?k=sk-query-secret")),
  );
});
