import { assert, assertEquals } from "@std/assert";
import { ChatDecoder } from "../../src/model/wires/chat/decoder.ts";
import type {
  ResponseDecoder,
  ResponseOutcome,
} from "../../src/model/wires/decoder.ts";
import { ResponseFailedError } from "../../src/model/errors/response_failed_error.ts";
import type { ResponseItem } from "../../src/model/item.ts";
import type { ResponseEvent } from "../../src/model/response_event.ts";
import { MessagesDecoder } from "../../src/model/wires/messages/decoder.ts";
import { ResponsesDecoder } from "../../src/model/wires/responses/decoder.ts";
import type { Usage } from "../../src/model/usage.ts";
import { readEvents } from "../../src/sse/mod.ts";
import {
  readRecordings,
  recordingsMissing,
} from "../support/recordings/recordings.ts";
import {
  foldChat,
  type Folded,
  foldMessages,
  foldResponses,
} from "./reference_fold.ts";

interface Api {
  /** The fewest recordings that there are to be. */
  least: number;
  fold: (bytes: Uint8Array) => Folded;
  make: (deltas: boolean) => ResponseDecoder;
}

const APIS: Record<string, Api> = {
  responses: {
    least: 20,
    fold: foldResponses,
    make: (deltas) => new ResponsesDecoder({ deltas }),
  },
  chat: {
    least: 20,
    fold: foldChat,
    make: (deltas) => new ChatDecoder({ deltas }),
  },
  anthropic: {
    least: 5,
    fold: foldMessages,
    make: (deltas) => new MessagesDecoder({ deltas }),
  },
};

interface Read {
  events: ResponseEvent[];
  outcome: ResponseOutcome;
  usage: Usage | undefined;
  responseId: string;
}

function bodyOf(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at += size));
    },
  });
}

async function read(
  decoder: ResponseDecoder,
  bytes: Uint8Array,
  size: number,
): Promise<Read> {
  const events: ResponseEvent[] = [];
  for await (const { event, data } of readEvents(bodyOf(bytes, size))) {
    const before = events.length;
    const wasEnded = decoder.state === "ended";
    decoder.push(event, data, events);
    if (wasEnded) assertEquals(events.length, before);
  }
  const outcome = decoder.end(events);
  return {
    events,
    outcome,
    usage: decoder.usage,
    responseId: decoder.responseId,
  };
}

function textOf(item: ResponseItem): string {
  if (item.type !== "message") return "";
  return item.content.map((part) =>
    part.type === "output_text" ? part.text : ""
  ).join("");
}

function reasoningOf(item: ResponseItem): string {
  if (item.type !== "reasoning") return "";
  return [...item.summary ?? [], ...item.content ?? []]
    .map(({ text }) => typeof text === "string" ? text : "").join("");
}

function itemsOf(events: ResponseEvent[]): ResponseItem[] {
  return events.filter((event) => event.type === "output_item.done")
    .map(({ item }) => item);
}

function endingOf(outcome: ResponseOutcome): string {
  if ("last" in outcome) {
    const { last } = outcome;
    return last.type === "completed"
      ? "completed"
      : `incomplete: ${last.reason}`;
  }
  const { error } = outcome;
  return error instanceof ResponseFailedError
    ? `error: ${error.providerCode}: ${error.providerMessage}`
    : error.code;
}

/** Sums up the events in the same terms as the fold. */
function sumUp({ events, outcome, usage, responseId }: Read): Folded {
  const items = itemsOf(events);
  const sum: Folded = {
    text: "",
    reasoning: "",
    calls: [],
    ending: endingOf(outcome),
    usage: usage && [
      usage.inputTokens,
      usage.cachedInputTokens,
      usage.outputTokens,
      usage.reasoningOutputTokens,
      usage.totalTokens,
    ],
    id: responseId,
    events: 0,
  };
  for (const event of events) {
    if (event.type === "output_text.delta") sum.text += event.delta;
    if (event.type === "reasoning.delta") sum.reasoning += event.delta;
    if (event.type === "reasoning_summary.delta") sum.reasoning += event.delta;
  }
  for (const item of items) {
    if (item.type !== "function_call") continue;
    const { name, arguments: json, call_id: id } = item;
    sum.calls.push({ name, arguments: json, id });
  }
  return sum;
}

/** Checks the rules that hold for every response that was read well. */
function check(name: string, { events, outcome, usage }: Read): void {
  const types = events.map(({ type }) => type);
  for (const type of ["completed", "incomplete", "reset"] as const) {
    assert(!types.includes(type), `${name}: ${type} before the end`);
  }
  const told = events.filter((event) => event.type === "usage").at(-1);
  assertEquals(told?.usage, usage, name);
  assertEquals(
    "last" in outcome ? outcome.last.usage : outcome.error.usage,
    usage,
    name,
  );
  const added = events.filter((event) => event.type === "output_item.added");
  const done = events.filter((event) => event.type === "output_item.done");
  for (const some of [added, done]) {
    const places = some.map(({ outputIndex }) => outputIndex);
    assertEquals(new Set(places).size, places.length, `${name}: twice`);
  }
  // The pieces add up to the whole.
  for (const { item, outputIndex } of done) {
    const pieces = (type: string): string =>
      events.map((event) =>
        event.type === type && "outputIndex" in event && "delta" in event &&
          event.outputIndex === outputIndex
          ? event.delta
          : ""
      ).join("");
    assertEquals(textOf(item), pieces("output_text.delta"), name);
    assertEquals(
      reasoningOf(item),
      pieces("reasoning_summary.delta") + pieces("reasoning.delta"),
      name,
    );
    if (item.type === "function_call") {
      // Of a call without any, "{}" is made.
      assertEquals(item.arguments, pieces("tool_call.delta") || "{}", name);
    }
  }
}

/** An error, as what can be compared of it. */
function comparable({ events, outcome, ...rest }: Read) {
  return {
    ...rest,
    events,
    outcome: "last" in outcome ? outcome.last : { ...outcome.error },
    ending: endingOf(outcome),
  };
}

Deno.test({
  name:
    "every recording gives what a fold of its JSON gives, whole and byte by byte",
  ignore: recordingsMissing("every recording gives what a fold gives"),
  async fn() {
    const seen = new Map<string, number>();
    for (const [name, bytes] of await readRecordings()) {
      const kind = name.split(".")[1] ?? "";
      const api = APIS[kind];
      if (api === undefined) continue;
      seen.set(kind, (seen.get(kind) ?? 0) + 1);

      const whole = await read(api.make(true), bytes, bytes.length);
      check(name, whole);
      const sum = sumUp(whole);
      const expected = api.fold(bytes);
      assert(expected.events > 3, name);
      for (const [index, call] of expected.calls.entries()) {
        // The provider gives none: any will do.
        call.id ??= sum.calls[index]?.id;
      }
      assertEquals(sum, { ...expected, events: 0 }, name);

      const cut = await read(api.make(true), bytes, 1);
      assertEquals(comparable(cut), comparable(whole), name);

      const silent = await read(api.make(false), bytes, bytes.length);
      assert(silent.events.every(({ type }) => type === "output_item.done"));
      assertEquals(
        { ...comparable(silent), events: [] },
        { ...comparable(whole), events: [] },
        name,
      );
      const items = itemsOf(whole.events);
      const silentItems = itemsOf(silent.events);
      assertEquals(silentItems.slice(0, items.length), items, name);
      // Items that an error leaves unfinished were reported in deltas, or are
      // reported now.
      const flushed = silentItems.slice(items.length);
      if ("last" in whole.outcome) assertEquals(flushed, [], name);
      assertEquals(silentItems.map(textOf).join(""), sum.text, name);
      assert(
        flushed.every((item) =>
          item.type === "message" && item.status === "incomplete"
        ),
        name,
      );

      const silentCut = await read(api.make(false), bytes, 1);
      assertEquals(comparable(silentCut), comparable(silent), name);
    }
    for (const [kind, { least }] of Object.entries(APIS)) {
      const count = seen.get(kind) ?? 0;
      assert(count >= least, `only ${count} recordings of ${kind}`);
    }
  },
});
