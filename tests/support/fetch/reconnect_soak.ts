/**
 * Streams that are cut again and again, over real sockets. Run as a program,
 * with `--v8-flags=--expose-gc`, it prints how much memory that has cost.
 *
 * @module
 */
import { type Clock, streamEvents } from "../../../src/fetch/mod.ts";
import { CountedAbort } from "./counted_abort.ts";
import { Random } from "../random.ts";

/**
 * The numbers of streams and of events in each, and the ways in which they are
 * cut.
 */
export interface SoakOptions {
  readonly seed: number;
  readonly upstreams: number;
  readonly events: number;
  /** The largest size of an answer, in bytes. */
  readonly maxCut: number;
}

/** The result of a soak. */
export interface SoakResult {
  /** The number of requests that the server has answered. */
  readonly requests: number;
  /** The number of its open connections. */
  readonly open: number;
  /** The number of listeners on the signals that the streams were given. */
  readonly listeners: number;
  /** The ids that each stream gave, in order. */
  readonly ids: readonly (readonly number[])[];
  /** Of events whose data was not what was sent. */
  readonly wrong: number;
}

const encoder = new TextEncoder();
const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

/** The data of an event: of any length, in several lines, and not all ASCII. */
function dataOf(upstream: number, id: number): string {
  const text = `${upstream}/${id} \u{1F600}\u00e9 `.repeat(1 + (id * 7) % 9);
  return id % 3 === 0 ? `${text}\n${text}` : text;
}

function eventOf(upstream: number, id: number): string {
  const data = dataOf(upstream, id).replaceAll("\n", "\r\ndata: ");
  const comment = id % 5 === 0 ? ": still here\n" : "";
  return `${comment}id: ${id}\r\ndata: ${data}\r\n\r\n`;
}

/** A body as one of chunks, some of which end inside characters. */
function chunked(body: Uint8Array, random: Random): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < body.length;) {
    const part = body.subarray(at, at + random.integer(1, 700));
    at += part.length;
    parts.push(encoder.encode(`${part.length.toString(16)}\r\n`), part);
    parts.push(encoder.encode("\r\n"));
  }
  const whole = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

class CuttingServer {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #options: SoakOptions;
  readonly #randoms: Random[];
  readonly #serving = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  requests = 0;
  open = 0;

  constructor(options: SoakOptions) {
    this.#options = options;
    const random = new Random(options.seed);
    this.#randoms = Array.from(
      { length: options.upstreams },
      () => random.fork(),
    );
    this.#accepting = this.#accept();
  }

  get origin(): string {
    const { port } = this.#listener.addr as Deno.NetAddr; // it listens on TCP
    return `http://127.0.0.1:${port}`;
  }

  async stop(): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    await Promise.all(this.#serving);
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.open++;
      const served = this.#serve(connection)
        .catch(() => {}) // the client was quicker to leave
        .finally(() => {
          this.open--;
          this.#serving.delete(served);
          connection.close();
        });
      this.#serving.add(served);
    }
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    const head = await readHead(connection);
    this.requests++;
    const upstream = Number(/^GET \/(\d+) /.exec(head)?.[1]);
    const after = Number(/^last-event-id: (\d+)\r$/im.exec(head)?.[1] ?? 0);
    await writeAll(connection, this.#answer(upstream, after));
  }

  /** The bytes of an answer, which end where the connection is closed. */
  #answer(upstream: number, after: number): Uint8Array {
    const { events, maxCut } = this.#options;
    const random = this.#randoms[upstream]!; // there is one for each
    if (after === events) {
      return encoder.encode("HTTP/1.1 204 No Content\r\n\r\n");
    }
    if (random.chance(0.05)) {
      return encoder.encode(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy",
      );
    }
    let text = "";
    for (let id = after + 1; id <= events; id++) {
      text += eventOf(upstream, id);
      if (text.length > maxCut) break;
    }
    const body = encoder.encode(text);
    // An end that is in order, for a client: what is unfinished is dropped.
    const isDrop = random.chance(0.7);
    const answer = isDrop
      ? join(
        encoder.encode(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`),
        chunked(body, random),
      )
      : join(encoder.encode(`${HEAD}Connection: close\r\n\r\n`), body);
    return answer.subarray(0, random.integer(1, maxCut));
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

async function readHead(connection: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4_096);
  let head = "";
  while (!head.includes("\r\n\r\n")) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error("The client sent no request");
    head += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return head;
}

async function writeAll(
  connection: Deno.Conn,
  bytes: Uint8Array,
): Promise<void> {
  while (bytes.length > 0) {
    bytes = bytes.subarray(await connection.write(bytes));
  }
}

/** Reads one stream to its end, in one of four ways. */
async function read(
  url: string,
  upstream: number,
): Promise<{ ids: number[]; wrong: number; listeners: number }> {
  const ids: number[] = [];
  let wrong = 0;
  const take = ({ id, data }: { id: string; data: string }): void => {
    ids.push(Number(id));
    if (data !== dataOf(upstream, Number(id))) wrong++;
  };
  const abort = new CountedAbort();
  await using events = streamEvents(url, {
    signal: abort.signal,
    idleTimeout: 60_000,
    heartbeat: "adaptive",
    reconnect: { minTimeout: 0, maxTimeout: 1 },
  });
  switch (upstream % 4) {
    case 0:
      for await (const event of events) take(event);
      break;
    case 1:
      for (let batch; (batch = await events.nextBatch());) batch.forEach(take);
      break;
    case 2: {
      // Calls that overlap, always three of them.
      const calls = [events.next(), events.next()];
      for (;;) {
        calls.push(events.next());
        const { done, value } = await calls.shift()!; // there are three
        if (done) break;
        take(value);
      }
      await Promise.all(calls);
      break;
    }
    default:
      for (;;) {
        const [one, many] = await Promise.all([
          events.next(),
          events.nextBatch(),
        ]);
        if (one.value) take(one.value);
        if (!many) break;
        many.forEach(take);
      }
  }
  return { ids, wrong, listeners: abort.listeners };
}

/** Reads all of the streams at once, each to its end. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const server = new CuttingServer(options);
  const results = await Promise.all(
    Array.from(
      { length: options.upstreams },
      (_, upstream) => read(`${server.origin}/${upstream}`, upstream),
    ),
  );
  await server.stop();
  return {
    requests: server.requests,
    open: server.open,
    listeners: results.reduce((sum, { listeners }) => sum + listeners, 0),
    ids: results.map(({ ids }) => ids),
    wrong: results.reduce((sum, { wrong }) => sum + wrong, 0),
  };
}

/** Returns the memory held after garbage collection, in bytes. */
async function held(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void }; // with --expose-gc
  if (!gc) throw new Error("Run it with --v8-flags=--expose-gc");
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    gc();
  }
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** A clock whose timers are due at once. */
const HURRY: Clock = {
  now: () => 0,
  setTimeout(callback) {
    let isWanted = true;
    queueMicrotask(() => isWanted && callback());
    return () => void (isWanted = false);
  },
};

/**
 * Returns how much more memory one stream holds after a number of connections,
 * while it goes on.
 */
async function growthOf(connections: number): Promise<number> {
  const abort = new AbortController();
  await using events = streamEvents("http://localhost/", {
    signal: abort.signal,
    clock: HURRY,
    connectTimeout: 0,
    reconnect: { minTimeout: 0 },
    fetch: () =>
      Promise.resolve(
        new Response("id: 1\ndata: a\n\n", {
          headers: { "Content-Type": "text/event-stream" },
        }),
      ),
  });
  const take = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await events.next();
  };
  await take(1_000);
  const before = await held();
  await take(connections);
  const growth = await held() - before;
  if (events.counters.attempts !== 1_000 + connections) {
    throw new Error(`There were ${events.counters.attempts} attempts`);
  }
  return growth;
}

if (import.meta.main) {
  const options = JSON.parse(Deno.args[0]!) as SoakOptions; // of our own making
  await soak(options); // to compile everything, and fill what is kept
  const before = await held();
  let requests = 0;
  for (let round = 1; round <= 3; round++) {
    requests +=
      (await soak({ ...options, seed: options.seed + round })).requests;
  }
  const growth = await held() - before;
  const perStream = await growthOf(5_000);
  console.log(JSON.stringify({ requests, growth, perStream }));
}
