/**
 * Functions in place of `fetch` whose answers are not those of the standard (G12),
 * and answers whose type is not that of an event stream (G11).
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import {
  BodyStreamError,
  ConnectionError,
  FetchEventSource,
  HttpStatusError,
  IdleTimeoutError,
  NotAnEventStreamError,
  streamEvents,
} from "../../src/fetch/mod.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import { streamOnce } from "../support/fetch/stream_once.ts";

const URL_OF = "https://example.com/";

/** An answer as packages make it that have classes of their own. */
function foreign(fields: Record<string, unknown>): Response {
  return {
    status: 200,
    ok: true,
    url: URL_OF,
    headers: new Headers({ "Content-Type": "text/event-stream" }),
    ...fields,
    // It has what of a Response is looked at, as theirs do.
  } as unknown as Response;
}

const fetchOf = (response: Response) => () => Promise.resolve(response);

for (
  const [name, body] of [
    [
      "buffers",
      () =>
        Readable.from([Buffer.from("data: a\n"), Buffer.from("\ndata: b\n\n")]),
    ],
    ["texts", () => Readable.from(["data: a\n\nda", "ta: b\n\n"])],
    [
      "an iterable alone",
      () =>
        (async function* () {
          yield new TextEncoder().encode("data: a\n\n");
          await Promise.resolve();
          yield new TextEncoder().encode("data: b\n\n");
        })(),
    ],
    [
      "a web stream of another realm",
      () => {
        const own = new Blob(["data: a\n\ndata: b\n\n"]).stream();
        return {
          getReader: () => own.getReader(),
          cancel: () => own.cancel(),
          locked: false,
        };
      },
    ],
  ] as const
) {
  Deno.test(`streamEvents reads a body of ${name} (G12)`, async () => {
    const events = streamOnce(URL_OF, {
      fetch: fetchOf(foreign({ body: body() })),
    });
    const seen: string[] = [];
    for await (const { data } of events) seen.push(data);
    assertEquals(seen, ["a", "b"]);
  });
}

Deno.test("streamEvents closes a stream of Node that it leaves (G12)", async () => {
  const body = new Readable({ read() {} });
  body.push("data: a\n\n");
  const closed = new Promise((resolve) => body.once("close", resolve));
  for await (
    const event of streamOnce(URL_OF, { fetch: fetchOf(foreign({ body })) })
  ) {
    assertEquals(event.data, "a");
    break;
  }
  await closed;
  assert(body.destroyed);
});

Deno.test("streamEvents closes a stream of Node that waits, when it is aborted (G12)", async () => {
  const body = new Readable({ read() {} });
  const closed = new Promise((resolve) => body.once("close", resolve));
  const controller = new AbortController();
  const events = streamOnce(URL_OF, {
    signal: controller.signal,
    fetch: fetchOf(foreign({ body })),
  });
  await events.open();
  const next = assertRejects(() => events.next(), Error, "enough");
  controller.abort(new Error("enough"));
  await next;
  await closed;
});

Deno.test("streamEvents tells an error of a stream of Node (G12)", async () => {
  const body = new Readable({ read() {} });
  body.push("data: a\n\n");
  const events = streamOnce(URL_OF, { fetch: fetchOf(foreign({ body })) });
  assertEquals((await events.next()).value?.data, "a");
  body.destroy(new Error("socket hang up"));
  const error = await assertRejects(() => events.next(), ConnectionError);
  assertEquals(error.phase, "body");
});

Deno.test("streamEvents reads the refusal in a stream of Node (G12)", async () => {
  const events = streamOnce(URL_OF, {
    fetch: fetchOf(foreign({ status: 401, body: Readable.from(["no key"]) })),
  });
  const error = await assertRejects(() => events.next(), HttpStatusError);
  assertEquals([error.status, error.body], [401, "no key"]);
});

for (const body of [undefined, null]) {
  Deno.test(`streamEvents says at once that fetch does not stream: ${body} (G12)`, async () => {
    let requests = 0;
    // A GET, which would be made again.
    const events = streamEvents(URL_OF, {
      fetch: () => {
        requests++;
        const text = () => new Promise<string>(() => {});
        return Promise.resolve(foreign({ body, text }));
      },
    });
    const error = await assertRejects(() => events.next(), BodyStreamError);
    assertEquals(error.code, "no_body_stream");
    assert(error.message.includes("React Native"), error.message);
    assertEquals(requests, 1);
  });
}

Deno.test("streamEvents shows the refusal to a fetch that does not stream (G12)", async () => {
  for (
    const [status, type] of [[401, "text/plain"], [
      200,
      "application/json",
    ]] as const
  ) {
    const events = streamOnce(URL_OF, {
      fetch: fetchOf(foreign({
        status,
        headers: new Headers({ "Content-Type": type }),
        text: () => Promise.resolve("no key"),
      })),
    });
    const error = await assertRejects(() => events.next(), Error);
    assert(
      status === 401
        ? error instanceof HttpStatusError && error.body === "no key"
        : error instanceof NotAnEventStreamError && error.body === "no key",
      String(error),
    );
  }
});

// The type of an answer

const typed = (type: string | undefined, chunks: readonly string[]) => {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const [chunk, ...rest] = chunks;
      chunks = rest;
      if (chunk === undefined) controller.close();
      else controller.enqueue(encoder.encode(chunk));
    },
  });
  return fetchOf(
    new Response(
      body,
      type === undefined ? {} : { headers: { "Content-Type": type } },
    ),
  );
};

for (
  const type of [
    undefined,
    "text/plain",
    "text/plain; charset=utf-8",
    "application/json",
    "application/octet-stream",
    "application/x-ndjson",
  ]
) {
  for (
    const start of [
      "data: ",
      "data:",
      ": hi\n\ndata: ",
      "event: message\ndata: ",
      "id: 1\ndata: ",
      "retry: 10\n\ndata: ",
      "\r\n\r\n\ndata: ",
      "\ufeffdata: ",
      "data\n\ndata: ",
    ]
  ) {
    Deno.test(`streamEvents reads ${JSON.stringify(start)} under the type ${type} where that is asked for (G11)`, async () => {
      const text = `${start}ok…\n\n`;
      for (const chunks of [[text], [...text]]) {
        const events = streamOnce(URL_OF, {
          contentType: "any",
          fetch: typed(type, chunks),
        });
        const seen: string[] = [];
        for await (const { data } of events) seen.push(data);
        assertEquals(seen.filter(Boolean), ["ok…"]);
      }
    });
  }
}

for (
  const [name, type, body] of [
    ["JSON", "application/json", '{"error":"data: x"}'],
    ["a page", "text/html", "<!doctype html>\ndata: x\n\n"],
    ["a text", "text/plain", "database is down"],
    ["a word", "text/plain", "id"],
    ["nothing", undefined, ""],
    ["blank lines", "text/plain", "\n".repeat(5_000)],
  ] as const
) {
  Deno.test(`streamEvents shows ${name}, whatever types it reads (G11)`, async () => {
    for (const chunks of [[body], [...body]]) {
      const events = streamOnce(URL_OF, {
        contentType: "any",
        fetch: typed(type, chunks),
      });
      const error = await assertRejects(
        () => events.next(),
        NotAnEventStreamError,
      );
      assertEquals(error.body, body);
      assert(!error.message.includes("'contentType'"), error.message);
    }
  });
}

Deno.test("NotAnEventStreamError says what to set for an event stream of another type (G11)", async () => {
  const events = streamOnce(URL_OF, {
    fetch: typed("text/plain", ["data: x\n\n"]),
  });
  const error = await assertRejects(
    () => events.next(),
    NotAnEventStreamError,
  );
  assertEquals(
    error.message,
    `Cannot stream events from ${URL_OF} as the content type must be text/event-stream: got text/plain, whose body begins like an event stream: set the option 'contentType' to "any" to read it (its start is in 'body')`,
  );
});

Deno.test("FetchEventSource reads an event stream of another type where that is asked for (G11)", async () => {
  const source = new FetchEventSource(URL_OF, {
    contentType: "any",
    fetch: typed("text/plain", ["data: x\n\n"]),
  });
  const data = await new Promise((resolve) => {
    source.onmessage = (event) => resolve(event.data);
    source.onerror = resolve;
  });
  source.close();
  assertEquals(data, "x");
});

Deno.test("streamEvents does not wait for the start of a body for ever (G11)", async () => {
  const clock = new FakeClock();
  let cancelled = false;
  const events = streamOnce(URL_OF, {
    contentType: "any",
    idleTimeout: 1_000,
    clock,
    fetch: fetchOf(
      new Response(
        new ReadableStream({
          cancel() {
            cancelled = true;
          },
        }),
      ),
    ),
  });
  const failed = assertRejects(() => events.next(), IdleTimeoutError);
  await clock.run(failed);
  assertEquals(cancelled, true);
  assertEquals(clock.pending, 0);
});

Deno.test("streamEvents refuses another word for the types that it reads", () => {
  assertThrows(
    // @ts-expect-error: as a program in JavaScript may pass it
    () => streamOnce(URL_OF, { contentType: "text/plain" }),
    TypeError,
    "'contentType'",
  );
});
