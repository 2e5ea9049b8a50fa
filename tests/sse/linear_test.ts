import { assertEquals } from "@std/assert";
import { readEvents, SseParser } from "../../src/sse/mod.ts";
import { assertLikeEngine, assertLinear } from "../support/linear.ts";
import { bodyOf } from "./harness.ts";

/** Parses a chunk again and again, and tells how many events that gave. */
function parse(chunks: Iterable<string>): { events: number; length: number } {
  let events = 0;
  let length = 0;
  const parser = new SseParser({
    onEvent({ data }) {
      events++;
      length += data.length;
    },
  });
  for (const chunk of chunks) parser.push(chunk);
  return { events, length };
}

function* repeated(
  start: string,
  chunk: string,
  times: number,
  end: string,
): Generator<string> {
  yield start;
  for (let i = 0; i < times; i++) yield chunk;
  yield end;
}

const MEBI = 2 ** 20;

Deno.test("SseParser is linear in a line of 16 MiB in chunks of 1 KiB", async () => {
  const length = 16 * MEBI;
  const chunks = () =>
    repeated("data:", "x".repeat(1024), length / 1024, "\n\n");
  await assertLikeEngine(() => {
    assertEquals(parse(chunks()), { events: 1, length });
  }, () => {
    const joined = [...chunks()].join("");
    assertEquals(joined.length, "data:\n\n".length + length);
  });
});

Deno.test("SseParser is linear in a line of 1 MiB in chunks of one character", async () => {
  await assertLinear((length) => {
    const outcome = parse(repeated("data:", "x", length, "\n\n"));
    assertEquals(outcome, { events: 1, length });
  }, MEBI);
});

Deno.test("SseParser is linear in a million data lines of one event", async () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    await assertLinear((length) => {
      const lines = `data: x${end}`.repeat(1000);
      const outcome = parse(repeated("", lines, length / 1000, end));
      assertEquals(outcome, { events: 1, length: 2 * length - 1 });
    }, 1_024_000);
  }
});

Deno.test("SseParser is linear in a chunk of lone CRs, LFs, or one of the other", async () => {
  const event = "data: x\r\r";
  const streams: ((count: number) => string)[] = [
    (count) => event.repeat(count),
    (count) => event.replaceAll("\r", "\r\n").repeat(count),
    (count) => event.replaceAll("\r", "\n").repeat(count) + "\r",
    (count) => "\r" + event.replaceAll("\r", "\n").repeat(count),
    (count) => event.repeat(count) + "\n",
    (count) => "\n" + event.repeat(count),
    (count) => "\r".repeat(9 * count) + event.repeat(count),
    (count) => "\n".repeat(9 * count) + event.repeat(count),
  ];
  for (const stream of streams) {
    await assertLinear((count) => {
      // Within what is parsed in place, and far over it.
      for (const times of [1, 20]) {
        const text = stream(count / times);
        for (let i = 0; i < 20 / times; i++) {
          assertEquals(parse([text]).events, Math.floor(count / times));
        }
      }
    }, 6_400);
  }
});

Deno.test("SseParser is linear in LF streams with a stray CR in each chunk", async () => {
  await assertLinear((length) => {
    const half = "data: x\n\n".repeat(length / 1024);
    const chunk = `${half}data: y\r\n${half}`;
    parse(repeated("", chunk, 100, ""));
  }, 2 * MEBI);
});

Deno.test("SseParser is linear in comments and unknown fields that drip in", async () => {
  for (const start of [":", "nonsense", "id: ", "retry: 1"]) {
    await assertLinear((length) => {
      parse(repeated(start, "1", length, "\n\n"));
    }, MEBI);
  }
});

Deno.test("SseParser is linear in an event that is skipped", async () => {
  await assertLinear((length) => {
    const parser = new SseParser({
      onEvent() {},
      maxEventSize: 10,
      onTooLarge: "skip",
    });
    for (const chunk of repeated("data: 0123456789", "x\r", length, "\n\n")) {
      parser.push(chunk);
    }
  }, MEBI);
});

Deno.test("readEvents() is linear in a line in chunks of 1 KiB and in one chunk", async () => {
  const length = 8 * MEBI;
  const encode = (text: string) => new TextEncoder().encode(text);
  const kibi = encode("x".repeat(1024));
  const chunks = Array.from({ length: length / 1024 }, () => kibi);
  for (
    const body of [
      [encode("data:"), ...chunks, encode("\n\n")],
      [encode(`data:${"x".repeat(length)}\n\n`)],
    ]
  ) {
    await assertLikeEngine(async () => {
      const { value } = await readEvents(bodyOf(body)).next();
      assertEquals(value?.data.length, length);
    }, async () => {
      const text = await new Response(bodyOf(body)).text();
      assertEquals(text.length, "data:\n\n".length + length);
    });
  }
});

Deno.test("readEvents() is linear in one chunk, whatever its lines end in", async () => {
  for (const end of ["\n", "\r\n", "\r", "x\r"]) {
    await assertLinear(async (length) => {
      const text = `data: x${end}${end}`.repeat(length / 8);
      await readEvents(bodyOf([new TextEncoder().encode(text)])).nextBatch();
    }, 4 * MEBI);
  }
});
