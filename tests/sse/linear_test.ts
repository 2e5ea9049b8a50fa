import process from "node:process";
import { assert, assertEquals } from "@std/assert";
import { readEvents, SseParser } from "../../src/sse/mod.ts";
import { bodyOf } from "./harness.ts";

/** The factor by which the longer input is longer. */
const GROWTH = 16;

/** The time that this process has been computing for, in microseconds. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/**
 * Fails if the time grows by more than the square root of what separates linear
 * (16 times) from quadratic (256 times).
 *
 * This does not flake: it is the processor's time that is measured, which does not
 * grow when others take their turns; both lengths alternate, and the best of three
 * each is compared, so that something has to slow down every run of the long
 * input fourfold and spare one of the short; and then to do so three times over. It
 * does not miss: what is quadratic fails each time by a factor of four.
 */
async function assertLinear(
  run: (length: number) => void | Promise<void>,
  length: number,
): Promise<void> {
  let ratio = 0;
  for (let attempt = 0; attempt < 3; attempt++) {
    let short = Infinity;
    let long = Infinity;
    for (let i = 0; i < 3; i++) {
      let start = cpuTime();
      await run(length / GROWTH);
      short = Math.min(short, cpuTime() - start);
      start = cpuTime();
      await run(length);
      long = Math.min(long, cpuTime() - start);
    }
    ratio = long / Math.max(short, 1);
    if (ratio < 4 * GROWTH) return;
  }
  assert(
    false,
    `${GROWTH} times the input took ${ratio.toFixed()} times as long`,
  );
}

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

/**
 * Fails if something takes 64 times as long as what the engine does with the same input.
 *
 * It is for inputs so long that the process needs new memory for them. Where the system is
 * slow to give some, 16 times the input take more than 100 times as long, so that two
 * lengths cannot be compared. A quadratic reader copies 32 GiB or more here, and takes 500
 * times as long as the engine.
 */
async function assertLikeEngine(
  run: () => void | Promise<void>,
  engine: () => void | Promise<void>,
): Promise<void> {
  let own = Infinity;
  let floor = Infinity;
  for (let i = 0; i < 3; i++) {
    let start = cpuTime();
    await engine();
    floor = Math.min(floor, cpuTime() - start);
    start = cpuTime();
    await run();
    own = Math.min(own, cpuTime() - start);
  }
  const ratio = own / Math.max(floor, 1);
  assert(ratio < 4 * GROWTH, `It took ${ratio.toFixed()} times as long`);
}

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
