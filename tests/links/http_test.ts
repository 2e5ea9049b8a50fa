import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { accepts } from "@std/http/negotiation";
import {
  type ServerSentEventMessage,
  ServerSentEventStream,
} from "@std/http/server-sent-event-stream";
import { STATUS_CODE, STATUS_TEXT, type StatusCode } from "@std/http/status";
import { type Route, route } from "@std/http/unstable-route";
import { toText } from "@std/streams/to-text";

const STREAM = "text/event-stream";
const JSON_TYPE = "application/json";

const preferences: [
  what: string,
  accept: string | undefined,
  offered: [string, ...string[]],
  preferred: string | undefined,
][] = [
  ["the first type without a header", undefined, [STREAM, JSON_TYPE], STREAM],
  ["the first type for an empty header", "", [STREAM, JSON_TYPE], STREAM],
  ["the type that is asked for", JSON_TYPE, [STREAM, JSON_TYPE], JSON_TYPE],
  ["nothing where nothing fits", "text/html", [STREAM, JSON_TYPE], undefined],
  ["the first type for */*", "*/*", [STREAM, JSON_TYPE], STREAM],
  ["a type of text/*", "text/*", [JSON_TYPE, STREAM], STREAM],
  [
    "the higher weight",
    `${JSON_TYPE};q=0.5, ${STREAM};q=0.8`,
    [JSON_TYPE, STREAM],
    STREAM,
  ],
  [
    "the first type offered between equals, whatever the header's order",
    `${STREAM}, ${JSON_TYPE}`,
    [JSON_TYPE, STREAM],
    JSON_TYPE,
  ],
  [
    "the named type before the wildcard of equal weight",
    `*/*, ${STREAM}`,
    [JSON_TYPE, STREAM],
    STREAM,
  ],
  [
    "text/* before */* of equal weight",
    "*/*, text/*",
    [JSON_TYPE, STREAM],
    STREAM,
  ],
  [
    "the wildcard of higher weight",
    `${STREAM};q=0.5, */*`,
    [STREAM, JSON_TYPE],
    JSON_TYPE,
  ],
  [
    "another type where the closest range refuses",
    `*/*, ${STREAM};q=0`,
    [STREAM, JSON_TYPE],
    JSON_TYPE,
  ],
  [
    "the closest range over the wildcard's weight",
    `text/*;q=0.9, ${STREAM};q=0.1, ${JSON_TYPE};q=0.5`,
    [STREAM, JSON_TYPE],
    JSON_TYPE,
  ],
  ["nothing where all is refused", "*/*;q=0", [STREAM], undefined],
  [
    "the higher weight of a range that comes twice",
    `${STREAM};q=0, ${STREAM}`,
    [STREAM],
    STREAM,
  ],
  ["types in any case", "TEXT/Event-Stream", [JSON_TYPE, STREAM], STREAM],
  ["weights in any case", `${STREAM};Q=0, */*`, [STREAM, "a/b"], "a/b"],
  [
    "ranges between any spaces",
    `  ${JSON_TYPE} ; q=0.1 ,${STREAM} ; q=0.2`,
    [JSON_TYPE, STREAM],
    STREAM,
  ],
  [
    "no type without the parameter asked for",
    `${STREAM};charset=utf-8`,
    [STREAM],
    undefined,
  ],
  [
    "the type with the parameter asked for",
    `${STREAM};charset="UTF-8"`,
    [STREAM, `${STREAM};charset=utf-8`],
    `${STREAM};charset=utf-8`,
  ],
  [
    "what a browser's page asks for",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    [JSON_TYPE, "text/html", STREAM],
    "text/html",
  ],
  ["the rest of a header with nonsense in it", `*, ,;q=1, ${STREAM}`, [
    JSON_TYPE,
    STREAM,
  ], STREAM],
];

for (const [what, accept, offered, preferred] of preferences) {
  Deno.test(`accepts prefers ${what}`, () => {
    const headers = new Headers(accept === undefined ? {} : { accept });
    assertStrictEquals(accepts({ headers }, ...offered), preferred);
  });
}

Deno.test("STATUS_CODE and STATUS_TEXT name what the relay answers", () => {
  const expected: [StatusCode, number, string][] = [
    [STATUS_CODE.OK, 200, "OK"],
    [STATUS_CODE.Created, 201, "Created"],
    [STATUS_CODE.NoContent, 204, "No Content"],
    [STATUS_CODE.BadRequest, 400, "Bad Request"],
    [STATUS_CODE.Unauthorized, 401, "Unauthorized"],
    [STATUS_CODE.Forbidden, 403, "Forbidden"],
    [STATUS_CODE.NotFound, 404, "Not Found"],
    [STATUS_CODE.Gone, 410, "Gone"],
    [STATUS_CODE.MisdirectedRequest, 421, "Misdirected Request"],
    [STATUS_CODE.UnprocessableEntity, 422, "Unprocessable Entity"],
    [STATUS_CODE.BadGateway, 502, "Bad Gateway"],
    [STATUS_CODE.MethodNotAllowed, 405, "Method Not Allowed"],
    [STATUS_CODE.NotAcceptable, 406, "Not Acceptable"],
    [STATUS_CODE.RequestTimeout, 408, "Request Timeout"],
    [STATUS_CODE.Conflict, 409, "Conflict"],
    [STATUS_CODE.ContentTooLarge, 413, "Content Too Large"],
    [STATUS_CODE.UnsupportedMediaType, 415, "Unsupported Media Type"],
    [STATUS_CODE.TooManyRequests, 429, "Too Many Requests"],
    [STATUS_CODE.InternalServerError, 500, "Internal Server Error"],
    [STATUS_CODE.NotImplemented, 501, "Not Implemented"],
    [STATUS_CODE.ServiceUnavailable, 503, "Service Unavailable"],
  ];
  for (const [code, number, text] of expected) {
    assertStrictEquals(code, number);
    assertStrictEquals(STATUS_TEXT[code], text);
  }
});

/** Answers with the route's name and the group `id`. */
function named(
  name: string,
  pathname: string,
  method?: string | string[],
): Route {
  return {
    pattern: new URLPattern({ pathname }),
    ...(method ? { method } : {}),
    handler: (_request, params) =>
      new Response([name, params.pathname.groups["id"]].join(":")),
  };
}

const router = route(
  [
    named("list", "/topics", ["get", "HEAD"]),
    named("publish", "/topics/:id", "post"),
    named("read", "/topics/:id", "GET"),
    named("any", "/topics/:id"),
    named("late", "/topics/news"),
  ],
  (request) => new Response(`default:${new URL(request.url).pathname}`),
);

async function ask(method: string, path: string): Promise<string> {
  const response = await router(
    new Request(new URL(path, "http://localhost"), { method }),
  );
  return await response.text();
}

Deno.test("route hands the groups of the pattern to the handler", async () => {
  assertStrictEquals(await ask("GET", "/topics/news?after=start"), "read:news");
});

Deno.test("route takes the first route that fits, not the closest", async () => {
  assertStrictEquals(await ask("DELETE", "/topics/news"), "any:news");
});

Deno.test("route compares methods in any case", async () => {
  assertStrictEquals(await ask("POST", "/topics/news"), "publish:news");
  assertStrictEquals(await ask("GET", "/topics"), "list:");
  assertStrictEquals(await ask("HEAD", "/topics"), "list:");
});

Deno.test("route falls back where no path or no method fits", async () => {
  assertStrictEquals(await ask("GET", "/elsewhere"), "default:/elsewhere");
  assertStrictEquals(await ask("PUT", "/topics"), "default:/topics");
});

Deno.test("route hands on what is known of the connection", async () => {
  const info: Deno.ServeHandlerInfo = {
    remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 4321 },
    completed: Promise.resolve(),
  };
  const seen: unknown[] = [];
  const handle = route(
    [{
      pattern: new URLPattern({ pathname: "/a" }),
      handler: (_request, _params, info) => {
        seen.push(info);
        return new Response();
      },
    }],
    (_request, info) => {
      seen.push(info);
      return new Response();
    },
  );
  await handle(new Request("http://localhost/a"), info);
  await handle(new Request("http://localhost/b"), info);
  assertEquals(seen.length, 2);
  assertStrictEquals(seen[0], info);
  assertStrictEquals(seen[1], info);
});

function encode(...messages: ServerSentEventMessage[]): Promise<string> {
  return toText(
    ReadableStream.from(messages).pipeThrough(new ServerSentEventStream()),
  );
}

Deno.test("ServerSentEventStream writes the fields that are there", async () => {
  assertStrictEquals(
    await encode({
      comment: "note",
      event: "e",
      data: "d",
      id: "1",
      retry: 5,
    }),
    ":note\nevent:e\ndata:d\nid:1\nretry:5\n\n",
  );
  assertStrictEquals(await encode({ data: "a" }, {}), "data:a\n\n\n\n");
});

Deno.test("ServerSentEventStream writes empty fields and a number for an id", async () => {
  assertStrictEquals(
    await encode({ comment: "", event: "", data: "", id: 0, retry: 0 }),
    ":\nevent:\ndata:\nid:0\nretry:0\n\n",
  );
});

Deno.test("ServerSentEventStream makes a line of each line of data and comment", async () => {
  assertStrictEquals(
    await encode({ comment: "a\rb", data: "a\r\nb\rc\nd\n" }),
    ":a\n:b\ndata:a\ndata:b\ndata:c\ndata:d\ndata:\n\n",
  );
});

Deno.test("ServerSentEventStream writes one chunk of bytes per message", async () => {
  const chunks = await Array.fromAsync(
    ReadableStream.from([{ data: "a" }, { data: "水" }]).pipeThrough(
      new ServerSentEventStream(),
    ),
  );
  assertEquals(chunks.length, 2);
  for (const chunk of chunks) assertInstanceOf(chunk, Uint8Array);
});

for (const field of ["event", "id"] as const) {
  Deno.test(`ServerSentEventStream refuses a line end in ${field}`, async () => {
    for (const lineEnd of ["\n", "\r", "\r\n"]) {
      await assertRejects(
        () => encode({ [field]: `a${lineEnd}b` }),
        SyntaxError,
        `Cannot serialize message: \`message.${field}\` cannot contain a newline`,
      );
    }
  });
}
