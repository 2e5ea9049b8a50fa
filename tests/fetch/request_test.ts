import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  ConnectionError,
  HttpStatusError,
  type StreamEventsOptions,
} from "../../src/fetch/mod.ts";
import { RawServer, STREAM_HEAD } from "../support/http/raw_server.ts";
import { streamOnce } from "../support/fetch/stream_once.ts";

/** The head of the request as the server sees it, without the variable part. */
async function headOf(
  options: StreamEventsOptions,
  toInput: (origin: string) => string | Request = (origin) => `${origin}/path`,
): Promise<string[]> {
  using server = new RawServer();
  await using events = streamOnce(toInput(server.origin), options);
  const opening = events.open();
  const connection = await server.accept();
  const head = await connection.readHead();
  await connection.write(STREAM_HEAD);
  await opening;
  return head.trimEnd().split("\r\n").filter((line) =>
    !/^(?:host|user-agent|connection|sec-fetch-mode|accept-(?:encoding|language)):/
      .test(line)
  ).sort();
}

Deno.test("streamEvents sends the headers of the standard", async () => {
  assertEquals(await headOf({}), [
    "GET /path HTTP/1.1",
    "accept: text/event-stream",
    "cache-control: no-cache",
  ]);
});

Deno.test("streamEvents lets the caller's headers win", async () => {
  const expected = [
    "GET /path HTTP/1.1",
    "accept: a/b",
    "cache-control: max-age=1",
    "x-one: 1",
  ];
  const record = { Accept: "a/b", "CACHE-CONTROL": "max-age=1", "x-one": "1" };
  for (const headers of [record, Object.entries(record), new Headers(record)]) {
    assertEquals(await headOf({ headers }), expected);
  }
  const request = (origin: string) =>
    new Request(`${origin}/path`, { headers: record });
  assertEquals(await headOf({}, request), expected);
  assertEquals(await headOf({ headers: { "x-two": "2" } }, request), [
    "GET /path HTTP/1.1",
    "accept: text/event-stream",
    "cache-control: no-cache",
    "x-two: 2",
  ]);
});

const IDS: [id: string, sent: string | undefined][] = [
  ["7", "7"],
  ["a b\tc", "a b\tc"],
  ["…", "\xe2\x80\xa6"],
  ["é😀", "\xc3\xa9\xf0\x9f\x98\x80"],
  ["\ud800", "\xef\xbf\xbd"],
  [" a ", "a"],
  ["\ta", "a"],
  ["", undefined],
  [" ", undefined],
  ["a\0b", undefined],
  ["a\rb", undefined],
  ["a\nb", undefined],
  ["a\r\nX-Evil: 1", undefined],
  ["a\x01", undefined],
  ["a\x7f", undefined],
];

for (const [id, sent] of IDS) {
  Deno.test(`streamEvents sends the id ${JSON.stringify(id)} as ${JSON.stringify(sent)}`, async () => {
    const head = await headOf({ lastEventId: id });
    assertEquals(
      head.filter((line) => /^last-event-id|evil/i.test(line)),
      sent === undefined ? [] : [`last-event-id: ${sent}`],
    );
  });
}

Deno.test("streamEvents prefers its option to a header for the id", async () => {
  const headers = { "Last-Event-ID": "old" };
  assertEquals(
    (await headOf({ headers, lastEventId: "new" }))[3],
    "last-event-id: new",
  );
  assertEquals((await headOf({ headers }))[3], "last-event-id: old");
});

const BODIES: [
  name: string,
  body: () => BodyInit,
  type: RegExp | undefined,
  sent: string | RegExp,
][] = [
  ["a string", () => "höllo", /^text\/plain;charset=utf-8$/i, "h\xc3\xb6llo"],
  ["an empty string", () => "", /^text\/plain;charset=utf-8$/i, ""],
  ["bytes", () => new Uint8Array([1, 2, 255]), undefined, "\x01\x02\xff"],
  ["a buffer", () => new Uint8Array([65]).buffer, undefined, "A"],
  [
    "parameters",
    () => new URLSearchParams({ a: "b c" }),
    /^application\/x-www-form-urlencoded;charset=utf-8$/i,
    "a=b+c",
  ],
  ["a blob", () => new Blob(["x"], { type: "a/b" }), /^a\/b$/, "x"],
  [
    "a form",
    () => {
      const form = new FormData();
      form.set("a", "b");
      return form;
    },
    /^multipart\/form-data; ?boundary=.+$/,
    /name="a"\r\n\r\nb\r\n/,
  ],
  ["a stream", () => new Blob(["st"]).stream(), undefined, "st"],
];

/** Whether the runtime may send a POST again on its own (G7). */
const REPEATS = asDeno();

/** Whether this is Deno: `Deno` itself is defined on every runtime here. */
function asDeno(): boolean {
  return /^Deno\//.test(globalThis.navigator?.userAgent ?? "");
}

/** Calls with the name of a runtime. */
async function withUserAgent<T>(
  userAgent: string,
  action: () => Promise<T>,
): Promise<T> {
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", {
    configurable: true,
    value: { userAgent },
  });
  try {
    return await action();
  } finally {
    // Node 20 has none.
    if (before) Object.defineProperty(globalThis, "navigator", before);
    else Reflect.deleteProperty(globalThis, "navigator");
  }
}

/** Reads a chunked body to its end. */
async function readChunks(
  connection: Awaited<ReturnType<RawServer["accept"]>>,
): Promise<string> {
  let body = "";
  for (;;) {
    const size = parseInt(await connection.readUntil("\r\n") ?? "", 16);
    const end = "\r\n";
    if (size === 0) {
      await connection.readUntil(end);
      return body;
    }
    let chunk = "";
    while (chunk.length < size + 2) chunk += await connection.readUntil(end);
    body += chunk.slice(0, size);
  }
}

for (const [name, body, type, sent] of BODIES) {
  Deno.test(`streamEvents sends ${name} whole, with its type`, async () => {
    for (const asRequest of [false, true]) {
      using server = new RawServer();
      // Node asks for `duplex` where the body is a stream.
      const init = { method: "POST", body: body(), duplex: "half" };
      await using events = asRequest
        ? streamOnce(new Request(server.origin, init))
        : streamOnce(server.origin, init);
      const opening = events.open();
      const connection = await server.accept();
      const head = await connection.readHead();
      assertEquals(head.split(" ")[0], "POST");
      // Only Deno gets streams of what is none (G7).
      const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1];
      const isStream = name === "a stream";
      if (REPEATS || isStream && !asRequest) assertEquals(length, undefined);
      // Bun's Request knows what its own streams were made of.
      else if (!isStream) assertNotEquals(length, undefined);
      assertEquals(/\r\ntransfer-encoding: chunked\r\n/i.test(head), !length);
      const sentType = /\r\ncontent-type: (.*)\r\n/.exec(head)?.[1];
      // Bun's Request does not know the type of a string.
      const isTyped = !asRequest ||
        new Request(server.origin, { ...init, body: body() }).headers
          .has("content-type");
      if (type && isTyped) assert(type.test(sentType ?? ""), sentType);
      else assertEquals(sentType, undefined);
      const received = length === undefined
        ? await readChunks(connection)
        : await connection.readBytes(Number(length));
      if (typeof sent === "string") assertEquals(received, sent);
      else assert(sent.test(received), received);
      await connection.write(STREAM_HEAD);
      await opening;
    }
  });
}

Deno.test("streamEvents keeps the caller's content type", async () => {
  const head = await headOf({
    method: "POST",
    body: "{}",
    headers: { "Content-Type": "application/json" },
  });
  assert(head.includes("content-type: application/json"), String(head));
});

/**
 * Sends a POST over a connection that was kept, and that is closed under it.
 *
 * @returns How often the server has seen the POST, and what became of it.
 */
async function postOverKept(
  post: (origin: string) => Promise<unknown>,
): Promise<{ requests: number; error: unknown }> {
  using server = new RawServer();
  const warm = fetch(server.origin).then((response) => response.text());
  const connection = await server.accept();
  await connection.readHead();
  await connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  await warm;
  // Node keeps a connection a turn after the answer's end.
  await new Promise((resolve) => setTimeout(resolve));

  let requests = 0;
  const again = server.accept().then(async (other) => {
    await other.readHead();
    requests++;
    await other.write(STREAM_HEAD);
    other[Symbol.dispose]();
  }, () => {});
  const failed = post(server.origin).then(() => undefined, (error) => error);
  const head = await connection.readHead();
  assert(head.startsWith("POST / HTTP/1.1\r\n"), head);
  requests++;
  connection[Symbol.dispose]();
  const error = await failed;
  server[Symbol.dispose]();
  await again;
  return { requests, error };
}

for (const asRequest of [false, true]) {
  Deno.test(`streamEvents sends a POST once when a kept connection drops${asRequest ? " (Request)" : ""} (G7)`, async () => {
    const { requests, error } = await postOverKept((origin) => {
      const init = { method: "POST", body: '{"stream":true}' };
      const events = asRequest
        ? streamOnce(new Request(origin, init))
        : streamOnce(origin, init);
      return events.next();
    });
    assertEquals(requests, 1);
    assert(error instanceof ConnectionError, String(error));
    assertEquals(error.phase, "connect");
  });
}

Deno.test("fetch sends a POST again on Deno, and on no other runtime (G7)", async () => {
  const { requests } = await postOverKept(async (origin) => {
    const response = await fetch(origin, { method: "POST", body: "{}" });
    await response.body?.cancel();
  });
  assertEquals(requests, REPEATS ? 2 : 1);
});

for (const sendBody of ["whole", "stream"] as const) {
  Deno.test(`streamEvents sends a body as ${sendBody} where that is asked for (G7)`, async () => {
    const head = await headOf({
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
      sendBody,
    });
    assertEquals(
      head.some((line) => /^content-length: 2$/i.test(line)),
      sendBody === "whole",
    );
    assertEquals(
      head.some((line) => /^transfer-encoding: chunked$/i.test(line)),
      sendBody === "stream",
    );
  });
}

Deno.test("streamEvents refuses another way to send a body", () => {
  assertThrows(
    // @ts-expect-error: as a program in JavaScript may pass it
    () => streamOnce("http://localhost/", { sendBody: "chunked" }),
    TypeError,
    "'sendBody'",
  );
});

/** Asks a server that refuses streams, and returns the bodies that it got. */
async function askedFor(
  refusal: () => Response,
  options: StreamEventsOptions = {},
): Promise<{ bodies: string[]; error: unknown }> {
  const bodies: string[] = [];
  const events = streamOnce("http://localhost/", {
    method: "POST",
    body: "{}",
    async fetch(_input, { body } = {}) {
      if (typeof body === "string") {
        bodies.push("whole");
        return new Response("data: ok\n\n", {
          headers: { "Content-Type": "text/event-stream" },
        });
      }
      assertEquals(await new Response(body).text(), "{}");
      bodies.push("stream");
      return refusal();
    },
    ...options,
  });
  const error = await events.next().then(() => undefined, (error) => error);
  await events.cancel();
  return { bodies, error };
}

for (
  const [status, words] of [
    [411, ""],
    [411, "<h1>Length Required</h1>"],
    [400, "Content-Length header is required"],
    [400, "chunked requests are not supported"],
    [400, '{"error":"empty request body"}'],
    [400, "EOF"],
    [400, '{"error":{"message":"unexpected end of JSON input"}}'],
    [
      422,
      '{"detail":[{"type":"missing","loc":["body"],"msg":"Field required"}]}',
    ],
    [501, "Unsupported transfer encoding"],
  ] as const
) {
  Deno.test(`streamEvents asks once more with a length after ${status} ${words} (G7)`, async () => {
    const refusal = () => new Response(words, { status });
    const { bodies, error } = await withUserAgent(
      "Deno/2.9.6",
      () => askedFor(refusal),
    );
    assertEquals([bodies, error], [["stream", "whole"], undefined]);
  });
}

for (
  const [name, status, words, options] of [
    ["another refusal", 400, "no such model", {}],
    ["another status", 500, "chunked", {}],
    ["a stream that was asked for", 411, "", { sendBody: "stream" }],
    ["a body that is a stream", 411, "", {
      body: new Blob(["{}"]).stream(),
    }],
  ] as const
) {
  Deno.test(`streamEvents does not ask with a length after ${name} (G7)`, async () => {
    const refusal = () => new Response(words, { status });
    const { bodies, error } = await withUserAgent(
      "Deno/2.9.6",
      () => askedFor(refusal, options),
    );
    assertEquals(bodies, ["stream"]);
    assert(error instanceof HttpStatusError, String(error));
    assertEquals(error.status, status);
  });
}

for (const runtime of ["Deno/2.9.6", "Node.js/24", "Bun/1.4.5"]) {
  Deno.test(`streamEvents lets a function in place of fetch read the body (G7: ${runtime})`, async () => {
    let body: unknown;
    await withUserAgent(runtime, async () => {
      const events = streamOnce("http://localhost/", {
        method: "POST",
        body: '{"a":1}',
        fetch(_input, init) {
          // As wrappers do that take the body for a string.
          body = JSON.parse(init?.body as string);
          return Promise.reject(new Error("seen"));
        },
      });
      await assertRejects(() => events.next(), ConnectionError);
    });
    assertEquals(body, { a: 1 });
  });
}

Deno.test("streamEvents does not send a body twice for a redirect", async () => {
  using server = new RawServer();
  const events = streamOnce(server.origin, {
    method: "POST",
    body: "x",
    sendBody: "stream",
  });
  const failed = assertRejects(() => events.next(), ConnectionError);
  const connection = await server.accept();
  await connection.readHead();
  await connection.write(
    "HTTP/1.1 307 Temporary Redirect\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
  );
  await failed;
});

Deno.test("streamEvents refuses a Request whose body was used", async () => {
  const request = new Request("http://localhost/", {
    method: "POST",
    body: "x",
  });
  await request.text();
  assertThrows(() => streamOnce(request), TypeError, "unread");
});

Deno.test("streamEvents passes redirect and credentials on to fetch", async () => {
  const seen: RequestInit[] = [];
  const events = streamOnce("http://localhost/", {
    redirect: "error",
    credentials: "include",
    fetch(_input, init = {}) {
      seen.push(init);
      return Promise.reject(new Error("no"));
    },
  });
  await assertRejects(() => events.open(), ConnectionError);
  assertEquals(seen[0]?.redirect, "error");
  assertEquals(seen[0]?.credentials, "include");
  assertEquals(seen[0]?.cache, undefined);
});

Deno.test("streamEvents follows browsers' rules in browsers", async () => {
  const Original = globalThis.Request;
  // Browsers drop the headers that a page may not set.
  globalThis.Request = class extends Original {
    constructor(input: RequestInfo | URL, init?: RequestInit) {
      super(input, init);
      this.headers.delete("sec-probe");
    }
  };
  let seen: RequestInit = {};
  try {
    const events = streamOnce("http://localhost/", {
      method: "POST",
      body: "x",
      fetch(_input, init = {}) {
        seen = init;
        return Promise.reject(new Error("no"));
      },
    });
    await assertRejects(() => events.open(), ConnectionError);
  } finally {
    globalThis.Request = Original;
  }
  assertEquals(seen.cache, "no-store");
  assertEquals([...new Headers(seen.headers)], [[
    "accept",
    "text/event-stream",
  ]]);
  assertEquals(seen.body, "x");
});
