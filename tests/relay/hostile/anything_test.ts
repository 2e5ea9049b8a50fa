// Whatever a peer sends by whatever way in: nobody else notices.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type EndpointContext,
  listEndpoints,
} from "../../../relay/doors/http/endpoints.ts";
import {
  MODES,
  parametersOf,
  READING_DOORS,
  type ReadingDoor,
} from "../../../relay/doors/subscription_request.ts";
import { MESSAGE_TYPES } from "../../../relay/doors/websocket/client_message.ts";
import { PUBLISH_TYPES } from "../../../relay/sources/publish.ts";
import {
  formatOf,
  WIRE_FORMATS,
  type WireFormat,
} from "../../../src/model/wires/format.ts";
import {
  hostileBytes,
  type HostileEvent,
  hostileEvents,
  streamOf,
} from "../../support/hostile_events.ts";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { runsOf, seedOf } from "../../support/property.ts";
import { Bystanders } from "../../support/relay/bystanders.ts";
import { RelayProcess } from "../../support/relay/relay_process.ts";
import {
  OPCODE,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const MIB = 1_024 * 1_024;

// Nothing of the context is used as nothing is answered.
const endpoints = listEndpoints({ publicMetrics: false } as EndpointContext);

/** The number of cells that are tried by chance, after each cell was. */
const RUNS = 20;

/** The largest input of the cells that are all tried, in bytes: others take seconds. */
const SMALL = 100_000;

/** The number of cells that are tried at a time. */
const AT_ONCE = 6;

/** The limit of the caches of frames and of JSON, with some room. */
const KEPT = 160 * MIB;

/** The ways to read a topic, by the door: with each parameter that the door takes. */
const READS: Readonly<Record<ReadingDoor, readonly string[]>> = {
  websocket: [
    ...MODES.flatMap((
      mode,
    ) => [`?mode=${mode}`, `?mode=${mode}&snapshot=true`]),
    "?after=start&window=1000000000",
    "?stay",
  ],
  stream: ["?after=start", "?raw"],
  page: ["", "?after=now", "?limit=1"],
};

/** The ways in which each cell is read once more after its end. */
const READS_AGAIN: typeof READS = {
  websocket: ["?mode=merge&snapshot=true", "?wait=false"],
  stream: ["?raw", "?wait=false"],
  page: [""],
};

/** Parameters of streams that say only whether a topic is read at all, and for how long. */
const OF_TIME = ["active", "stay"];

/** The path of a run whose stream has a format. */
const PATHS: Readonly<Record<WireFormat, string>> = {
  responses: "responses",
  chat: "chat/completions",
  messages: "messages",
  ui: "api/chat",
  plain: "embeddings",
};

/** The header of the answers at the path of UI messages, which alone tells them. */
const UI_HEADER = ["x-vercel-ai-ui-message-stream", "v1"] as const;

/** The bytes sent, and their events. */
interface Sent {
  readonly bytes: Uint8Array;
  readonly events: readonly HostileEvent[];
}

/** The kinds of what is sent. */
const KINDS: Readonly<Record<string, fc.Arbitrary<Sent>>> = {
  "any JSON": hostileEvents.map((events) => ({
    events,
    bytes: new TextEncoder().encode(
      events.length === 1
        ? events[0]!.data
        : `[${events.map(({ data }) => data).join()}]`,
    ),
  })),
  "any bytes": fc.record({ bytes: hostileBytes, events: hostileEvents }),
  "any event stream": hostileEvents.map((events) => ({
    events,
    bytes: streamOf(events),
  })),
};

/** An upstream, and a provider, that gives each answer at a URL of its own. */
class Answerer implements AsyncDisposable {
  readonly url: string;
  readonly #answers = new Map<string, readonly [string, Uint8Array]>();
  readonly #server: ReturnType<typeof createServer>;
  #count = 0;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    const { port } = server.address() as AddressInfo; // it listens on TCP
    this.url = `http://127.0.0.1:${port}`;
    server.on("request", (request, response) => {
      request.resume();
      const [path = "", name = ""] = (request.url ?? "").split("?");
      if (path.endsWith(PATHS.ui)) response.setHeader(...UI_HEADER);
      const [type, bytes] = this.#answers.get(name) ?? ["text/plain", ""];
      response.writeHead(200, { "Content-Type": type });
      response.end(bytes);
    });
  }

  /** Keeps an answer; returns where it is, and its name: the query of the URL. */
  answer(
    type: string,
    bytes: Uint8Array,
  ): { readonly url: string; readonly name: string } {
    const name = `n${this.#count++}`;
    this.#answers.set(name, [type, bytes]);
    return { url: `${this.url}/?${name}`, name };
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

/** A way into a relay: sends something to a topic. */
type Way = (url: string, topic: string, sent: Sent) => Promise<void>;

/** Sends the bytes to a path of the topic. */
function send(
  method: "POST" | "PUT",
  type: string,
  path: (topic: string) => string,
  headers: (topic: string) => Readonly<Record<string, string>> = () => ({}),
): Way {
  return async (url, topic, { bytes }) => {
    // A body that is refused before its end meets a connection that is closed.
    await ask(`${url}${path(topic)}`, {
      method,
      headers: { "Content-Type": type, ...headers(topic) },
      body: copy(bytes),
    }).catch(() => {});
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

/** The types of answers of a source or a provider, for the bytes of a cell. */
const ANSWERS = ["text/event-stream", "application/json"] as const;

/** Each way in, from the code's own tables. */
function waysIn(answerer: Answerer): Readonly<Record<string, Way>> {
  const ways: Record<string, Way> = {};
  const add = (name: string, way: Way): void => {
    ways[name] = way;
  };
  const pathOf = (path: string) => (topic: string) =>
    path.replace(":topic", topic);
  for (const { method, path } of endpoints) {
    if (method !== "PUT" && method !== "POST") continue;
    const types = `${method} ${path}` === "POST /topics/:topic"
      ? PUBLISH_TYPES
      : ["application/json"];
    for (const type of types) {
      add(`${method} ${path} of ${type}`, send(method, type, pathOf(path)));
    }
  }
  add("events that JSON has well", async (url, topic, { events }) => {
    await ask(`${url}/topics/${topic}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(events),
    });
  });
  for (const type of MESSAGE_TYPES) {
    add(`a message ${type}`, async (url, topic, { events, bytes }) => {
      await using peer = await RawWebSocket.open(url, "/ws");
      for (const event of events) {
        const value = event.data;
        await peer.say({ type, topic, events: [event] });
        await peer.send(
          OPCODE.text,
          `{"type":"${type}","topic":"${topic}","events":[${value}],"after":${value},` +
            `"offset":${value},"reason":${value},"token":${value},"time":${value}}`,
        );
      }
      await peer.send(OPCODE.text, bytes);
      // Answered when all before it was.
      await peer.send(OPCODE.close, Uint8Array.of(1000 >> 8, 1000 & 0xFF));
      await peer.closeCode();
    });
  }
  add("a message response.create", async (url, topic, { events, bytes }) => {
    await using peer = await RawWebSocket.open(url, "/v1/responses", {
      "Rivulet-Topic": topic,
    });
    for (const { data: value } of events) {
      await peer.send(
        OPCODE.text,
        `{"type":"response.create","generate":false,"model":${value},"input":${value},` +
          `"stream_id":${value},"previous_response_id":${value},"tools":${value}}`,
      );
      await peer.send(
        OPCODE.text,
        `{"type":"response.create","input":[${value}],"store":${value}}`,
      );
    }
    await peer.send(OPCODE.text, bytes);
    // Answered when all before it was read.
    await peer.send(OPCODE.close, Uint8Array.of(1000 >> 8, 1000 & 0xFF));
    await peer.closeCode();
  });
  for (const answer of ANSWERS) {
    add(`a source of ${answer}`, async (url, topic, { bytes }) => {
      const own = answerer.answer(answer, bytes);
      await ask(`${url}/topics/${topic}`, {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ source: { url: own.url, reconnect: false } }),
      });
      await until(
        async () => {
          const { headers } = await ask(`${url}/topics/${topic}`, {
            method: "HEAD",
          });
          return headers.get("rivulet-state") === "ended" || undefined;
        },
        LIMIT,
        "the end of the source",
      );
    });
    for (const format of WIRE_FORMATS) {
      add(
        `a provider of ${format} that answers ${answer}`,
        async (url, topic, { bytes }) => {
          const own = answerer.answer(answer, bytes);
          // A stream that breaks off breaks off here too.
          await ask(`${url}/v1/${PATHS[format]}?${own.name}`, {
            method: "POST",
            headers: {
              "Content-Type": "application/json",
              "Rivulet-Topic": topic,
            },
            body: `{"stream":true,"model":"m"}`,
          }).catch(() => {});
        },
      );
    }
  }
  const request = (type: string, format: WireFormat): void =>
    add(
      `a request of ${type} for ${format}`,
      send(
        "POST",
        type,
        () => `/v1/${PATHS[format]}`,
        (topic) => ({ "Rivulet-Topic": topic }),
      ),
    );
  for (const format of WIRE_FORMATS) request("application/json", format);
  request("application/octet-stream", "plain");
  return ways;
}

function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

/** Reads a topic by every door and in every mode, to its end. */
async function readAll(
  url: string,
  topic: string,
  ended: Promise<unknown>,
  reads = READS,
): Promise<void> {
  const target = `${url}/topics/${topic}`;
  const sockets = await Promise.all(
    reads.websocket.map((query) =>
      RawWebSocket.open(url, `/topics/${topic}${query}`)
    ),
  );
  const streams = reads.stream.map((query) =>
    ask(`${target}${query}`, { headers: { Accept: "text/event-stream" } })
  );
  await ended;
  const codes = await within(
    Promise.all(sockets.map(async (socket, index) => {
      if (!reads.websocket[index]?.includes("stay")) {
        return await socket.closeCode();
      }
      // It would stay for another epoch.
      await socket.message("end");
      await socket[Symbol.asyncDispose]();
      return 1000;
    })),
    LIMIT,
    "the end of all subscriptions",
  );
  assertEquals(codes, sockets.map(() => 1000));
  for (const response of await within(Promise.all(streams), LIMIT, "streams")) {
    assertEquals(response.status, 200);
  }
  for (const query of reads.page) {
    const { status } = await ask(`${target}${query}`, {
      headers: { Accept: "application/json" },
    });
    assertEquals(status, 200);
  }
}

Deno.test("A1: each format, mode, parameter and message of the code has its cells", () => {
  for (const format of WIRE_FORMATS) {
    const headers = new Headers(format === "ui" ? [[...UI_HEADER]] : []);
    assertEquals(formatOf(PATHS[format], headers), format);
  }
  for (const door of READING_DOORS) {
    const queries = [...READS[door], ...READS_AGAIN[door]]
      .map((query) => new URLSearchParams(query));
    for (const name of parametersOf(door)) {
      if (door === "stream" && OF_TIME.includes(name)) continue;
      assert(queries.some((query) => query.has(name)), `${door}: ${name}`);
    }
  }
  assert(MESSAGE_TYPES.includes("publish"));
  assert(endpoints.some(({ method }) => method === "PUT"));
});

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
  const events = [{
    data: '{"type":"response.output_text.delta","delta":"a"}',
  }];
  const plain = { bytes: streamOf(events), events };
  let tried = 0;
  const tryOut = async (name: string, sent: Sent): Promise<void> => {
    const topic = `t${tried++}`;
    // Those who were there before, and those who come after the end.
    const end = (async () => {
      await ways[name]?.(url, topic, sent);
      await ask(`${url}/topics/${topic}`, { method: "PUT" });
      await ask(`${url}/topics/${topic}/end`, { method: "POST" });
    })();
    await readAll(url, topic, end);
    await readAll(url, topic, end, READS_AGAIN);
    await ask(`${url}/topics/${topic}`, { method: "DELETE" });
  };
  const tryAll = async (
    cells: readonly (readonly [way: string, sent: Sent])[],
  ): Promise<void> => {
    for (let at = 0; at < cells.length; at += AT_ONCE) {
      const some = cells.slice(at, at + AT_ONCE);
      await Promise.all(some.map((cell) => tryOut(...cell)));
      await bystanders.check(some.map(([name]) => name).join());
    }
  };
  const live = async (): Promise<number> => {
    const { heapUsed, external } = await relay.memory();
    return heapUsed + external;
  };
  // The first ones leave behind what the code itself needs.
  await tryAll(Object.keys(ways).map((name) => [name, plain]));
  const before = await live();

  const seed = seedOf("anything");
  const start = performance.now();
  // Each cell once, whatever chance would have chosen.
  for (const [kind, arbitrary] of Object.entries(KINDS)) {
    const names = Object.keys(ways);
    const inputs = fc.sample(
      arbitrary.filter(({ bytes }) => bytes.length < SMALL),
      { seed, numRuns: names.length },
    );
    await tryAll(names.map((name, index) => [name, inputs[index]!])); // as many
    console.log(
      `anything: ${names.length} cells of ${kind} after ${
        Math.round(performance.now() - start)
      } ms`,
    );
  }
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(ways)),
      fc.oneof(...Object.values(KINDS)),
      async (name, sent) => {
        runs++;
        await tryAll([[name, sent]]);
      },
    ),
    { seed, numRuns: runsOf(RUNS) },
  );
  const grown = await live() - before;
  console.log(
    `anything: ${runs} further runs, the relay keeps ${
      (grown / MIB).toFixed(1)
    } MiB`,
  );
  assert(grown < KEPT);
});
