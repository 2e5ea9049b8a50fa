// Whatever a peer sends by whatever way in: nobody else notices.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  hostileBytes,
  type HostileEvent,
  hostileEvents,
  streamOf,
} from "../../support/hostile_events.ts";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { seedOf } from "../../support/property.ts";
import { Bystanders } from "../../support/relay/bystanders.ts";
import { RelayProcess } from "../../support/relay/relay_process.ts";
import {
  OPCODE,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const MIB = 1_024 * 1_024;

/** How long it is tried, in milliseconds. */
const DURATION = 10_000;

/** What the caches of frames and of JSON may hold, and some. */
const KEPT = 160 * MIB;

/** What the sockets follow: each with its modes. */
const SOCKETS = [
  "",
  "?mode=merge",
  "?mode=latest",
  "?snapshot=true",
  "?mode=merge&snapshot=true",
] as const;

const PATHS = ["responses", "chat/completions", "messages", "embeddings"];

/** What is sent. */
interface Sent {
  readonly bytes: Uint8Array;
  readonly events: readonly HostileEvent[];
}

/** An upstream, and a provider, that answers all with the same bytes. */
class Answerer implements AsyncDisposable {
  readonly url: string;
  bytes: Uint8Array = new Uint8Array();
  readonly #server: ReturnType<typeof createServer>;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    const { port } = server.address() as AddressInfo; // it listens on TCP
    this.url = `http://127.0.0.1:${port}`;
    server.on("request", (request, response) => {
      request.resume();
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.end(this.bytes);
    });
  }

  static async open(): Promise<Answerer> {
    const server = createServer();
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", resolve)
    );
    return new Answerer(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** A way into a relay: sends something to the topic `t`. */
type Way = (url: string, sent: Sent) => Promise<void>;

function post(type: string, bodyOf: (sent: Sent) => BodyInit): Way {
  return async (url, sent) => {
    await ask(`${url}/topics/t`, {
      method: "POST",
      headers: { "Content-Type": type },
      body: bodyOf(sent),
    });
  };
}

async function ask(url: string, init?: RequestInit): Promise<Response> {
  const headers = new Headers(init?.headers);
  // A connection that is kept could be closed just as it is used.
  headers.set("Connection", "close");
  const stream = new CallerStream(await fetch(url, { ...init, headers }));
  // A raw reader of a topic that is not whole is cut: the topic may be anything.
  await stream.rest();
  return stream.response;
}

/** Each way in; `answerer` has the bytes for those that the relay fetches. */
function waysIn(answerer: Answerer): Readonly<Record<string, Way>> {
  return {
    "an event stream": post("text/event-stream", ({ bytes }) => copy(bytes)),
    "JSON": post("application/json", ({ events }) => JSON.stringify(events)),
    "JSON of any bytes": post("application/json", ({ bytes }) => copy(bytes)),
    "JSON of any value": post(
      "application/json",
      ({ events }) => `[${events.map(({ data }) => data).join()}]`,
    ),
    "text": post("text/plain", ({ bytes }) => copy(bytes)),
    "frames": async (url, { events, bytes }) => {
      await using peer = await RawWebSocket.open(url, "/ws");
      for (const event of events) {
        await peer.say({ type: "publish", topic: "t", events: [event] });
        const message =
          `{"type":"publish","topic":"t","events":[${event.data}]}`;
        await peer.send(OPCODE.text, message);
        await peer.send(
          OPCODE.text,
          `{"type":"subscribe","topic":"u","after":${event.data}}`,
        );
      }
      await peer.send(OPCODE.text, bytes);
      // Answered when all before it was.
      await peer.send(OPCODE.close, Uint8Array.of(1000 >> 8, 1000 & 0xFF));
      await peer.closeCode();
    },
    "a source": async (url, { bytes }) => {
      answerer.bytes = bytes;
      await ask(`${url}/topics/t`, {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          source: { url: answerer.url, reconnect: false },
        }),
      });
      await until(
        async () => {
          const { headers } = await ask(`${url}/topics/t`, { method: "HEAD" });
          return headers.get("rivulet-state") === "ended" || undefined;
        },
        LIMIT,
        "the end of the source",
      );
    },
    ...Object.fromEntries(PATHS.map((path): [string, Way] => [
      `a provider of ${path}`,
      async (url, { bytes }) => {
        answerer.bytes = bytes;
        // A stream that breaks off breaks off here too.
        await ask(`${url}/v1/${path}`, {
          method: "POST",
          headers: {
            "Content-Type": "application/json",
            "Rivulet-Topic": "t",
          },
          body: `{"stream":true,"model":"m"}`,
        }).catch(() => {});
      },
    ])),
  };
}

function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

/** Reads the topic by every door and in every mode, to its end. */
async function readAll(url: string, ended: Promise<unknown>): Promise<void> {
  const sockets = await Promise.all(
    SOCKETS.map((query) => RawWebSocket.open(url, `/topics/t${query}`)),
  );
  const streams = ["", "?raw"].map((query) =>
    ask(`${url}/topics/t${query}`, { headers: { Accept: "text/event-stream" } })
  );
  await ended;
  const codes = await within(
    Promise.all(sockets.map((socket) => socket.closeCode())),
    LIMIT,
    "the end of all subscriptions",
  );
  assertEquals(codes, SOCKETS.map(() => 1000));
  for (const response of await within(Promise.all(streams), LIMIT, "streams")) {
    assertEquals(response.status, 200);
  }
  for (const query of ["", "?after=now", "?limit=1"]) {
    const { status } = await ask(`${url}/topics/t${query}`, {
      headers: { Accept: "application/json" },
    });
    assertEquals(status, 200);
  }
}

Deno.test("A1: Relay lives, serves the others and keeps nothing, whatever a peer sends", async () => {
  await using answerer = await Answerer.open();
  await using relay = await RelayProcess.start({
    rights: { allowSources: ["*"], allowAddresses: ["127.0.0.0/8"] },
    gateway: { providers: [{ name: "any", url: answerer.url }] },
    limits: {
      maxMessageRate: 1_000_000,
      maxPublishRate: 1_000_000,
      // This process may be busy for longer than a peer may be silent by default.
      headTimeout: 10 * LIMIT,
      bodyTimeout: 10 * LIMIT,
    },
  });
  const { url } = relay;
  await using bystanders = await Bystanders.open(url);
  const ways = waysIn(answerer);
  const tryOut = async (name: string, sent: Sent): Promise<void> => {
    // Those who were there before, and those who come after the end.
    const end = (async () => {
      await ways[name]?.(url, sent);
      await ask(`${url}/topics/t/end`, { method: "POST" });
    })();
    await readAll(url, end);
    await readAll(url, end);
    await ask(`${url}/topics/t`, { method: "DELETE" });
    await bystanders.check(name);
  };
  const live = async (): Promise<number> => {
    const { heapUsed, external } = await relay.memory();
    return heapUsed + external;
  };
  // What the first ones leave behind is what the code itself takes.
  const plain = [{ data: '{"type":"response.output_text.delta","delta":"a"}' }];
  for (const name of Object.keys(ways)) {
    await tryOut(name, { bytes: streamOf(plain), events: plain });
  }
  const before = await live();
  let runs = 0;
  let running = Promise.resolve();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(ways)),
      hostileBytes,
      hostileEvents,
      async (name, bytes, events) => {
        runs++;
        running = tryOut(name, { bytes, events });
        await running;
      },
    ),
    {
      seed: seedOf("anything"),
      numRuns: 10_000,
      interruptAfterTimeLimit: DURATION,
    },
  );
  // The time may have ended within a run, which goes on by itself.
  await running;
  const grown = await live() - before;
  console.log(
    `anything: ${runs} runs, the relay keeps ${(grown / MIB).toFixed(1)} MiB`,
  );
  assert(grown < KEPT);
});
