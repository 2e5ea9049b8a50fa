import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { PublishError } from "../../../relay/sources/publish_error.ts";
import {
  eventOfText,
  eventsOfJson,
} from "../../../relay/sources/published_events.ts";
import { atOnce, type Steps } from "../../../relay/slices.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { propertyParameters } from "../../support/property.ts";

const KIB = 1_024;
const MIB = KIB * KIB;

/** The most that a step may be about, in UTF-16 code units: events of up to 32 Ki are parsed at once. */
const MAX_STEP = 64 * KIB;

function countSteps(steps: Steps<unknown>): number {
  for (let count = 1;; count++) if (steps.next().done) return count;
}

const unit = fc.constantFrom(
  "a",
  '"',
  "\\",
  "\\\\",
  "\n",
  "\r",
  "\r\n",
  "\u0001",
  "\\u0001",
  "é",
  "\u{1F600}",
  "\uD83D",
  "\uDE00",
);

/** Long enough to be cut, at any place of a pattern. */
const longText = fc.tuple(
  fc.nat({ max: 20 }),
  fc.array(unit, { minLength: 1, maxLength: 4 }),
  fc.integer({ min: 33 * KIB, max: 70 * KIB }),
).map(([before, units, length]) => {
  const pattern = units.join("");
  return "x".repeat(before) +
    pattern.repeat(Math.ceil(length / pattern.length));
});

/** The way to write an event in JSON: with all characters beyond ASCII escaped, or none. */
function written(event: object, escapes: boolean): string {
  const json = JSON.stringify(event);
  return escapes
    ? json.replace(
      /[^ -~]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    )
    : json;
}

Deno.test("A2: eventsOfJson reads long events as JSON.parse does", () => {
  fc.assert(
    fc.property(longText, unit, fc.boolean(), (data, id, escapes) => {
      const isField = !/[\r\n\0]/.test(id);
      const event = { data, ...(isField && { id }) };
      const json = `[ ${written(event, escapes)} , {"data":"b"}]`;
      assertEquals(atOnce(eventsOfJson(json)), [
        {
          event: "message",
          data: data.replace(/\r\n?/g, "\n"),
          id: isField ? id : "",
        },
        { event: "message", data: "b", id: "" },
      ]);
    }),
    propertyParameters(60),
  );
});

/**
 * Returns the event that an independent reading finds in a text, or nothing.
 */
function expected(json: string): ServerSentEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = new Map(Object.entries(value));
  for (const [name, text] of fields) {
    if (!["event", "data", "id"].includes(name)) return undefined;
    if (typeof text !== "string") return undefined;
    if (name !== "data" && /[\r\n\0]/.test(text)) return undefined;
  }
  const data = fields.get("data");
  if (data === undefined) return undefined;
  return {
    event: fields.get("event") || "message",
    data: data.replace(/\r\n?/g, "\n"),
    id: fields.get("id") ?? "",
  };
}

Deno.test("A2: eventsOfJson refuses of long events what is no JSON, and no event", () => {
  const piece = fc.constantFrom(
    ...['"', "\\", ",", ":", "}", "{", " ", "\n", "\\u00", "\\x", "1", "null"],
    ...[',"id":"7"', ',"data":"b"', ',"more":"b"', '"event":"a",'],
  );
  fc.assert(
    fc.property(
      longText,
      fc.nat(),
      piece,
      fc.nat({ max: 3 }),
      (data, place, piece, removed) => {
        const json = `{"data":${JSON.stringify(data)}, "id" : "1"}`;
        // Near either end, or anywhere.
        const at = place % 3 === 0
          ? place % 20
          : json.length - 1 - place % (place % 3 === 1 ? 20 : json.length);
        const wrong = json.slice(0, at) + piece + json.slice(at + removed);
        const event = expected(wrong);
        if (event) assertEquals(atOnce(eventsOfJson(wrong)), [event]);
        else assertThrows(() => atOnce(eventsOfJson(wrong)), PublishError);
      },
    ),
    propertyParameters(200),
  );
});

Deno.test("A2: a body is read in steps, whatever there is much of", () => {
  const bodies = {
    spaces: `${" ".repeat(MIB)}{"data":"a"}`,
    "spaces within": `{"data"${" ".repeat(MIB)}:"a"}`,
    letters: `{"data":"${"x".repeat(MIB)}"}`,
    quotes: `{"data":"${'\\"'.repeat(MIB / 2)}"}`,
    backslashes: `{"data":"${"\\\\".repeat(MIB / 2)}"}`,
    escapes: `{"data":"${"\\u0001".repeat(MIB / 6)}"}`,
    "line ends": `{"data":"${"\\r".repeat(MIB / 2)}"}`,
    names: `{"data":"a","event":"${"x".repeat(MIB)}"}`,
    "small events": `[${'{"data":""},'.repeat(MIB / 12)}{"data":""}]`,
    "larger events": `[${
      `{"data":"${"\\n".repeat(15 * KIB)}"},`.repeat(34)
    }{"data":""}]`,
    "long names": `{"${"x".repeat(MIB)}":""}`,
  };
  for (const [what, body] of Object.entries(bodies)) {
    let steps = 0;
    const work = eventsOfJson(body);
    try {
      for (;;) {
        steps++;
        if (work.next().done) break;
      }
    } catch (error) {
      assert(error instanceof PublishError, what);
    }
    assert(steps >= body.length / MAX_STEP, `${what}: ${steps} steps`);
  }
  for (const text of ["\r", "\r\n", "x\r"]) {
    const steps = countSteps(eventOfText(text.repeat(MIB)));
    assert(steps >= MIB / MAX_STEP, `${steps} steps`);
  }
});

Deno.test("eventOfText makes LF of every line end, wherever a text is cut", () => {
  fc.assert(
    fc.property(longText, (text) => {
      const { data } = atOnce(eventOfText(text));
      assertEquals(data, text.replace(/\r\n?/g, "\n"));
    }),
    propertyParameters(60),
  );
});
