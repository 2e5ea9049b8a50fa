// A program without types fills a topic (field.md F1).
import { assertEquals, assertThrows } from "@std/assert";
import { subscribe } from "../../../relay/client/subscribe.ts";
import { startRelay } from "../../support/relay/relay.ts";

Deno.test("F1: an event may be as little as its data, and every subscriber gets it whole", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  topic.append([{ data: "x" }]);
  topic.append([{ data: "y", event: "step" }, { data: "", id: "7" }]);
  topic.end("complete");
  const seen: unknown[] = [];
  for await (const message of subscribe(`${relay.url}/topics/t`)) {
    if (message.type !== "event") continue;
    const { event, data, id } = message;
    seen.push([event, data, id]);
  }
  assertEquals(seen, [
    ["message", "x", ""],
    ["step", "y", ""],
    ["message", "", "7"],
  ]);
  const response = await relay.request("/topics/t");
  const text = await response.text();
  assertEquals(/undefined|null/.test(text), false, text);
});

const EXPECTED =
  `Cannot append: expected events such as { data: "hello" }, with 'event' and 'id' as strings if there are any; of event`;

// deno-fmt-ignore
const WRONG: readonly (readonly [string, unknown, string])[] = [
  ["nothing", undefined, "Cannot append: expected an array of one event or more, got undefined"],
  ["a text", "x", "Cannot append: expected an array of one event or more, got string"],
  ["an event alone", { data: "x" }, "Cannot append: expected an array of one event or more, got object"],
  ["no event", [], "Cannot append: expected an array of one event or more, got an empty one"],
  ["texts", ["x"], `${EXPECTED} 0, got string`],
  ["null", [{ data: "x" }, null], `${EXPECTED} 1, got null`],
  ["no data", [{}], `${EXPECTED} 0, 'data' is undefined`],
  ["data that is an object", [{ data: { a: 1 } }], `${EXPECTED} 0, 'data' is object`],
  ["data that is a number", [{ data: 1, event: "a", id: "" }], `${EXPECTED} 0, 'data' is number`],
  ["a type that is none", [{ data: "x", event: 7 }], `${EXPECTED} 0, 'event' is number`],
  ["an id that is none", [{ data: "x", id: 7 }], `${EXPECTED} 0, 'id' is number`],
  ["another field", [{ data: "x", type: "a" }], `${EXPECTED} 0, got another field, "type"`],
];

Deno.test("F1: what is no event is refused, and says what was expected", async (t) => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  for (const [name, events, message] of WRONG) {
    await t.step(name, () => {
      // As a program without types has it.
      const given = events as { data: string }[];
      const error = assertThrows(() => topic.append(given), TypeError);
      assertEquals(error.message, message);
    });
  }
  assertEquals(topic.log.next, 1);
});

Deno.test("F1: a verdict that is none is refused, and the topic goes on", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  for (const status of ["done", "", undefined, 1, "Complete"]) {
    const error = assertThrows(
      // As a program without types has it.
      () => topic.end(status as "complete"),
      TypeError,
    );
    assertEquals(
      error.message,
      `Cannot end topic 't': expected a status of complete, failed, truncated, cancelled, expired, got ${
        typeof status === "string" ? `'${status}'` : typeof status
      }`,
    );
  }
  topic.append([{ data: "x" }]);
  assertEquals(topic.state.kind, "open");
});
