/**
 * The bench of lists: what pages that show a relay's topics cost the relay, by the number
 * of its topics, of the pages, and by what they ask for. One load after the other on one
 * relay; "none" is what its topics cost by themselves.
 *
 * `deno run -A bench/lists.ts [--topics 100000] [--live 1000] [--seconds 5] [--readers 1,50]`
 *
 * @module
 */
import { parseArgs } from "node:util";
import { readEvents } from "../src/sse/read_events.ts";
import type { Health } from "./attack/prober.ts";
import { BenchProcess, runAndKill } from "./fanout/process.ts";

/** The queries of pages. */
const QUERIES: Readonly<Record<string, string>> = {
  "by name": "limit=100",
  "by name, counts": "limit=100&counts",
  "by newest event, counts": "limit=100&sort=-lastEvent&counts",
  "by rate, counts": "limit=100&sort=-rate&counts",
  "no match, counts": "limit=100&search=nothing&counts",
};

const { values } = parseArgs({
  options: {
    topics: { type: "string", default: "100000" },
    live: { type: "string", default: "1000" },
    seconds: { type: "string", default: "5" },
    readers: { type: "string", default: "1,50" },
  },
});

/** A page: reads a stream of a list, and counts. */
class Reader implements AsyncDisposable {
  /** The time up to the snapshot, in milliseconds. */
  snapshot = NaN;
  /** The number of changes, and their size. */
  changes = 0;
  bytes = 0;
  readonly begun = Promise.withResolvers<void>();
  readonly #read: Promise<void>;
  #cancel: (() => Promise<unknown>) | undefined;
  #isOver = false;

  constructor(url: string) {
    this.#read = this.#follow(url);
  }

  async #follow(url: string): Promise<void> {
    const start = performance.now();
    const { body } = await fetch(url, {
      headers: { Accept: "text/event-stream" },
    });
    if (!body) throw new Error("There is no list");
    const bytes = body.getReader();
    this.#cancel = () => bytes.cancel();
    const read = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const { value } = await bytes.read();
        if (value) controller.enqueue(value);
        else controller.close();
      },
    });
    for await (const { data } of readEvents(read)) {
      if (Number.isNaN(this.snapshot)) {
        this.snapshot = performance.now() - start;
        this.begun.resolve();
      } else this.changes++;
      this.bytes += data.length;
    }
    if (!this.#isOver) throw new Error("The list has ended");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#cancel?.();
    await this.#read;
  }
}

const seconds = Number(values.seconds);

async function measure(
  name: string,
  relay: BenchProcess,
  port: number,
  count: number,
  query: string,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const url = `http://127.0.0.1:${port}/topics?${query}`;
  const prober = stack.use(
    new BenchProcess([
      ...[Deno.execPath(), "run", "-A"],
      ...[new URL("attack/prober.ts", import.meta.url).pathname, `${port}`],
    ]),
  );
  await prober.say("begin");
  const readers = Array.from(
    { length: count },
    () => stack.use(new Reader(url)),
  );
  await Promise.all(readers.map(({ begun }) => begun.promise));
  const before = relay.usage();
  for (const reader of readers) reader.changes = 0;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const after = relay.usage();
  await prober.say("end");
  const [line] = await prober.hear(/^\{.*\}$/);
  const { p50, p99, max }: Health = JSON.parse(line);
  const changes = readers.reduce((sum, { changes }) => sum + changes, 0);
  const slowest = Math.max(0, ...readers.map(({ snapshot }) => snapshot));
  const each = count === 0 ? 0 : changes / count / seconds;
  console.log(
    [
      name.padEnd(26),
      `${count}`.padStart(5),
      `${((after.cpu - before.cpu) / seconds * 100).toFixed(1)} %`.padStart(9),
      `${(after.rss / 1e6).toFixed(0)}`.padStart(6),
      `${slowest.toFixed(0)}`.padStart(9),
      `${each.toFixed(1)}`.padStart(9),
      `${p50.toFixed(1)}`.padStart(7),
      `${p99.toFixed(1)}`.padStart(7),
      `${max.toFixed(1)}`.padStart(7),
    ].join(" "),
  );
}

await runAndKill(async () => {
  await using relay = new BenchProcess([
    ...[Deno.execPath(), "run", "-A"],
    new URL("lists/relay.ts", import.meta.url).pathname,
    ...[values.topics, values.live],
  ]);
  const [, port] = await relay.hear(/^port ([0-9]+)/);
  console.log(
    `${values.topics} topics, ${values.live} of which get 10 events a second`,
  );
  console.log(
    `${
      "list".padEnd(26)
    } pages relay CPU RSS MB snapshot changes/s healthz p50, p99, max (ms)`,
  );
  await measure("none", relay, Number(port), 0, "");
  for (const readers of values.readers.split(",").map(Number)) {
    for (const [name, query] of Object.entries(QUERIES)) {
      await measure(name, relay, Number(port), readers, query);
    }
  }
  await measure("none", relay, Number(port), 0, "");
});
