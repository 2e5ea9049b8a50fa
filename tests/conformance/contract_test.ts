/**
 * The 113 cases of LaunchDarkly's `sse-contract-tests` 2.31.0, for both clients:
 * each against a server that keeps its stream open, so that an event counts only
 * if it is dispatched with what has come, and not at the stream's end.
 *
 * Where the harness pauses, these tests wait for the event itself: a chunk is
 * sent when the client has taken the one before, and a fake clock shows the
 * time where none is to pass.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import {
  type ContractClient,
  contractClients,
  type ContractEvent,
  type StreamParams,
} from "../support/conformance/conformance_client.ts";
import {
  ConformanceServer,
  type Exchange,
  type Handler,
} from "../support/conformance/conformance_server.ts";
import { Random } from "../support/random.ts";

/** The parts that a case works with. */
interface Harness {
  /** The server of the streams: every request is left to `accept`. */
  readonly server: ConformanceServer;
  /** Opens a stream of the server, or of another address. */
  open(params?: Partial<StreamParams>): ContractClient;
  /** Accepts the next request, and starts to answer it with a stream. */
  accept(): Promise<Exchange>;
  /** `open` and `accept`. */
  connect(
    params?: Partial<StreamParams>,
  ): Promise<{ stream: Exchange; client: ContractClient }>;
}

interface Case {
  readonly name: string;
  readonly run: (harness: Harness) => Promise<void>;
}

type Chunks = readonly (string | Uint8Array)[];

/** A case in which chunks of one stream give events. */
function parsing(
  name: string,
  chunks: Chunks,
  events: readonly Partial<ContractEvent>[],
  size?: number,
): Case {
  return {
    name,
    async run({ connect }) {
      const types = events.flatMap(({ type }) => type ?? []);
      const { stream, client } = await connect({ types });
      for (const chunk of chunks) await stream.send(chunk, size);
      await client.events(...events);
      await expectNoMore(stream, client);
    },
  };
}

/** Sees to it that what was sent has given nothing else. */
async function expectNoMore(
  stream: Exchange,
  client: ContractClient,
): Promise<void> {
  await stream.send("id\ndata: the end\n\n");
  await client.events({ data: "the end" });
}

// Basic parsing.

const FIVE_MIB = 5 * 1024 * 1024;

/** Base64 of this many random bytes. */
function randomBase64(length: number, seed: number): string {
  const random = new Random(seed);
  const words = new Uint32Array(length / 4).map(() => random.next() * 2 ** 32);
  const bytes = new Uint8Array(words.buffer);
  const parts: string[] = [];
  // The number of arguments that a function can have; a multiple of 3.
  const step = 3 * 8192;
  for (let i = 0; i < bytes.length; i += step) {
    parts.push(btoa(String.fromCharCode(...bytes.subarray(i, i + step))));
  }
  return parts.join("");
}

/** A case about data too large for an error to show. */
function large(name: string, chunks: number): Case {
  return {
    name,
    async run({ connect }) {
      const { stream, client } = await connect();
      const data = Array.from(
        { length: chunks },
        (_, i) => randomBase64(FIVE_MIB, i),
      );
      for (const [i, part] of data.entries()) {
        const start = i === 0 ? "data: " : "";
        await stream.send(
          start + part + (i === data.length - 1 ? "\n\n" : ""),
        );
      }
      const event = await client.event();
      assert(event.data === data.join(""), "the data is another");
      assertEquals([event.type, event.id], ["message", ""]);
    },
  };
}

const BURST = Array.from({ length: 100 }, (_, i) => `message ${i}`);

const basicParsing: readonly Case[] = [
  parsing("one-line message in one chunk", ["data: Hello\n\n"], [
    { data: "Hello" },
  ]),
  parsing(
    "two messages spanning 3 chunks with shared chunk",
    ["data: test", "test\n\ndata:", "test\n\n"],
    [{ data: "testtest" }, { data: "test" }],
  ),
  large("large message in one chunk", 1),
  large("large message in two chunks", 2),
  parsing("one-line message in two chunks", ["data: Hel", "lo\n\n"], [
    { data: "Hello" },
  ]),
  parsing(
    "two one-line messages in one chunk",
    ["data: Hello\n\ndata: World\n\n"],
    [{ data: "Hello" }, { data: "World" }],
  ),
  parsing(
    "one two-line message in one chunk",
    ["data: Hello\ndata:World\n\n"],
    [{ data: "Hello\nWorld" }],
  ),
  parsing("empty data", ["data:\n\n"], [{ data: "" }]),
  parsing(
    "event with specific type",
    ["event: greeting\ndata: Hello\n\n"],
    [{ type: "greeting", data: "Hello" }],
  ),
  parsing("default event type", ["data: Hello\n\n"], [
    { type: "message", data: "Hello" },
  ]),
  parsing("event with ID", ["id: abc\ndata: Hello\n\n"], [
    { id: "abc", data: "Hello" },
  ]),
  parsing(
    "event with type and ID",
    ["event: greeting\nid: abc\ndata: Hello\n\n"],
    [{ type: "greeting", id: "abc", data: "Hello" }],
  ),
  parsing(
    "ID field is ignored if it contains a null",
    ["id: a\0bc\ndata: Hello\n\n"],
    [{ data: "Hello" }],
  ),
  parsing(
    "last ID persists if not overridden by later event",
    ["id: abc\ndata: first\n\n", "data: second\n\n"],
    [{ id: "abc", data: "first" }, { id: "abc", data: "second" }],
  ),
  parsing(
    "last ID can be overridden by an empty value",
    ["id: abc\ndata: first\n\n", "id: \ndata: second\n\n"],
    [{ id: "abc", data: "first" }, { data: "second" }],
  ),
  parsing(
    "fields in reverse order",
    ["data: Hello\nid: abc\nevent: greeting\n\n"],
    [{ type: "greeting", id: "abc", data: "Hello" }],
  ),
  parsing(
    "unknown field is ignored",
    ["event: greeting\ncolor: blue\ndata: Hello\n\n"],
    [{ type: "greeting", data: "Hello" }],
  ),
  parsing(
    "fields without leading space",
    ["event:greeting\ndata:Hello\n\n"],
    [{ type: "greeting", data: "Hello" }],
  ),
  parsing(
    "fields with extra leading space",
    ["event:  greeting\ndata:  Hello\n\n"],
    [{ type: " greeting", data: " Hello" }],
  ),
  parsing("field with no colon", ["data\n\ndata\ndata\n\n"], [
    { data: "" },
    { data: "\n" },
  ]),
  parsing("multi-byte characters", ["data: €豆腐\n\n"], [{ data: "€豆腐" }]),
  parsing(
    "many messages in rapid succession",
    [BURST.map((data) => `data: ${data}\n\n`).join("")],
    BURST.map((data) => ({ data })),
  ),
  parsing(
    "multi-byte characters sent in single-byte pieces",
    ["data: €豆腐\n\n"],
    [{ data: "€豆腐" }],
    1,
  ),
];

// BOM.

const BOM = "\ufeff";

function bomBytes(from: number, to: number): Uint8Array {
  return new Uint8Array([0xef, 0xbb, 0xbf]).subarray(from, to);
}

const bom: readonly Case[] = [
  parsing("BOM at start of stream is stripped", [`${BOM}data: Hello\n\n`], [
    { data: "Hello" },
  ]),
  parsing(
    "BOM stripped before first event with type and ID",
    [`${BOM}event: greeting\nid: abc\ndata: Hello\n\n`],
    [{ type: "greeting", id: "abc", data: "Hello" }],
  ),
  parsing(
    "BOM stripped with multiple messages",
    [`${BOM}data: First\n\ndata: Second\n\n`],
    [{ data: "First" }, { data: "Second" }],
  ),
  parsing(
    "BOM only stripped at stream start, not from later data",
    ["data: First\n\n", `data: ${BOM}Second\n\n`],
    [{ data: "First" }, { data: `${BOM}Second` }],
  ),
  parsing(
    "BOM split across first two chunks",
    [bomBytes(0, 2), bomBytes(2, 3), "data: Hello\n\n"],
    [{ data: "Hello" }],
  ),
  parsing(
    "BOM split byte by byte across chunks",
    [bomBytes(0, 1), bomBytes(1, 2), bomBytes(2, 3), "data: Hello\n\n"],
    [{ data: "Hello" }],
  ),
  parsing(
    "only first BOM at start is stripped",
    [`${BOM}data: ${BOM}Hello\n\n`],
    [{ data: `${BOM}Hello` }],
  ),
  parsing("no BOM - baseline test", ["data: Hello\n\n"], [{ data: "Hello" }]),
  parsing(
    "BOM with multi-line data",
    [`${BOM}data: Line1\ndata: Line2\n\n`],
    [{ data: "Line1\nLine2" }],
  ),
  {
    name: "BOM with comment at start",
    async run({ connect }) {
      const { stream, client } = await connect();
      await stream.send(`${BOM}:comment\ndata: Hello\n\n`);
      await client.comment("comment");
      await client.events({ data: "Hello" });
    },
  },
  parsing("BOM does not affect empty data field", [`${BOM}data:\n\n`], [
    { data: "" },
  ]),
];

// Comments.

const comments: readonly Case[] = [
  {
    name: "single comment",
    async run({ connect }) {
      const { stream, client } = await connect();
      await stream.send(":Hello\n");
      await client.comment("Hello");
    },
  },
  {
    name: "two comments in a row",
    async run({ connect }) {
      const { stream, client } = await connect();
      for (const comment of ["Hello", "World"]) {
        await stream.send(`:${comment}\n`);
        await client.comment(comment);
      }
    },
  },
  {
    name: "comment before event",
    async run({ connect }) {
      const { stream, client } = await connect();
      await stream.send(":Hello\n");
      await stream.send("data: Hello\n\n");
      await client.comment("Hello");
      await client.events({ data: "Hello" });
    },
  },
  {
    name: "comment after event",
    async run({ connect }) {
      const { stream, client } = await connect();
      await stream.send("data: Hello\n\n");
      await stream.send(":Hello\n");
      await client.events({ data: "Hello" });
      await client.comment("Hello");
    },
  },
];

// Linefeeds: three line ends, six inputs, three sizes of chunks; and one more.

const lineEnds: readonly (readonly [name: string, end: string])[] = [
  ["LF", "\n"],
  ["CRLF", "\r\n"],
  ["CR", "\r"],
];

/** Inputs with an LF for each line end. */
const inputs: readonly (readonly [
  name: string,
  input: string,
  data: readonly string[],
])[] = [
  ["one-line event", "data: event 1\n\n", ["event 1"]],
  [
    "one-line event + two-line event",
    "data: event 1\n\ndata: event 2 line 1\ndata: event 2 line 2\n\n",
    ["event 1", "event 2 line 1\nevent 2 line 2"],
  ],
  [
    "3-line event with empty line at beginning",
    "data:\ndata: line2\ndata: line3\n\n",
    ["\nline2\nline3"],
  ],
  [
    "3-line event with empty line in middle",
    "data: line1\ndata:\ndata: line3\n\n",
    ["line1\n\nline3"],
  ],
  [
    "ignores 1 extra empty line",
    "data: event 1\n\n\ndata: event 2\n\n",
    ["event 1", "event 2"],
  ],
  [
    "ignores 2 extra empty lines",
    "data: event 1\n\n\n\ndata: event 2\n\n",
    ["event 1", "event 2"],
  ],
];

const sizes: readonly (readonly [name: string, size: number | undefined])[] = [
  ["one chunk", undefined],
  ["1-character chunks", 1],
  ["2-character chunks", 2],
];

const linefeeds: readonly Case[] = [
  ...lineEnds.flatMap(([lineEnd, end]) =>
    inputs.flatMap(([name, input, data]) =>
      sizes.map(([chunks, size]) =>
        parsing(
          `${lineEnd} separator: ${name}, ${chunks}`,
          [input.replaceAll("\n", end)],
          data.map((data) => ({ data })),
          size,
        )
      )
    )
  ),
  parsing(
    "CRLF where CR is end of 1 chunk",
    [
      "data: Hello\r",
      "\ndata: World\r",
      "\n\r\ndata: OK\r",
      "\n",
      "\r",
      "\n",
    ],
    [{ data: "Hello\nWorld" }, { data: "OK" }],
  ),
];

// HTTP.

/** A server that answers every request so, for as long as a case runs. */
async function withServer(
  handler: Handler,
  run: (server: ConformanceServer) => Promise<void>,
): Promise<void> {
  await using server = await ConformanceServer.start(handler);
  await run(server);
}

const JSON_BODY = '{"hello": "world"}';
const JSON_TYPE = "application/json; charset=utf-8";

function withBody(method: string): Case {
  return {
    name: `${method} request`,
    async run({ connect }) {
      const headers = { "content-type": JSON_TYPE };
      const { stream } = await connect({ method, headers, body: JSON_BODY });
      assertEquals(stream.method, method);
      assertEquals(stream.headers.get("content-type"), JSON_TYPE);
      assertEquals(stream.body, JSON_BODY);
    },
  };
}

/** The number of requests that `fetch` makes when it is redirected for ever. */
const MAX_REDIRECTED = 21;

function redirects(status: number): Case[] {
  const badLocation = (
    name: string,
    headers: Record<string, string>,
  ): Case => ({
    name: `client handles ${name} Location header with ${status} status`,
    run: ({ open }) =>
      withServer((exchange) => {
        exchange.open(status, headers);
        exchange.end();
      }, async ({ origin, exchanges }) => {
        const client = open({ streamUrl: origin, clock: new FakeClock() });
        await client.error();
        assert(exchanges.length <= MAX_REDIRECTED, `${exchanges.length}`);
      }),
  });
  return [
    {
      name: `client follows ${status} redirect`,
      run: ({ server, open, accept }) =>
        withServer((exchange) => {
          exchange.open(status, { Location: server.origin });
          exchange.end();
        }, async ({ origin, exchanges }) => {
          const client = open({ streamUrl: origin });
          const stream = await accept();
          await stream.send("data: hello\n\n");
          await client.events({ data: "hello" });
          assertEquals(exchanges.length, 1);
        }),
    },
    badLocation("empty", { Location: "" }),
    badLocation("missing", {}),
  ];
}

const http: readonly Case[] = [
  {
    name: "default method and headers",
    async run({ connect }) {
      const { stream: { method, headers } } = await connect();
      assertEquals(method, "GET");
      assertEquals(headers.get("accept"), "text/event-stream");
      assertEquals(headers.get("cache-control"), "no-cache");
      assert(!headers.has("last-event-id"));
    },
  },
  {
    name: "204 halts re-connection attempts",
    run: ({ open }) =>
      withServer((exchange) => {
        exchange.open(204, {});
        exchange.end();
      }, async ({ origin, exchanges }) => {
        const clock = new FakeClock();
        const client = open({ streamUrl: origin, clock });
        await client.ended();
        await clock.advance(3_600_000);
        assertEquals(exchanges.length, 1);
        assertEquals(clock.pending, 0);
      }),
  },
  ...[301, 307].flatMap(redirects),
  {
    name: "custom headers",
    async run({ connect }) {
      const headers = {
        "header-name-1": "value-1",
        "header-name-2": "value-2",
      };
      const { stream } = await connect({ headers });
      for (const [name, value] of Object.entries(headers)) {
        assertEquals(stream.headers.get(name), value);
      }
    },
  },
  withBody("POST"),
  withBody("REPORT"),
  {
    name: "sends Last-Event-Id in initial request if set",
    async run({ connect }) {
      const { stream } = await connect({ lastEventId: "abc" });
      assertEquals(stream.headers.get("last-event-id"), "abc");
    },
  },
];

// Reconnection.

/** The ways in which a connection can be over: the harness knows the first. */
const breaks: readonly ((stream: Exchange) => void)[] = [
  (stream) => stream.end(),
  (stream) => stream.drop(),
];

/** A case that is tried with either way of breaking the connection. */
function breaking(
  name: string,
  run: (
    harness: Harness,
    breakConnection: (stream: Exchange) => void,
  ) => Promise<void>,
): Case {
  return {
    name,
    async run(harness) {
      for (const breakConnection of breaks) {
        await run(harness, breakConnection);
      }
    },
  };
}

const reconnection: readonly Case[] = [
  {
    name: "caller can trigger a restart",
    async run({ connect, accept }) {
      const { stream, client } = await connect();
      await stream.send("data: Hello\n\n");
      await client.events({ data: "Hello" });
      client.restart();
      const second = await accept();
      await stream.hungUp();
      await second.send("data: Thanks\n\n");
      await client.events({ data: "Thanks" });
    },
  },
  breaking(
    "sends ID of last received event",
    async ({ connect, accept }, breakConnection) => {
      const { stream, client } = await connect();
      assert(!stream.headers.has("last-event-id"));
      await stream.send("id: abc\ndata: Hello\n\n");
      await client.events({ id: "abc", data: "Hello" });
      breakConnection(stream);
      const second = await accept();
      assertEquals(second.headers.get("last-event-id"), "abc");
    },
  ),
  breaking(
    "sends ID of last received event that had an ID if later events did not",
    async ({ connect, accept }, breakConnection) => {
      const { stream, client } = await connect();
      assert(!stream.headers.has("last-event-id"));
      await stream.send("id: abc\ndata: Hello\n\n");
      await stream.send("data: World\n\n");
      await client.events(
        { id: "abc", data: "Hello" },
        { id: "abc", data: "World" },
      );
      breakConnection(stream);
      const second = await accept();
      assertEquals(second.headers.get("last-event-id"), "abc");
    },
  ),
  breaking(
    "last event ID can be explicitly overridden with an empty value",
    async ({ connect, accept }, breakConnection) => {
      const { stream, client } = await connect();
      await stream.send("id: abc\ndata: Hello\n\n");
      await stream.send("id: \ndata: World\n\n");
      await client.events({ id: "abc", data: "Hello" }, { data: "World" });
      breakConnection(stream);
      const second = await accept();
      assert(!second.headers.has("last-event-id"));
    },
  ),
  breaking(
    "resends request body if any when reconnecting",
    async ({ connect, accept }, breakConnection) => {
      const { stream } = await connect({
        method: "POST",
        headers: { "content-type": JSON_TYPE },
        body: JSON_BODY,
      });
      assertEquals([stream.method, stream.body], ["POST", JSON_BODY]);
      breakConnection(stream);
      const second = await accept();
      assertEquals([second.method, second.body], ["POST", JSON_BODY]);
    },
  ),
  {
    name: "can set read timeout",
    async run({ connect, accept }) {
      const clock = new FakeClock();
      const { stream, client } = await connect({ readTimeoutMs: 500, clock });
      await stream.send("data: Hello\n\n");
      await client.events({ data: "Hello" });
      await clock.advance(499);
      assert(client.idle, "it gave up too soon");
      await clock.advance(1);
      await client.error();
      await clock.advance(1);
      const second = await accept();
      await stream.hungUp();
      await second.send("data: World\n\n");
      await client.events({ data: "World" });
    },
  },
  breaking(
    "discards partial messages on retry",
    async ({ connect, accept }, breakConnection) => {
      const { stream, client } = await connect();
      await stream.send("id: abc\ndata: Hello\n\nid: def\ndata: Goodbye");
      await client.events({ id: "abc", data: "Hello" });
      breakConnection(stream);
      client.ignoreErrorHere();
      const second = await accept();
      assertEquals(second.headers.get("last-event-id"), "abc");
      await second.send("data: We meet again\n\n");
      await client.events({ id: "abc", data: "We meet again" });
    },
  ),
  breaking(
    "new connection established after breaking previous is functional",
    async ({ connect, accept }, breakConnection) => {
      const { stream, client } = await connect();
      assert(!stream.headers.has("last-event-id"));
      await stream.send("id: abc\ndata: Hello\n\n");
      await client.events({ id: "abc", data: "Hello" });
      breakConnection(stream);
      client.ignoreErrorHere();
      const second = await accept();
      await second.send("id: def\ndata: World\n\n");
      await client.events({ id: "def", data: "World" });
    },
  ),
];

const groups: readonly (readonly [name: string, cases: readonly Case[]])[] = [
  ["basic parsing", basicParsing],
  ["BOM", bom],
  ["comments", comments],
  ["linefeeds", linefeeds],
  ["HTTP behavior", http],
  ["reconnection", reconnection],
];

for (const { name: clientName, connect } of contractClients) {
  for (const [group, cases] of groups) {
    for (const { name, run } of cases) {
      Deno.test(`contract ${group}: ${name} (${clientName})`, async () => {
        await using server = await ConformanceServer.start();
        await using stack = new AsyncDisposableStack();
        const open = (params: Partial<StreamParams> = {}) =>
          stack.use(connect({
            streamUrl: server.origin,
            initialDelayMs: 0,
            fetch: server.fetch,
            ...params,
          }));
        const accept = async () => {
          const stream = await server.accept();
          stream.open(200, {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache, no-store, must-revalidate",
          });
          return stream;
        };
        await run({
          server,
          open,
          accept,
          async connect(params) {
            const client = open(params);
            return { client, stream: await accept() };
          },
        });
      });
    }
  }
}

Deno.test("contract: there are 113 cases, each with a name of its own", () => {
  assertEquals(groups.map(([, cases]) => cases.length), [23, 11, 4, 55, 12, 8]);
  const names = groups.flatMap(([group, cases]) =>
    cases.map(({ name }) => `${group}: ${name}`)
  );
  assertEquals(new Set(names).size, 113);
});
