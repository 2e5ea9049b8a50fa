import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  cutAt,
  parseBytes,
  parseText,
  randomFrom,
  randomPlaces,
  runs,
  seed,
} from "./harness.ts";
import { type Outcome, referenceParse } from "./reference_parser.ts";

console.log(`property_test.ts: RIVULET_SEED=${seed}, ${runs} runs`);

/** Fragments of which streams are made that reach the parser's every state. */
const fragment = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("\n", "\r", "\r\n", "\n\n", "\r\r") },
  {
    weight: 5,
    arbitrary: fc.constantFrom("data", "event", "id", "retry", "data:", "id:"),
  },
  { weight: 3, arbitrary: fc.constantFrom(":", ": ", " ", "::", "  ") },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "data: a\n\n",
      "data: a\r\n\r\n",
      "data: a\r\r",
      "event: e\n",
      "event: e\r\n",
      "id: 1\n",
      "data:\n",
      "data\r",
      ": c\r\n",
      "retry: 12\r",
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom("dat", "Data", "eventx", "i", "a", "0", "10"),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("\ufeff", "\0", "é", "€", "😀", "你", "\ud83d"),
  },
);
const stream = fc.array(fragment, { maxLength: 40, size: "max" })
  .map((fragments) => fragments.join(""));
const options = fc.record({
  maxEventSize: fc.option(fc.integer({ min: 1, max: 30 }), { nil: 2 ** 20 }),
  onTooLarge: fc.constantFrom("throw" as const, "skip" as const),
  lastEventId: fc.constantFrom("", "0"),
});
const cuts = fc.array(fc.nat({ max: 200 }), { maxLength: 12 });

function places(length: number, cuts: number[]): number[] {
  return cuts.map((cut) => cut % (length + 1)).sort((a, b) => a - b);
}

Deno.test("SseParser gives what the reference parser gives", () => {
  fc.assert(
    fc.property(stream, options, cuts, (text, options, cuts) => {
      const expected = referenceParse(text, options);
      const chunks = cutAt(text, places(text.length, cuts));
      assertEquals(parseText(chunks, options), expected);
      assertEquals(parseText([...chunks.join("")], options), expected);
    }),
    { seed, numRuns: runs },
  );
});

Deno.test("readEvents() gives what the reference parser gives", async () => {
  await fc.assert(
    fc.asyncProperty(stream, options, cuts, async (text, options, cuts) => {
      const bytes = new TextEncoder().encode(text);
      const expected = referenceParse(new TextDecoder().decode(bytes), options);
      const chunks = cutAt(bytes, places(bytes.length, cuts));
      assertEquals(await parseBytes(chunks, options), expected);
    }),
    { seed, numRuns: runs },
  );
});

/** Bytes of UTF-8, whole and broken, with the line ends that make them seen. */
const byte = fc.constantFrom(
  ...[0x0a, 0x0d, 0x41, 0x80, 0x8f, 0x9f, 0xa0, 0xbf, 0xc0, 0xc3, 0xe0, 0xe2],
  ...[0xed, 0xef, 0xbb, 0xf0, 0xf4, 0xf5, 0xff],
);

Deno.test("readEvents() decodes any bytes, however cut, as TextDecoder does", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(byte, { maxLength: 60, size: "max" }),
      cuts,
      async (tail, cuts) => {
        const bytes = Uint8Array.from(
          [...":x\ndata:", "\n:"].flatMap((part) =>
            part === "\n:" ? [...tail, 10, 10] : [part.charCodeAt(0)]
          ),
        );
        const expected = referenceParse(new TextDecoder().decode(bytes));
        const chunks = cutAt(bytes, places(bytes.length, cuts));
        assertEquals(await parseBytes(chunks), expected);
      },
    ),
    { seed, numRuns: runs },
  );
});

/** Long text, which is parsed in pieces: their borders fall everywhere. */
function longStream(random: () => number): string {
  const ends = ["\n", "\n", "\r\n", "\r"];
  const letters = ["a", "é", "你", "😀", "data:", " "];
  let text = "";
  while (text.length < 100_000) {
    const end = ends[Math.floor(random() * ends.length)];
    const length = random() < 0.02 ? random() * 9_000 : random() * 60;
    text += ["data: ", "data:", "event: ", ": ", "id: ", ""][
      Math.floor(random() * 6)
    ];
    const kinds = random() < 0.5 ? 1 : letters.length;
    for (let i = 0; i < length; i++) {
      text += letters[Math.floor(random() * kinds)];
    }
    text += random() < 0.4 ? `${end}${end}` : end;
  }
  return text;
}

Deno.test("SseParser and readEvents() parse long chunks in pieces to the same events", async () => {
  const random = randomFrom(seed);
  for (let i = 0; i < runs / 250; i++) {
    const text = longStream(random);
    const expected: Outcome = referenceParse(text);
    const message = `RIVULET_SEED=${seed}, stream ${i}`;
    assertEquals(parseText([text]), expected, message);
    const bytes = new TextEncoder().encode(text);
    assertEquals(await parseBytes([bytes]), expected, message);
    const chunks = cutAt(bytes, randomPlaces(bytes.length, 9, random));
    assertEquals(await parseBytes(chunks), expected, message);
    // Not UTF-8: every tenth byte is another.
    const broken = bytes.map((b) => random() < 0.1 ? random() * 256 : b);
    assertEquals(
      await parseBytes(cutAt(broken, randomPlaces(bytes.length, 9, random))),
      referenceParse(new TextDecoder().decode(broken)),
      message,
    );
  }
});
