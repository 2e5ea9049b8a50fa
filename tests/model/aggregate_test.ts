import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { aggregate } from "../../src/model/aggregate.ts";
import type { ResponseItem } from "../../src/model/item.ts";
import type { ResponseEvent } from "../../src/model/response_event.ts";
import { snapshot } from "../../src/model/snapshot.ts";
import { propertyParameters } from "../support/property.ts";
import { frozen, itemOf, scripts, USAGE } from "./events.ts";

/** A stream of events, which ends with an error if one is given. */
async function* streamOf(
  events: readonly ResponseEvent[],
  error?: unknown,
): AsyncGenerator<ResponseEvent, void, undefined> {
  // As many turns as a network has.
  for (const event of events) yield await Promise.resolve(event);
  if (error !== undefined) throw error;
}

/** Returns the events of a stream, and the error that it throws. */
async function outcomeOf(events: readonly ResponseEvent[], error?: unknown) {
  const seen: ResponseEvent[] = [];
  let thrown: unknown;
  try {
    for await (const event of aggregate(streamOf(frozen(events), error))) {
      seen.push(event);
    }
  } catch (caught) {
    thrown = caught;
  }
  return { seen, thrown };
}

const at = { outputIndex: 0, contentIndex: 0 };
const FAILURE = new Error("disconnected");

function message(text: string, status = "completed"): ResponseItem {
  const content = [{ type: "output_text" as const, text, annotations: [] }];
  return { type: "message", role: "assistant", status, content };
}

function done(item: ResponseItem, outputIndex = 0): ResponseEvent {
  return { type: "output_item.done", item, outputIndex };
}

function text(delta: string, outputIndex = 0): ResponseEvent {
  return { type: "output_text.delta", outputIndex, contentIndex: 0, delta };
}

const CALL: ResponseItem = {
  type: "function_call",
  call_id: "c",
  name: "f",
  arguments: "{}",
};
const ADDED: ResponseEvent = {
  type: "output_item.added",
  outputIndex: 1,
  item: { ...CALL, arguments: "" },
};
const COMPLETED: ResponseEvent = {
  type: "completed",
  responseId: "r",
  usage: USAGE,
};
const INCOMPLETE: ResponseEvent = {
  type: "incomplete",
  responseId: "r",
  reason: "max_output_tokens",
  unfinished: [CALL],
};
const ASIDE: ResponseEvent[] = [
  { type: "created", responseId: "r", model: "m" },
  { type: "rate_limits", rateLimits: { primary: 1 } },
  { type: "usage", usage: USAGE },
  { type: "other", event: { type: "response.in_progress" } },
];

const ROWS: [
  name: string,
  events: ResponseEvent[],
  expected: ResponseEvent[],
  error?: Error | undefined,
][] = [
  ["gives nothing of nothing", [], []],
  ["passes on what is no delta", [...ASIDE, COMPLETED], [...ASIDE, COMPLETED]],
  [
    "gives whole items once, in their own order",
    [
      { type: "output_item.added", outputIndex: 0, item: message("") },
      text("Let me "),
      text("see."),
      done(message("Let me see.")),
      ADDED,
      { type: "tool_call.delta", outputIndex: 1, delta: "{}" },
      done(CALL, 1),
      text("Done.", 2),
      done(message("Done."), 2),
      COMPLETED,
    ],
    [
      done(message("Let me see.")),
      done(CALL, 1),
      done(message("Done."), 2),
      COMPLETED,
    ],
  ],
  [
    "leaves a stream without deltas as it is",
    [done(message("a")), done(message("b")), INCOMPLETE],
    [done(message("a")), done(message("b")), INCOMPLETE],
  ],
  ...([
    ["an error", [], FAILURE],
    ["the end of the stream", []],
    ["incomplete", [INCOMPLETE]],
    ["completed", [COMPLETED]],
  ] as [string, ResponseEvent[], Error?][]).map((
    [name, last, error],
  ): typeof ROWS[number] => [
    `gives the text that has come before ${name}, but no call`,
    [
      { type: "tool_call.delta", outputIndex: 4, delta: "{" },
      {
        type: "output_item.added",
        outputIndex: 3,
        item: { type: "(other)mcp_call", arguments: "" },
      },
      { type: "tool_call.delta", outputIndex: 3, delta: "{" },
      ADDED,
      { type: "tool_call.delta", outputIndex: 1, delta: "{}" },
      text("Hel", 2),
      { type: "reasoning.delta", ...at, delta: "Hm" },
      {
        type: "reasoning_summary.delta",
        outputIndex: 0,
        summaryIndex: 0,
        delta: "Greet",
      },
      text("lo", 2),
      {
        type: "refusal.delta",
        outputIndex: 2,
        contentIndex: 1,
        delta: "No",
      },
      ...last,
    ],
    [
      done({
        type: "reasoning",
        status: "incomplete",
        summary: [{ type: "summary_text", text: "Greet" }],
        content: [{ type: "reasoning_text", text: "Hm" }],
      }),
      done({
        type: "message",
        role: "assistant",
        status: "incomplete",
        content: [
          { type: "output_text", text: "Hello", annotations: [] },
          { type: "refusal", refusal: "No" },
        ],
      }, 2),
      ...last,
    ],
    error,
  ]),
  [
    "gives a refusal that has come alone",
    [{ type: "refusal.delta", ...at, delta: "No" }],
    [done({
      type: "message",
      role: "assistant",
      status: "incomplete",
      content: [{ type: "refusal", refusal: "No" }],
    })],
  ],
  [
    "gives a summary that has come alone",
    [{
      type: "reasoning_summary.delta",
      outputIndex: 0,
      summaryIndex: 0,
      delta: "a",
    }],
    [done({
      type: "reasoning",
      status: "incomplete",
      summary: [{ type: "summary_text", text: "a" }],
    })],
  ],
  [
    "gives text that came with its item, and what else the item had",
    [{
      type: "output_item.added",
      outputIndex: 0,
      item: { ...message("a", "in_progress"), id: "msg_1" },
    }],
    [done({ ...message("a", "incomplete"), id: "msg_1" })],
    FAILURE,
  ],
  [
    "gives nothing for an item without text",
    [
      { type: "output_item.added", outputIndex: 0, item: message("") },
      {
        type: "output_item.added",
        outputIndex: 1,
        item: { type: "reasoning", summary: [], encrypted_content: "x" },
      },
      text("", 2),
      INCOMPLETE,
    ],
    [INCOMPLETE],
  ],
  [
    "gives no call for text that came in its place",
    [
      ADDED,
      text("a", 1),
      text("b", 2),
      { type: "tool_call.delta", outputIndex: 2, delta: "{}" },
      INCOMPLETE,
    ],
    [INCOMPLETE],
  ],
  [
    "gives nothing more of an item that was whole",
    [text("a"), done(message("A.")), text("late"), INCOMPLETE],
    [done(message("A.")), INCOMPLETE],
  ],
  [
    "gives nothing twice where an error follows the last event",
    [text("a"), INCOMPLETE],
    [done(message("a", "incomplete")), INCOMPLETE],
    FAILURE,
  ],
  [
    "drops what came before a reset",
    [
      text("a"),
      done(message("b"), 1),
      { type: "reset", attempt: 2 },
      text("c", 1),
    ],
    [
      done(message("b"), 1),
      { type: "reset", attempt: 2 },
      done(message("c", "incomplete"), 1),
    ],
    FAILURE,
  ],
];

for (const [name, events, expected, error] of ROWS) {
  Deno.test(`aggregate() ${name}`, async () => {
    const { seen, thrown } = await outcomeOf(events, error);
    assertEquals(seen, expected);
    assertEquals(thrown, error);
  });
}

Deno.test("aggregate() gives each text once, whatever the end is", async () => {
  await fc.assert(
    fc.asyncProperty(
      scripts,
      fc.nat(),
      fc.constantFrom<(ResponseEvent | Error)[]>(
        COMPLETED,
        INCOMPLETE,
        FAILURE,
      ),
      async ({ items, events }, cut, last) => {
        const prefix = events.slice(0, cut % (events.length + 1));
        const isError = last instanceof Error;
        const all = isError ? prefix : [...prefix, last];
        const { seen, thrown } = await outcomeOf(
          all,
          isError ? last : undefined,
        );
        assertEquals(thrown, isError ? last : undefined);

        const isPassed = (event: ResponseEvent) =>
          !("delta" in event) && event.type !== "output_item.added";
        // Other events pass through unchanged, in their order.
        const flushed = seen.filter((event) => !all.includes(event));
        assertEquals(
          seen.filter((event) => !flushed.includes(event)),
          all.filter(isPassed),
        );
        const open = items.flatMap((item, outputIndex) => {
          const own = prefix.filter((event) =>
            "outputIndex" in event && event.outputIndex === outputIndex
          );
          const isDone = own.at(-1)?.type === "output_item.done";
          const pieces = item.pieces.slice(
            0,
            own.filter((event) => "delta" in event).length,
          );
          return isDone || pieces.length === 0 || item.type.endsWith("call")
            ? []
            : [{ outputIndex, item: itemOf(item.type, pieces, "incomplete") }];
        });
        const whole = (item: ResponseItem): ResponseItem =>
          item.type === "reasoning"
            ? {
              ...item,
              summary: item.summary ?? [],
              content: item.content ?? [],
            }
            : item;
        assertEquals(
          flushed.map((event) => {
            assert(event.type === "output_item.done");
            return { outputIndex: event.outputIndex, item: whole(event.item) };
          }),
          open,
        );
        // They come last, but for the last event.
        const end = isError ? seen.length : seen.length - 1;
        assertEquals(seen.slice(end - flushed.length, end), flushed);

        if (isError) return;
        const inOrder = seen.filter((event) =>
          event.type === "output_item.done"
        )
          .sort((a, b) => a.outputIndex - b.outputIndex);
        assertEquals(inOrder.map(({ item }) => item), snapshot(all).output);
      },
    ),
    propertyParameters(300),
  );
});

/** A stream that counts what is asked of it. */
function counting(events: readonly ResponseEvent[], error?: Error) {
  const calls = { next: 0, return: 0 };
  const stream: AsyncIterable<ResponseEvent> = {
    [Symbol.asyncIterator]: () => ({
      next() {
        const value = events[calls.next++];
        if (!value && error) return Promise.reject(error);
        return Promise.resolve(
          value ? { done: false, value } : { done: true, value: undefined },
        );
      },
      return() {
        calls.return++;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
  return { calls, stream };
}

Deno.test("aggregate() ends the stream when it is left, and gives nothing more", async () => {
  const { calls, stream } = counting([text("a"), ...ASIDE, COMPLETED]);
  for await (const _ of aggregate(stream)) break;
  assertEquals(calls, { next: 2, return: 1 });
});

Deno.test("aggregate() ends the stream when the consumer throws into it", async () => {
  const { calls, stream } = counting([text("a"), ...ASIDE, COMPLETED]);
  const events = aggregate(stream);
  await events.next();
  await assertRejects(() => events.throw(FAILURE), Error, "disconnected");
  assertEquals(calls, { next: 2, return: 1 });
  assertEquals((await events.next()).done, true);
});

Deno.test("aggregate() asks for nothing before it is asked, and does not end what has ended", async () => {
  const { calls, stream } = counting([text("a"), COMPLETED]);
  const events = aggregate(stream);
  assertEquals(calls.next, 0);
  assertEquals((await Array.fromAsync(events)).length, 2);
  assertEquals(calls, { next: 3, return: 0 });
});

Deno.test("aggregate() does not end a stream that has failed", async () => {
  for (const isLeft of [false, true]) {
    const { calls, stream } = counting([text("a")], FAILURE);
    const events = aggregate(stream);
    assertEquals((await events.next()).value?.type, "output_item.done");
    if (isLeft) await events.return();
    else await assertRejects(() => events.next(), Error, "disconnected");
    assertEquals(calls, { next: 2, return: 0 });
  }
});

Deno.test("aggregate() throws what the stream throws, also if it is undefined", async () => {
  const stream: AsyncIterable<ResponseEvent> = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(undefined) }),
  };
  let thrown: unknown = "nothing";
  await aggregate(stream).next().catch((error) => thrown = error);
  assertEquals(thrown, undefined);
});
