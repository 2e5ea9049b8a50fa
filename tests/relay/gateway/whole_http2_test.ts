// Nobody takes a part of a run for the whole where its provider speaks HTTP/2: a table of how
// the stream was over, by the reader, by the version of HTTP (field.md C2, C3, C4, H5).
import { assertEquals } from "@std/assert";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import {
  askFramed,
  type FramedAnswer,
} from "../../support/http/framed_answer.ts";
import {
  frame,
  FRAMES,
  headerBlock,
  numbers,
  type RawHttp2Exchange,
} from "../../support/http/raw_http2.ts";
import { RawHttp2TlsServer } from "../../support/http/raw_http2_tls.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import { LIMIT, until } from "../../support/within.ts";

const { DATA, HEADERS, RST_STREAM, GOAWAY } = FRAMES;
const END_STREAM = 1;
const END_HEADERS = 4;

const { path, start, delta, ends } = WIRE_FORMATS["Responses"]!; // it is there
const SAID = start + delta("a");

/** A format with last words, and one whose streams are whole if they end well. */
const FORMATS = { "with last words": path, "without last words": "embeddings" };
const [, LAST_WORD = ""] = ends.find(([name]) => name === "complete") ?? [];

function data(stream: number, text: string, flags = 0): Uint8Array {
  return frame(DATA, flags, stream, new TextEncoder().encode(text));
}

/**
 * The ways in which a stream ends, and whether it is whole, in a format with a
 * last event and in one without.
 */
interface Ending {
  readonly isWhole: Readonly<Record<keyof typeof FORMATS, boolean>>;
  over(exchange: RawHttp2Exchange): void;
}

const CUT = {
  isWhole: { "with last words": false, "without last words": false },
};
const WHOLE = {
  isWhole: { "with last words": true, "without last words": true },
};

const ENDINGS: Readonly<Record<string, Ending>> = {
  "completes": {
    ...WHOLE,
    over: ({ socket, stream }) =>
      socket.write(data(stream, LAST_WORD, END_STREAM)),
  },
  "completes, with trailers": {
    ...WHOLE,
    over: ({ socket, stream }) => {
      socket.write(data(stream, LAST_WORD));
      const block = headerBlock([["x-trailer", "b"]]);
      socket.write(frame(HEADERS, END_STREAM | END_HEADERS, stream, block));
    },
  },
  // Once the verdict was said, what follows changes nothing.
  "completes, and is reset": {
    isWhole: { "with last words": true, "without last words": false },
    over: ({ socket, stream }) => {
      socket.write(data(stream, LAST_WORD));
      socket.write(frame(RST_STREAM, 0, stream, numbers(0)));
    },
  },
  "ends without a last word": {
    isWhole: { "with last words": false, "without last words": true },
    over: ({ socket, stream }) => socket.write(frame(DATA, END_STREAM, stream)),
  },
  "is reset with NO_ERROR": {
    ...CUT,
    over: ({ socket, stream }) =>
      socket.write(frame(RST_STREAM, 0, stream, numbers(0))),
  },
  "is reset with CANCEL": {
    ...CUT,
    over: ({ socket, stream }) =>
      socket.write(frame(RST_STREAM, 0, stream, numbers(8))),
  },
  "is ended by GOAWAY": {
    ...CUT,
    over: ({ socket, stream }) => {
      socket.write(frame(GOAWAY, 0, 0, numbers(stream, 0)));
      socket.end();
    },
  },
  "stops without END_STREAM": { ...CUT, over: ({ socket }) => socket.end() },
  "stops within a frame": {
    ...CUT,
    over: ({ socket, stream }) => {
      socket.write(data(stream, LAST_WORD, END_STREAM).subarray(0, 20));
      socket.end();
    },
  },
};

/** Returns the data of each event in a body. */
function dataOf(body: string): string[] {
  return body.match(/^data: .*$/gm) ?? [];
}

Deno.test("All who read a run whose provider speaks HTTP/2 see whether it is whole (C2, C3, C4)", async (t) => {
  await using provider = await RawHttp2TlsServer.start();
  await using relay = await RelayCommand.start({
    args: ["--provider", `h2=https://localhost:${provider.port}/v1`],
    env: { DENO_CERT: provider.ca },
  });
  const port = Number(new URL(relay.url).port);
  let count = 0;
  const cells = Object.entries(ENDINGS).flatMap(([how, { isWhole, over }]) =>
    (["1.0", "1.1"] as const).flatMap((version) =>
      (["with last words", "without last words"] as const).map((format) => ({
        ...{ how, version, format, over },
        path: FORMATS[format],
        end: isWhole[format] ? "whole" : "cut",
        status: isWhole[format] ? "complete" : "truncated",
      }))
    )
  );
  for (const { how, version, format, over, path, end, status } of cells) {
    await t.step(
      `${how}, ${format}, over HTTP/${version}: ${end}`,
      async () => {
        const name = `t${count++}`;
        const state = async (): Promise<{
          readonly next: number;
          readonly subscribers: number;
          readonly end?: { readonly status: string };
        }> => {
          const response = await fetch(`${relay.url}/topics?prefix=${name}`);
          const { topics } = await response.json();
          return topics.find((topic: { name: string }) => topic.name === name);
        };
        const get = (
          headers: Readonly<Record<string, string>> = {},
        ): Promise<FramedAnswer> =>
          askFramed({ port, version, target: `/topics/${name}?raw`, headers });
        const post = (): Promise<FramedAnswer> =>
          askFramed({
            port,
            version,
            method: "POST",
            target: `/v1/${path}`,
            headers: {
              "content-type": "application/json",
              "rivulet-topic": name,
              "idempotency-key": name,
            },
            body: '{"stream":true}',
          });
        const first = post();
        const exchange = await Promise.race([
          provider.next(),
          // It would be waited for in vain.
          first.then((answer): never => {
            throw new Error(`Nobody was asked: ${JSON.stringify(answer)}`);
          }),
        ]);
        const { socket, stream } = exchange;
        socket.write(frame(
          HEADERS,
          END_HEADERS,
          stream,
          headerBlock([
            [":status", "200"],
            ["content-type", "text/event-stream"],
          ]),
        ));
        socket.write(data(stream, SAID));
        const head = await until(
          async () => {
            const response = await fetch(`${relay.url}/topics/${name}`, {
              method: "HEAD",
            });
            return response.headers.get("rivulet-next") === "3"
              ? response.headers
              : undefined;
          },
          LIMIT,
          "the events to be taken in",
        );
        const epoch = head.get("rivulet-epoch");
        const readers = {
          first,
          joined: post(),
          raw: get(),
          resumed: get({ "last-event-id": `${epoch}:1` }),
        };
        await until(
          async () => (await state()).subscribers === 3 || undefined,
          LIMIT,
          "the followers",
        );
        over(exchange);
        const seen: Record<string, unknown> = {};
        for (const [reader, answer] of Object.entries(readers)) {
          const { status, body, end } = await answer;
          seen[reader] = [status, dataOf(body).length >= 1, end];
        }
        const is = [200, true, end];
        assertEquals(seen, { first: is, joined: is, raw: is, resumed: is });
        assertEquals((await state()).end?.status, status);
        assertEquals(
          [(await post()).end, (await get()).end],
          [end, end],
          "those who come later",
        );
      },
    );
  }
});
