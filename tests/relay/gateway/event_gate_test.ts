// The events of a stream that are held back, and those that pass at once.
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { EventGate } from "../../../relay/gateway/event_gate.ts";
import { SseParser } from "../../../src/sse/parser.ts";
import { propertyParameters } from "../../support/property.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Pieces that event streams are made of, and such as only look like it. */
const piece = fc.constantFrom(
  "data: a",
  "data",
  "data:",
  "datum: a",
  "dat",
  "data\u00e4: a",
  ": comment",
  ":",
  "id: 1",
  "event: e",
  "retry: 1",
  "unknown",
  " data: a",
  "\uFEFFdata: a",
  "\uFEFF: comment",
  "\uFEFF",
  "\0",
  "\n",
  "\r",
  "\r\n",
  "\n\n",
  "\r\r",
  "\r\n\r\n",
);

const stream = fc.array(piece, { maxLength: 40 }).map((pieces) =>
  encoder.encode(pieces.join(""))
);

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
  maxLength: 12,
});

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const places = at.map((share) => Math.floor(share * bytes.length));
  const chunks: Uint8Array[] = [];
  let from = 0;
  for (const to of [...places.sort((a, b) => a - b), bytes.length]) {
    chunks.push(bytes.slice(from, to));
    from = to;
  }
  return chunks;
}

/**
 * Returns the number of events that a parser finds in some bytes, and whether
 * there is a rest.
 */
function parse(bytes: Uint8Array): { events: number; rest: boolean } {
  let events = 0;
  let isInBlock = false;
  const parser = new SseParser({ onEvent: () => events++ });
  const text = decoder.decode(bytes).replace(/^\uFEFF/, "");
  parser.push(text);
  // A block is unfinished if a line of it could still be followed by its event.
  for (const line of text.split(/\r\n|\r|\n/).slice(0, -1)) {
    if (line === "") isInBlock = false;
    else if (!line.startsWith(":")) isInBlock = true;
  }
  return { events, rest: isInBlock };
}

Deno.test("EventGate lets through whole blocks and comments, in order, and nothing of what is unfinished", () => {
  fc.assert(
    fc.property(stream, cuts, (bytes, at) => {
      const gate = new EventGate();
      let out = new Uint8Array();
      let pushed = new Uint8Array();
      const add = (more: Uint8Array): void => {
        out = new Uint8Array([...out, ...more]);
        // Never more than came, never anything else.
        assertEquals(out, bytes.slice(0, out.length));
      };
      for (const chunk of cut(bytes, at)) {
        const before = parse(pushed).events;
        pushed = new Uint8Array([...pushed, ...chunk]);
        const after = parse(pushed).events;
        const passed = gate.push(chunk);
        // An event goes through only when somebody has looked at it.
        if (after > before) assertEquals(passed.length, 0);
        add(passed);
        if (after > before) add(gate.release());
        const { events, rest } = parse(out);
        assertEquals([events, rest], [after, false]);
        // No whole line that could go through is held.
        const held = decoder.decode(pushed.slice(out.length))
          .replace(out.length === 0 ? /^\uFEFF/ : "", "");
        assert(
          !/^(?::[^\r\n]*)?[\r\n]/.test(held),
          `it holds ${JSON.stringify(held)}`,
        );
      }
      add(gate.open());
      assertEquals(out, bytes);
    }),
    propertyParameters(2_000),
  );
});

Deno.test("EventGate holds nothing back once it is open", () => {
  const gate = new EventGate();
  assertEquals(gate.isOpen, false);
  assertEquals(decoder.decode(gate.push(encoder.encode(": c\nda"))), ": c\n");
  assertEquals(decoder.decode(gate.open()), "da");
  assertEquals(gate.isOpen, true);
  assertEquals(decoder.decode(gate.push(encoder.encode("ta: a"))), "ta: a");
  assertEquals(gate.release().length, 0);
  assertEquals(gate.open().length, 0);
});

Deno.test("EventGate forgets what is held, and begins anew, byte order mark and all", () => {
  fc.assert(
    fc.property(stream, stream, cuts, (left, bytes, at) => {
      const used = new EventGate();
      used.push(left);
      used.reset();
      const fresh = new EventGate();
      for (const chunk of cut(bytes, at)) {
        assertEquals(used.push(chunk), fresh.push(chunk));
        assertEquals(used.release(), fresh.release());
      }
    }),
    {
      ...propertyParameters(500),
      // A line end of which only the first half was seen.
      examples: [
        [encoder.encode(":\r"), encoder.encode("\n\uFEFF: a\n"), []],
      ],
    },
  );
});

Deno.test("EventGate does not write to what it has let through", () => {
  const gate = new EventGate();
  const kept: [Uint8Array, Uint8Array][] = [];
  for (let i = 0; i < 200; i++) {
    for (const part of [`data: ${i}`, `\n`, `\ndata`]) {
      gate.push(encoder.encode(part));
    }
    const out = gate.release();
    kept.push([out, out.slice()]);
    gate.push(encoder.encode("\n\n"));
    gate.release();
  }
  for (const [out, copy] of kept) assertEquals(out, copy);
});

Deno.test("EventGate looks at a long event that comes byte by byte once", () => {
  // Of which each byte would be copied a hundred thousand times otherwise.
  const gate = new EventGate();
  const length = 300_000;
  const byte = encoder.encode("a");
  gate.push(encoder.encode("data: "));
  let copies = 0;
  const set = Uint8Array.prototype.set;
  Uint8Array.prototype.set = function (...args): void {
    copies += args[0].length;
    set.apply(this, args);
  };
  try {
    for (let i = 0; i < length; i++) assertEquals(gate.push(byte).length, 0);
  } finally {
    Uint8Array.prototype.set = set;
  }
  gate.push(encoder.encode("\n\n"));
  assertEquals(gate.release().length, length + 8);
  assert(copies < 5 * length, `it has copied ${copies} bytes`);
});
