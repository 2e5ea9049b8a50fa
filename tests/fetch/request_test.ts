import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  ConnectionError,
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
      // A stream in which nothing came Node sends as nothing.
      const isEmpty = sent === "" && head.includes("\r\ncontent-length: 0\r\n");
      if (!isEmpty) {
        assert(head.includes("\r\ntransfer-encoding: chunked\r\n"), head);
        assert(!/content-length/i.test(head));
      }
      const sentType = /\r\ncontent-type: (.*)\r\n/.exec(head)?.[1];
      // Bun's Request does not know the type of a string.
      const isTyped = !asRequest ||
        new Request(server.origin, { ...init, body: body() }).headers
          .has("content-type");
      if (type && isTyped) assert(type.test(sentType ?? ""), sentType);
      else assertEquals(sentType, undefined);
      const received = isEmpty ? "" : await readChunks(connection);
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

for (const asRequest of [false, true]) {
  Deno.test(`streamEvents sends a POST once when a kept connection drops${asRequest ? " (Request)" : ""}`, async () => {
    using server = new RawServer();
    const warm = fetch(server.origin).then((response) => response.text());
    const connection = await server.accept();
    await connection.readHead();
    await connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await warm;
    // Node keeps a connection a turn after the answer's end.
    await new Promise((resolve) => setTimeout(resolve));

    const init = { method: "POST", body: '{"stream":true}' };
    const events = asRequest
      ? streamOnce(new Request(server.origin, init))
      : streamOnce(server.origin, init);
    let requests = 0;
    const again = server.accept().then(async (other) => {
      await other.readHead();
      requests++;
      await other.write(STREAM_HEAD);
      other[Symbol.dispose]();
    }, () => {});
    const failed = events.next().then(() => undefined, (error) => error);
    const head = await connection.readHead();
    assert(head.startsWith("POST / HTTP/1.1\r\n"), head);
    requests++;
    connection[Symbol.dispose]();
    const error = await failed;
    assertEquals(requests, 1);
    assert(error instanceof ConnectionError, String(error));
    assertEquals(error.phase, "connect");
    server[Symbol.dispose]();
    await again;
  });
}

Deno.test("streamEvents does not send a body twice for a redirect", async () => {
  using server = new RawServer();
  const events = streamOnce(server.origin, { method: "POST", body: "x" });
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
