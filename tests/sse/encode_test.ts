import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  encodeComment,
  encodeEvent,
  type ServerSentEventInit,
} from "../../src/sse/mod.ts";
import { parseText, runs, seed } from "./harness.ts";

console.log(`encode_test.ts: RIVULET_SEED=${seed}`);

Deno.test("encodeEvent() writes the fields that are given", () => {
  const cases: [ServerSentEventInit, string][] = [
    [{ data: "" }, "data: \n\n"],
    [{ data: "a" }, "data: a\n\n"],
    [{ data: " a" }, "data:  a\n\n"],
    [{ event: "message", data: "a" }, "data: a\n\n"],
    [{ event: "", data: "a" }, "data: a\n\n"],
    [{ event: "e", data: "a" }, "event: e\ndata: a\n\n"],
    [{ data: "a", id: "" }, "id: \ndata: a\n\n"],
    [{ data: "a", id: undefined }, "data: a\n\n"],
    [
      { data: "a", id: "1", event: "e", retry: 0 },
      "event: e\nid: 1\nretry: 0\ndata: a\n\n",
    ],
    [
      { data: "a\nb\rc\r\nd\n\re\r\n" },
      "data: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\ndata: \n\n",
    ],
  ];
  for (const [event, text] of cases) assertEquals(encodeEvent(event), text);
});

Deno.test("encodeEvent() refuses what a line cannot hold", () => {
  for (const end of ["\n", "\r", "\0"]) {
    for (const name of ["event", "id"]) {
      assertThrows(
        () => encodeEvent({ data: "", [name]: `a${end}b` }),
        TypeError,
        `Cannot encode the event as '${name}' must not contain CR, LF or NUL: current value is ${
          JSON.stringify(`a${end}b`)
        }`,
      );
    }
  }
});

Deno.test("encodeEvent() refuses a retry that is not an integer from 0", () => {
  for (const retry of [-1, 0.5, NaN, Infinity, 1e21]) {
    assertThrows(
      () => encodeEvent({ data: "", retry }),
      RangeError,
      `Cannot encode the event as 'retry' must be an integer from 0: current value is ${retry}`,
    );
  }
});

Deno.test("encodeComment() writes a comment for each line", () => {
  assertEquals(encodeComment(""), ": \n");
  assertEquals(encodeComment("a"), ": a\n");
  assertEquals(encodeComment("a\nb\r\nc\rd"), ": a\n: b\n: c\n: d\n");
});

const text = fc.array(
  fc.constantFrom("a", " ", ":", "\n", "\r", "\r\n", "\0", "\ufeff", "é😀"),
).map((parts) => parts.join(""));
const line = text.map((text) => text.replaceAll(/[\0\r\n]/g, ""));

Deno.test("encodeEvent() gives the event back when it is parsed", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ event: line, data: text, id: line })),
      fc.option(fc.nat(), { nil: undefined }),
      (events, retry) => {
        const outcome = parseText([
          events.map((event) => encodeEvent({ ...event, retry })).join(""),
        ]);
        assertEquals(
          outcome.events,
          events.map(({ event, data, id }) => ({
            event: event === "" ? "message" : event,
            data: data.replaceAll(/\r\n?/g, "\n"),
            id,
          })),
        );
        assertEquals(outcome.diagnostics, []);
        if (events.length > 0) assertEquals(outcome.reconnectionTime, retry);
      },
    ),
    { seed, numRuns: runs },
  );
});

Deno.test("encodeComment() gives the comment back when it is parsed", () => {
  fc.assert(
    fc.property(text, (comment) => {
      const outcome = parseText([encodeComment(comment)]);
      assertEquals(
        outcome.comments.join("\n"),
        comment.replaceAll(/\r\n?/g, "\n"),
      );
      assertEquals(outcome.events, []);
    }),
    { seed, numRuns: runs },
  );
});
