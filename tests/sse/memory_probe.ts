/**
 * Run by `memory_test.ts`, in a process of its own, as it calls the garbage
 * collector: prints how many bytes 400 strings keep alive, as JSON.
 */
import { readEvents, SseParser, SseParserStream } from "../../src/sse/mod.ts";

const KEPT = 400;

function chunkText(data: string, index: number, size: number): string {
  const event = `data: ${data}\n\n`;
  const text = event.repeat(Math.floor(size / event.length));
  return `${text}:${index}\n`;
}

function encoded(data: string, index: number, size: number): Uint8Array {
  return new TextEncoder().encode(chunkText(data, index, size));
}

/** A flat string of its own, as a decoder makes. */
function decoded(data: string, index: number, size: number): string {
  return new TextDecoder().decode(encoded(data, index, size));
}

const ways: Record<
  string,
  (data: string, size: number) => Promise<string[]>
> = {
  // deno-lint-ignore require-await
  async SseParser(data, size) {
    const kept: string[] = [];
    let last = "";
    const parser = new SseParser({ onEvent: (event) => last = event.data });
    for (let i = 0; i < KEPT; i++) {
      parser.push(decoded(data, i, size));
      kept.push(last);
    }
    return kept;
  },
  async SseParserStream(data, size) {
    const kept: string[] = [];
    for (let i = 0; i < KEPT; i++) {
      const text = ReadableStream.from([decoded(data, i, size)]);
      const reader = text.pipeThrough(new SseParserStream()).getReader();
      await reader.read();
      kept.push((await reader.read()).value?.data ?? "");
      await reader.cancel();
    }
    return kept;
  },
  async readEvents(data, size) {
    const kept: string[] = [];
    let index = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (index === KEPT) controller.close();
        else controller.enqueue(encoded(data, index++, size));
      },
    }, { highWaterMark: 0 });
    const reader = readEvents(body);
    let batch;
    while ((batch = await reader.nextBatch()) !== undefined) {
      kept.push(batch[batch.length >> 1]?.data ?? "");
    }
    return kept;
  },
};

// Only there with `--expose-gc`, which types do not know of.
const { gc } = globalThis as unknown as { gc: () => void };

async function used(): Promise<number> {
  // Twice, and not in the same turn: what is finalized by one is freed by another.
  for (let i = 0; i < 2; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve));
  }
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** Measures the bytes that the kept strings hold; nothing outlives the call. */
async function measure(
  run: (data: string, size: number) => Promise<string[]>,
  data: string,
  size: number,
): Promise<number> {
  const before = await used();
  const kept = await run(data, size);
  const bytes = await used() - before;
  // After the measurement, which also keeps them until then.
  if (kept.length !== KEPT || kept.some((string) => string !== data)) {
    throw new Error(`Kept ${kept.length} strings, such as ${kept[0]}`);
  }
  return bytes;
}

const results: { way: string; text: string; size: number; bytes: number }[] =
  [];
for (const [way, run] of Object.entries(ways)) {
  for (
    const [text, data] of [
      ["ASCII", "abcdefghijklmnopqrstuvwxyz0123"],
      ["Latin-1", "abcdefghijklmnopqrstuvwxyzäöüß"],
      ["two-byte", "abcdefghijklmnopqrstuvwxyz你好吗?"],
    ] as const
  ) {
    await measure(run, data, 4096);
    for (const size of [128 * 1024, 64 * 1024, 16 * 1024]) {
      results.push({ way, text, size, bytes: await measure(run, data, size) });
    }
  }
}
console.log(JSON.stringify(results));
