// Upstreams over HTTP/2: nothing without END_STREAM is clean (field.md C4, D6, D8).
import { createServer, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/fetch/clock.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { HeaderList } from "../../../relay/header_list.ts";
import { toResponse } from "../../../relay/upstream/answer.ts";
import { Http2Connections } from "../../../relay/upstream/http2.ts";
import { UpstreamConnectionError } from "../../../relay/upstream/upstream_connection_error.ts";
import {
  frame,
  FRAMES,
  headerBlock,
  numbers,
  type RawHttp2Exchange,
  startRawHttp2,
} from "../../support/http/raw_http2.ts";
import { LIMIT, until, untilStill } from "../../support/within.ts";

const { DATA, HEADERS, RST_STREAM, GOAWAY } = FRAMES;
const END_STREAM = 1;
const END_HEADERS = 4;
const EVENT = new TextEncoder().encode("data: a\n\n");

function head(
  stream: number,
  more: readonly (readonly [string, string])[] = [],
  flags = 0,
): Uint8Array {
  const block = headerBlock([
    [":status", "200"],
    ["content-type", "text/event-stream"],
    ...more,
  ]);
  return frame(HEADERS, END_HEADERS | flags, stream, block);
}

/** Asks a server over a connection without TLS. */
function asker(clock = systemClock) {
  const connections = new Http2Connections(clock);
  return {
    [Symbol.dispose]: () => connections[Symbol.dispose](),
    ask: async (
      port: number,
      {
        method = "GET",
        body = null,
        signal = new AbortController().signal,
        isKept = true,
      }: {
        method?: string;
        body?: Uint8Array<ArrayBuffer> | null;
        signal?: AbortSignal;
        isKept?: boolean;
      } = {},
    ): Promise<Response> => {
      const url = new URL(`https://localhost:${port}/a//b?c`);
      const answer = await connections.ask(url, {
        url,
        method,
        headers: new HeaderList([["x-a", "ä"]]),
        body,
        length: body?.length,
        isKept,
        signal,
      }, () => Promise.resolve(connect(port, "127.0.0.1")));
      return toResponse(answer);
    },
  };
}

type Over = (exchange: RawHttp2Exchange) => void;

const WHOLE: Readonly<Record<string, Over>> = {
  "END_STREAM on an empty frame": ({ socket, stream }) =>
    socket.write(frame(DATA, END_STREAM, stream)),
  "trailers": ({ socket, stream }) =>
    socket.write(
      frame(
        HEADERS,
        END_STREAM | END_HEADERS,
        stream,
        headerBlock([["x-trailer", "b"]]),
      ),
    ),
};

const CUT: Readonly<Record<string, Over>> = {
  "RST_STREAM with NO_ERROR": ({ socket, stream }) =>
    socket.write(frame(RST_STREAM, 0, stream, numbers(0))),
  "RST_STREAM with CANCEL": ({ socket, stream }) =>
    socket.write(frame(RST_STREAM, 0, stream, numbers(8))),
  "RST_STREAM with INTERNAL_ERROR": ({ socket, stream }) =>
    socket.write(frame(RST_STREAM, 0, stream, numbers(2))),
  "GOAWAY and a closed connection": ({ socket, stream }) => {
    socket.write(frame(GOAWAY, 0, 0, numbers(stream, 0)));
    socket.end();
  },
  "GOAWAY for earlier streams alone": ({ socket }) => {
    socket.write(frame(GOAWAY, 0, 0, numbers(0, 0)));
    socket.end();
  },
  "a closed connection": ({ socket }) => socket.end(),
  "a reset connection": ({ socket }) => socket.resetAndDestroy(),
  "half a frame with END_STREAM": ({ socket, stream }) => {
    socket.write(frame(DATA, END_STREAM, stream, EVENT).subarray(0, 12));
    socket.end();
  },
  "the head of a frame with END_STREAM": ({ socket, stream }) => {
    socket.write(frame(DATA, END_STREAM, stream, EVENT).subarray(0, 9));
    socket.end();
  },
};

for (const [ends, endings] of [["whole", WHOLE], ["cut", CUT]] as const) {
  for (const [how, over] of Object.entries(endings)) {
    Deno.test(`A body over HTTP/2 that ends with ${how} is ${ends} (C4)`, async () => {
      let exchange: RawHttp2Exchange | undefined;
      await using server = await startRawHttp2((asked) => {
        exchange = asked;
        const { socket, stream } = asked;
        socket.write(head(stream));
        socket.write(frame(DATA, 0, stream, EVENT));
      });
      using upstream = asker();
      const response = await upstream.ask(server.port);
      const reader = response.body!.getReader(); // it has one
      const { value } = await reader.read();
      assertEquals(value, EVENT);
      over(exchange!); // it was asked
      const rest = async (): Promise<void> => {
        while (!(await reader.read()).done);
      };
      if (ends === "whole") await rest();
      else await assertRejects(rest, UpstreamConnectionError);
    });
  }
}

Deno.test("An answer over HTTP/2 that is reset before its head is none (C4)", async () => {
  for (const code of [0, 2, 7, 8]) {
    await using server = await startRawHttp2(({ socket, stream }) =>
      socket.write(frame(RST_STREAM, 0, stream, numbers(code)))
    );
    using upstream = asker();
    const error = await assertRejects(
      () => upstream.ask(server.port),
      UpstreamConnectionError,
    );
    // REFUSED_STREAM: nothing was done for it.
    assertEquals(error.isUnsent, code === 7, `${code}`);
  }
});

Deno.test("An answer over HTTP/2 may have many headers, in any bytes, and hints before it (D6, D8)", async () => {
  const many = Array.from(
    { length: 500 },
    (_, at) => [`x-${at}`, "b"] as const,
  );
  await using server = await startRawHttp2(({ socket, stream }) => {
    socket.write(frame(
      HEADERS,
      END_HEADERS,
      stream,
      headerBlock([[":status", "103"]]),
    ));
    socket.write(head(stream, [...many, ["x-b", "ä"]]));
    socket.write(frame(DATA, END_STREAM, stream, EVENT));
  });
  using upstream = asker();
  const response = await upstream.ask(server.port, {
    method: "POST",
    body: new Uint8Array(EVENT),
  });
  assertEquals(response.headers.get("x-499"), "b");
  assertEquals(response.headers.get("x-b"), "ä");
  assertEquals(await response.text(), "data: a\n\n");
});

Deno.test("Another informational answer than 100 and 103 is none over HTTP/2 (B5)", async () => {
  for (const status of ["101", "102"]) {
    await using server = await startRawHttp2(({ socket, stream }) =>
      socket.write(
        frame(HEADERS, END_HEADERS, stream, headerBlock([[":status", status]])),
      )
    );
    using upstream = asker();
    await assertRejects(
      () => upstream.ask(server.port),
      UpstreamConnectionError,
    );
  }
});

Deno.test("Informational answers over HTTP/2 do not come for ever (B5)", async () => {
  const early = (stream: number): Uint8Array =>
    frame(HEADERS, END_HEADERS, stream, headerBlock([[":status", "103"]]));
  await using server = await startRawHttp2(({ socket, stream }) => {
    for (let count = 0; count <= 100; count++) socket.write(early(stream));
  });
  using upstream = asker();
  const error = await assertRejects(
    () => upstream.ask(server.port),
    UpstreamConnectionError,
  );
  assert(error.message.includes("informational"), error.message);
});

Deno.test("A connection of HTTP/2 is used again, and closed after 4 s without a request", async () => {
  const clock = new FakeClock();
  const asked: number[] = [];
  await using server = await startRawHttp2(({ socket, stream, connection }) => {
    asked.push(connection);
    socket.write(head(stream, [], END_STREAM));
  });
  using upstream = asker(clock);
  const ask = async (): Promise<void> => {
    const response = await upstream.ask(server.port);
    assertEquals(await response.text(), "");
    await until(() => clock.pending === 1 || undefined, LIMIT, "the keeping");
  };
  await ask();
  await ask();
  await clock.advance(4_000);
  await until(() => clock.pending === 0 || undefined, LIMIT, "the closing");
  await ask();
  assertEquals(asked, [1, 1, 2]);
});

Deno.test("A request over HTTP/2 can be cancelled before its head and within its body", async () => {
  const reason = new Error("enough");
  for (const state of ["head", "body"] as const) {
    const controller = new AbortController();
    const closed = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    await using server = await startRawHttp2(({ socket, stream }) => {
      socket.on("close", () => closed.resolve());
      if (state === "body") socket.write(head(stream));
      asked.resolve();
    });
    using upstream = asker();
    const { signal } = controller;
    const answer = upstream.ask(server.port, { signal });
    answer.catch(() => {});
    await asked.promise;
    if (state === "body") {
      const reader = (await answer).body!.getReader(); // it has one
      controller.abort(reason);
      assertEquals(await assertRejects(() => reader.read()), reason);
    } else {
      controller.abort(reason);
      assertEquals(await assertRejects(() => answer), reason);
    }
    await closed.promise;
  }
});

Deno.test("A body over HTTP/2 that ends short of its length is cut (C4)", async () => {
  await using server = await startRawHttp2(({ socket, stream }) => {
    socket.write(head(stream, [["content-length", "99"]]));
    socket.write(frame(DATA, END_STREAM, stream, EVENT));
  });
  using upstream = asker();
  await assertRejects(
    async () => await (await upstream.ask(server.port)).text(),
    UpstreamConnectionError,
  );
});

Deno.test("A body over HTTP/2 is read no faster than it is asked for", async () => {
  const total = 16 * 1024 * 1024;
  let written = 0;
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.respond({ ":status": 200 });
    stream.on("error", () => {}); // it is cut
    const block = new Uint8Array(64 * 1024);
    const more = (): void => {
      while (written < total) {
        written += block.length;
        if (!stream.write(block)) return void stream.once("drain", more);
      }
      stream.end();
    };
    more();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  {
    using upstream = asker();
    const { body } = await upstream.ask(port);
    await untilStill(() => written, "the server to wait");
    assertEquals(written < total, true, `${written}`);
    await body?.cancel();
  }
  await new Promise<void>((done) => server.close(() => done()));
});
