/**
 * Measures the parser beside eventsource-parser: `deno run -A bench/parse.ts`.
 *
 * The competitors take turns, pass by pass, so that what else the machine does
 * hits them alike; the medians are compared. All are given the same chunks: 1 MiB of
 * them, again and again, as chunks that come from a socket or a decoder have just
 * been written and are in the processor's cache.
 *
 * Attempts that did not help, in nanoseconds for an event of 210 characters at
 * chunks of 16 KiB, where the parser takes 36:
 * - telling the repeated event type by `startsWith`, to save a search and a slice:
 *   43 more, as `startsWith` is a call that is not compiled inline;
 * - keeping the parser's state in local variables through the loop: nothing;
 * - joining an array of the parts of a line, instead of adding them to a rope: a third
 *   more at chunks of 64 to 1,024;
 * - copying every chunk over 4 KiB in pieces of 2 KiB, so that kept strings keep
 *   less alive: 27 to 45 more (by `join`; by `+`, which leaves a rope that is reached
 *   through one more pointer, about as much), most of it what memory takes: slower
 *   than eventsource-parser, hence the limit of 64 Ki in `SseParser`;
 * - copying every value on its own: 54 more;
 * - pieces of 1 KiB in `readEvents`: 20 more than 2 KiB; whole chunks: 35 less, but
 *   a kept string would keep its chunk.
 */
import { createParser } from "eventsource-parser";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { readEvents, SseParser, SseParserStream } from "../src/sse/mod.ts";
import {
  byteChunks,
  repeatFirst,
  textChunks,
  tokenStream,
  withStrayCr,
} from "./parse_inputs.ts";

const EVENTS = 60_000;
const ROUNDS = 25;
const WARM_UP = 8;

type Pass = () => number | Promise<number>;

function median(times: number[]): number {
  times.sort((a, b) => a - b);
  return times[times.length >> 1] ?? NaN;
}

/** Runs the passes by turns, and prints a row for each; the first is the peer. */
async function point(
  name: string,
  size: number,
  passes: Record<string, Pass>,
): Promise<void> {
  const entries = Object.entries(passes);
  const times = new Map<string, number[]>(entries.map(([key]) => [key, []]));
  const counts = new Set<number>();
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [key, pass] of entries) {
      const start = performance.now();
      counts.add(await pass());
      const time = performance.now() - start;
      if (round >= 0) times.get(key)?.push(time);
    }
  }
  if (counts.size !== 1) {
    throw new Error(`${name}: events differ: ${[...counts].join(", ")}`);
  }
  const [count = NaN] = counts;
  let peer = NaN;
  for (const [key, list] of times) {
    const time = median(list);
    if (Number.isNaN(peer)) peer = time;
    const cells = [
      name,
      key,
      (size / time / 1e3).toFixed(),
      (count / time / 1e3).toFixed(2),
      (time * 1e6 / count).toFixed(),
      (peer / time).toFixed(2),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function peerPass(chunks: string[]): Pass {
  return () => {
    let count = 0;
    const parser = createParser({ onEvent: () => count++ });
    for (const chunk of chunks) parser.feed(chunk);
    return count;
  };
}

function parserPass(chunks: string[]): Pass {
  return () => {
    let count = 0;
    const parser = new SseParser({ onEvent: () => count++ });
    for (const chunk of chunks) parser.push(chunk);
    return count;
  };
}

function body(chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks[next++];
      if (chunk === undefined) controller.close();
      else controller.enqueue(chunk);
    },
  });
}

async function count(events: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of events) count++;
  return count;
}

function decoder(): ReadableWritablePair<string, Uint8Array> {
  // The DOM's types have it take any BufferSource.
  return new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>;
}

/**
 * Enqueues as many objects as there are events, but does not parse: what no parser
 * in a `TransformStream` can be faster than.
 */
function floorStream(
  chunks: number,
  events: number,
): TransformStream<string, unknown> {
  const value = { event: "message", data: "", id: "" };
  let read = 0;
  let given = 0;
  return new TransformStream({
    transform(_, controller) {
      const due = Math.round(events * ++read / chunks);
      while (given < due) {
        given++;
        controller.enqueue(value);
      }
    },
  });
}

/**
 * Reads, decodes and iterates over as many objects, but does not parse: what no
 * parser can be faster than, behind `for await` on this runtime.
 */
async function floorPass(
  chunks: Uint8Array[],
  events: number,
): Promise<number> {
  const reader = body(chunks).getReader();
  const decoder = new TextDecoder();
  const share = events / chunks.length;
  let units = 0;
  let due = 0;
  let given = 0;
  const value = { event: "message", data: "", id: "" };
  const next = async (): Promise<IteratorResult<unknown, undefined>> => {
    while (given >= Math.round(due)) {
      const result = await reader.read();
      if (result.done) return { done: true, value: undefined };
      units += decoder.decode(result.value, { stream: true }).length;
      due += share;
    }
    given++;
    return { done: false, value };
  };
  const iterator = {
    next: () =>
      given < Math.round(due)
        ? (given++, Promise.resolve({ done: false as const, value }))
        : next(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
  const total = await count(iterator);
  if (units === 0) throw new Error("Nothing was decoded");
  return total;
}

const cpu = /model name\s*: (.*)/.exec(
  await Deno.readTextFile("/proc/cpuinfo").catch(() => ""),
)?.[1] ?? Deno.build.arch;
console.log(
  `${cpu}, ${navigator.hardwareConcurrency} cores, Deno ${Deno.version.deno}, V8 ${Deno.version.v8}, ${
    new Date().toISOString().slice(0, 10)
  }; median of ${ROUNDS} alternating passes of ${EVENTS} events\n`,
);
console.log("| input | parser | MB/s | M events/s | ns/event | ratio |");
console.log("|---|---|--:|--:|--:|--:|");

const PEER = "eventsource-parser 4.1.3";
const lf = tokenStream(EVENTS);

async function textPoint(name: string, chunks: string[]): Promise<void> {
  const repeated = repeatFirst(chunks);
  const size = repeated.reduce((sum, chunk) => sum + chunk.length, 0);
  await point(name, size, {
    [PEER]: peerPass(repeated),
    SseParser: parserPass(repeated),
  });
}

for (const size of [64, 350, 1024, 16_384, 65_536]) {
  await textPoint(`LF, chunks of ${size}`, textChunks(lf, size));
}
for (const size of [350, 16_384]) {
  await textPoint(
    `CRLF, chunks of ${size}`,
    textChunks(tokenStream(EVENTS, "\r\n"), size),
  );
}
await textPoint(
  "CR, chunks of 16384",
  textChunks(tokenStream(EVENTS, "\r"), 16_384),
);
await textPoint(
  "two-byte text, chunks of 16384",
  textChunks(lf.replaceAll("blue", "蓝"), 16_384),
);
for (const size of [16_384, 65_536, 262_144]) {
  await textPoint(
    `LF and one stray CR, chunks of ${size}`,
    textChunks(lf, size - 10).map(withStrayCr),
  );
}
await textPoint("LF, chunks of 262144 (copied)", textChunks(lf, 262_144));

for (const size of [350, 4_096, 16_384, 65_536]) {
  const chunks = repeatFirst(byteChunks(lf, size));
  const events = await count(readEvents(body(chunks)));
  await point(
    `bytes to \`for await\`, chunks of ${size}`,
    chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    {
      [`TextDecoderStream, EventSourceParserStream`]: () =>
        count(
          body(chunks).pipeThrough(decoder())
            .pipeThrough(new EventSourceParserStream()),
        ),
      "TextDecoderStream, SseParserStream": () =>
        count(
          body(chunks).pipeThrough(decoder()).pipeThrough(
            new SseParserStream(),
          ),
        ),
      "no parser (TextDecoderStream, TransformStream)": () =>
        count(
          body(chunks).pipeThrough(decoder())
            .pipeThrough(floorStream(chunks.length, events)),
        ),
      readEvents: () => count(readEvents(body(chunks))),
      "readEvents, nextBatch()": async () => {
        const reader = readEvents(body(chunks));
        let count = 0;
        let batch;
        while ((batch = await reader.nextBatch()) !== undefined) {
          count += batch.length;
        }
        return count;
      },
      "no parser (read, decode, `for await`)": () => floorPass(chunks, events),
    },
  );
}
