// In Deno 2.9.6, an abort does not reach the body of a `fetch` once the garbage collector
// has taken the request. The events of the body have to end all the same.
import { assertEquals, assertRejects } from "@std/assert";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { streamEvents } from "../../src/fetch/stream_events.ts";
import { readEvents } from "../../src/sse/read_events.ts";
import { LIMIT, until, within } from "../support/within.ts";

/** A server whose streams have one event, and no end. */
class EndlessServer implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #over = new AbortController();
  open = 0;

  constructor() {
    const hostname = "127.0.0.1";
    const { signal } = this.#over;
    const options = { port: 0, hostname, signal, onListen() {} };
    this.#server = Deno.serve(options, () => {
      this.open++;
      const body = new ReadableStream<Uint8Array>({
        start: (controller) =>
          controller.enqueue(new TextEncoder().encode("data: a\n\n")),
        cancel: () => void this.open--,
      });
      const headers = { "content-type": "text/event-stream" };
      return new Response(body, { headers });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#server.finished;
  }
}

type Events = AsyncIterator<{ readonly data: string }>;

/** The functions that read the events of a request until a signal is aborted. */
const WAYS: Record<string, (url: string, signal: AbortSignal) => Events> = {
  streamEvents: (url, signal) =>
    streamEvents(url, { signal, reconnect: false })[Symbol.asyncIterator](),
  async *readEvents(url, signal) {
    const { body } = await fetch(url, { signal });
    yield* readEvents(body!, { signal }); // it has one
  },
};

for (const [name, begin] of Object.entries(WAYS)) {
  Deno.test(`${name} ends with its signal though garbage was collected`, async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc");
    await using server = new EndlessServer();
    const controller = new AbortController();
    const all: Events[] = [];
    for (let count = 0; count < 20; count++) {
      const events = begin(server.url, controller.signal);
      assertEquals((await events.next()).value.data, "a");
      all.push(events);
    }
    const next = all.map((events) => events.next());
    const ended = Promise.all(
      next.map((event) =>
        assertRejects(() => within(event, LIMIT, "the end"), Error, "enough")
      ),
    );
    collect();
    controller.abort(new Error("enough"));
    await ended;
    await until(
      () => server.open === 0 || undefined,
      LIMIT,
      "the server to see that its clients are gone",
    );
  });
}
