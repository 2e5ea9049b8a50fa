// The work that a turn of the event loop does for what a peer sends: counted, as a busy
// machine says nothing by the time that it takes.
import { Buffer } from "node:buffer";
import { connect, createServer, type Server } from "node:net";
import type { AddressInfo } from "node:net";
import { assert, assertMatch } from "@std/assert";
import { upgradeRequest } from "../../support/http/upgrade_request.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { WorkCounter } from "../../support/turns/count_work.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const KIB = 1_024;

/** The size of each input: 32 times what a call may handle. */
const SIZE = 8 * KIB * KIB;

/** The most that a call of a slow function may handle. */
const MOST_OF_CALL = 256 * KIB;

/**
 * The most that the calls of a slow function may handle in a turn: 32 steps of 64 KiB when
 * the input has come, as many when the work has its turn, and what was read.
 */
const MOST_OF_TURN = 5 * KIB * KIB;

/** The number of times that a fast function may go over an input in a turn. */
const MOST_COPIES = 4;

/** An input of a relay, and the sign that it was handled. */
interface Cell {
  /** The request to the relay, whole. */
  readonly request: readonly (string | Buffer)[];
  /** The answer of the provider and of the source, if they are asked. */
  readonly answer?: readonly (string | Buffer)[];
  /** The text that shows in the answer of the relay that all was done. */
  readonly done: RegExp;
  /** The requests of those who read the topic meanwhile. */
  readonly readers?: readonly string[];
}

const xs = "x".repeat(SIZE);
const zeros = "0,".repeat(SIZE / 2);

function post(
  path: string,
  type: string,
  body: string,
  headers = "",
): (string | Buffer)[] {
  const bytes = Buffer.from(body);
  return [
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n` +
    `Content-Type: ${type}\r\nContent-Length: ${bytes.length}\r\n${headers}\r\n`,
    bytes,
  ];
}

function streamOf(...events: string[]): (string | Buffer)[] {
  return [
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
    Buffer.from(events.map((event) => `${event}\n\n`).join("")),
  ];
}

/** A run whose provider answers with events. */
function run(path: string, ...events: string[]): Cell {
  return {
    request: post(
      `/v1/${path}`,
      "application/json",
      `{"model":"m","stream":true}`,
      "Rivulet-Topic: t\r\nAuthorization: Bearer sk-0123456789abcdef0123\r\n",
    ),
    answer: streamOf(...events),
    done: /^HTTP\/1.1 200/,
  };
}

const DONE = /^HTTP\/1.1 200/;

function publish(type: string, body: string, headers?: string): Cell {
  return { request: post("/topics/t", type, body, headers), done: DONE };
}

const KEY = "Idempotency-Key: k\r\n";

function get(query: string, accept: string): string {
  return `GET /topics/t${query} HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\n\r\n`;
}

/** The ways to read a topic from before its event is there. */
const READERS: readonly string[] = [
  get("", "text/event-stream"),
  get("?raw", "text/event-stream"),
  ...["mode=all", "mode=merge", "mode=latest", "mode=merge&snapshot=true"]
    .map((query) => upgradeRequest(`/topics/t?${query}`)),
];

const PAGE = get("?after=start", "application/json");

const CELLS: Readonly<Record<string, Cell>> = {
  "A2: an array of numbers": {
    request: post("/topics/t", "application/json", `[${zeros}0]`),
    done: /^HTTP\/1.1 400/,
  },
  "A2: many events of JSON": publish(
    "application/json",
    `[${'{"data":"a"},'.repeat(60_000)}{"data":"${xs}"}]`,
  ),
  "A3: one event of JSON": publish("application/json", `{"data":"${xs}"}`),
  "A3: one event of JSON, escaped": publish(
    "application/json",
    `{"data":"${"\\r\\n\\u00e9".repeat(SIZE / 10)}"}`,
  ),
  "B3: one event of JSON with a key": publish(
    "application/json",
    `{"data":"${xs}"}`,
    KEY,
  ),
  "A3: a text": publish("text/plain", `${"é".repeat(SIZE / 4)}\r\n`),
  "A3: one event of a stream": publish("text/event-stream", `data: ${xs}\n\n`),
  "B3: one event of a stream with a key": publish(
    "text/event-stream",
    `data: ${xs}\n\n`,
    KEY,
  ),
  "A3: one event of many lines": publish(
    "text/event-stream",
    `${"data: a\n".repeat(SIZE / 8)}\n`,
  ),
  "A3: many events of a stream": publish(
    "text/event-stream",
    "data: a\n\n".repeat(50_000),
  ),
  "A3: one event, and readers by each door": {
    ...publish("application/json", `{"data":"{\\"delta\\":\\"${xs}\\"}"}`),
    readers: READERS,
  },
  "A3: the body of a request to a provider": {
    ...run("responses", "data: [DONE]"),
    request: post(
      "/v1/responses",
      "application/json",
      `{"model":"m","stream":true,"input":[${
        zeros.slice(-SIZE / 32)
      }0],"instructions":"${xs}"}`,
      "Rivulet-Topic: t\r\n",
    ),
  },
  "C1: the end of a response with a long output": run(
    "responses",
    'data: {"type":"response.output_text.delta","delta":"a"}',
    `data: {"type":"response.completed","response":{"id":"r","output":[${zeros}0],"status":"completed"}}`,
  ),
  "C1: an error with long words": run(
    "responses",
    `event: error\ndata: {"type":"error","message":"${xs}"}`,
  ),
  "C1: a delta of a response": run(
    "responses",
    `data: {"type":"response.output_text.delta","sequence_number":1,"delta":"${xs}"}`,
    'data: {"type":"response.completed","response":{"status":"completed"}}',
  ),
  "C1: a delta of a chat": run(
    "chat/completions",
    `data: {"choices":[{"index":0,"delta":{"content":"${xs}"},"finish_reason":"stop"}]}`,
    "data: [DONE]",
  ),
  "C1: a delta of a message": run(
    "messages",
    `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"${xs}"}}`,
    'event: message_stop\ndata: {"type":"message_stop"}',
  ),
  "C1: an event of no known format": run(
    "embeddings",
    `data: {"error":null,"x":[${zeros}0]}`,
    "data: [DONE]",
  ),
  "E11: an event of many lines is recorded": run(
    "embeddings",
    "data: a\n".repeat(SIZE / 8).trimEnd(),
    "data: [DONE]",
  ),
};

/** Answers all requests with bytes. */
class Answerer implements AsyncDisposable {
  readonly #server: Server;
  answer: readonly (string | Buffer)[] = [];

  private constructor() {
    this.#server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => {
        socket.on("data", () => {});
        for (const part of this.answer) socket.write(part);
        socket.end();
      });
    });
  }

  static async open(): Promise<Answerer> {
    const answerer = new Answerer();
    await new Promise<void>((resolve) =>
      answerer.#server.listen(0, "127.0.0.1", resolve)
    );
    return answerer;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://127.0.0.1:${port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Sends bytes; resolves with the first of the answer once the relay has closed. */
function send(port: number, parts: readonly (string | Buffer)[]) {
  const answer = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1");
  let start = "";
  let bytes = 0;
  socket.on("data", (chunk) => {
    bytes += chunk.length;
    if (start === "") start = chunk.subarray(0, 99).toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => answer.resolve(start));
  for (const part of parts) socket.write(part);
  return {
    answer: answer.promise,
    get bytes(): number {
      return bytes;
    },
    close: () => socket.destroy(),
  };
}

async function tryOut({ port }: TestRelay, cell: Cell): Promise<WorkCounter> {
  const readers = (cell.readers ?? []).map((text) => send(port, [text]));
  if (readers.length > 0) {
    await until(
      () => readers.every(({ bytes }) => bytes > 0) || undefined,
      LIMIT,
      "all readers",
    );
  }
  using counter = new WorkCounter();
  const sent = send(port, cell.request);
  const answer = await within(sent.answer, LIMIT, "the answer");
  assertMatch(answer, cell.done);
  if (readers.length > 0) readers.push(send(port, [PAGE]));
  await until(
    () => readers.every(({ bytes }) => bytes > SIZE) || undefined,
    LIMIT,
    "the whole event",
  );
  for (const reader of readers) reader.close();
  return counter;
}

for (const [name, cell] of Object.entries(CELLS)) {
  Deno.test(`${name}: no turn of the relay handles more than its share`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await using answerer = await Answerer.open();
      answerer.answer = cell.answer ?? [];
      let counter: WorkCounter;
      {
        await using relay = await startRelay({
          gateway: {
            providers: [{ name: "p", url: answerer.url }],
            record: folder,
          },
        });
        counter = await tryOut(relay, cell);
      }
      for (const { name, speed, call, turn, stack } of counter.functions) {
        const kib = `${name}: ${call >> 10} KiB in a call, ${
          turn >> 10
        } in a turn`;
        if (speed === "slow") {
          assert(
            call <= MOST_OF_CALL && turn <= MOST_OF_TURN,
            `${kib}\n${stack}`,
          );
        } else assert(turn <= MOST_COPIES * SIZE, `${kib}\n${stack}`);
      }
      assert(counter.turns > 1);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
