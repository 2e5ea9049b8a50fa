import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type Judge,
  judgeFor,
  type Verdict,
} from "../../../relay/gateway/judge.ts";
import { ChatDecoder } from "../../../src/model/wires/chat/decoder.ts";
import type { ResponseDecoder } from "../../../src/model/wires/decoder.ts";
import { ResponseFailedError } from "../../../src/model/errors/response_failed_error.ts";
import { ResponsesDecoder } from "../../../src/model/wires/responses/decoder.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { propertyParameters } from "../../support/property.ts";
import { readRecordedEvents } from "../../support/recordings/recorded_events.ts";
import { recordingsMissing } from "../../support/recordings/recordings.ts";
import { eventsOf } from "../../support/model/sent_events.ts";
import { SAMPLES } from "./judge_samples.ts";

const PATHS: Readonly<Record<string, string>> = {
  responses: "responses",
  chat: "chat/completions",
  anthropic: "messages",
  gemini: "models/gemini:streamGenerateContent",
};

/** The recordings that do not just end as they should. */
const ENDS: Readonly<Record<string, Verdict>> = {
  "anthropic.anthropic.pause-turn-web-searchvcr-0.sse": {
    status: "complete",
    reason: "stop_reason: pause_turn",
  },
  "groq.chat.tool-use-failed-error0.sse": {
    status: "failed",
    reason:
      "tool_use_failed: Tool call validation failed: tool call validation failed: parameters for tool get_something_by_name did not match schema: errors: [missing properties: 'name', additionalProperties 'invalid_param' not allowed]",
  },
  "groq.chat.tool-use-failed-errorwith-text-0.sse": {
    status: "failed",
    reason:
      "tool_use_failed: Tool choice is required, but model did not call a tool",
  },
  "openrouter.chat.stream-error-0.sse": {
    status: "failed",
    reason: "400: Token limit reached",
  },
};

function kindOf(name: string): string {
  return name.split(".")[1] ?? "";
}

function judgeOf(name: string): Judge {
  return judgeFor(PATHS[kindOf(name)] ?? "");
}

/**
 * Whether an event says how its stream ends, found without any of the judge's
 * means.
 */
function saysEnd(kind: string, { event, data }: ServerSentEvent): boolean {
  if (data === "[DONE]") return kind !== "responses";
  const ends: Readonly<Record<string, RegExp>> = {
    responses: /[{,] ?"type": ?"response\.completed"/,
    chat: /"finish_reason": ?"[a-z_]+"|"error": ?\{/,
    anthropic: /^\{"type": ?"message_stop"/,
  };
  return event === "error" || (ends[kind]?.test(data) ?? false);
}

Deno.test({
  name: "every recording is judged as it ends, and truncated before that",
  ignore: recordingsMissing("every recording is judged as it ends"),
  async fn() {
    const seen = new Map<string, number>();
    for (const [name, events] of await readRecordedEvents()) {
      const kind = kindOf(name);
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
      const expected = ENDS[name] ?? { status: "complete" };
      const first = events.findIndex((event) => saysEnd(kind, event));
      const last = events.findLastIndex((event) => saysEnd(kind, event));
      assert(kind === "gemini" || first >= 0, name);
      const judge = judgeOf(name);
      for (const [index, event] of events.entries()) {
        const clean = judge.end("clean").status;
        const broken = judge.end("broken").status;
        if (kind === "gemini") {
          assertEquals([clean, broken], ["complete", "truncated"], name);
        } else if (index <= first) {
          assertEquals([clean, broken], ["truncated", "truncated"], name);
          assertEquals(judge.verdict, undefined, name);
        } else {
          assert(judge.verdict !== undefined, name);
          assertEquals([clean, broken], Array(2).fill(judge.verdict.status));
        }
        if (last >= 0 && index > last) {
          assertEquals(judge.end("broken"), expected, name);
        }
        assert(!judge.isOver, name);
        judge.take(event);
      }
      assertEquals(judge.end("clean"), expected, name);
      if (kind !== "gemini") {
        assertEquals(judge.end("broken"), expected, name);
        const mark = events.at(-1)?.data;
        const isOver = mark === "[DONE]" || kind === "anthropic";
        assertEquals(judge.isOver, isOver, name);
      }
    }
    for (const kind of Object.keys(PATHS)) {
      assert((seen.get(kind) ?? 0) > 4, `few recordings of ${kind}`);
    }
  },
});

Deno.test({
  name: "of a recording, hardly any event is parsed",
  ignore: recordingsMissing("of a recording, hardly any event is parsed"),
  async fn() {
    const { parse } = JSON;
    const parsed = new Map<string, number>();
    const recordings = await readRecordedEvents();
    let count = 0;
    JSON.parse = (text: string) => {
      count++;
      return parse(text);
    };
    try {
      for (const [name, events] of recordings) {
        count = 0;
        const judge = judgeOf(name);
        for (const event of events) judge.take(event);
        parsed.set(name, count);
      }
    } finally {
      JSON.parse = parse;
    }
    for (const [name, events] of recordings) {
      // The beginning, the end, and items that tell of an error.
      const few = Math.max(8, events.length / 20);
      const times = parsed.get(name) ?? 0;
      assert(times <= few, `${name}: ${times} of ${events.length}`);
    }
  },
});

const DECODERS: Readonly<Record<string, () => ResponseDecoder>> = {
  responses: () => new ResponsesDecoder({ deltas: false }),
  chat: () => new ChatDecoder({ deltas: false }),
};

function statusOf(decoder: ResponseDecoder): Verdict["status"] {
  const outcome = decoder.end([]);
  if ("last" in outcome) {
    const { last } = outcome;
    return last.type === "incomplete" && last.reason === "cancelled"
      ? "cancelled"
      : "complete";
  }
  return outcome.error instanceof ResponseFailedError ? "failed" : "truncated";
}

/** Returns the model client's result for the same events. */
function decoded(kind: string, events: readonly ServerSentEvent[]) {
  const decoder = DECODERS[kind]!(); // only asked for what there is
  for (const { event, data } of events) decoder.push(event, data, []);
  const status = statusOf(decoder);
  return kind === "responses"
    ? {
      status,
      responseId: decoder.responseId || undefined,
      sequenceNumber: decoder.sequenceNumber,
    }
    : { status, responseId: undefined, sequenceNumber: undefined };
}

function judged(judge: Judge) {
  const { responseId, sequenceNumber } = judge;
  return { status: judge.end("clean").status, responseId, sequenceNumber };
}

Deno.test({
  name: "a judge agrees with the model client on every recording, wherever cut",
  ignore: recordingsMissing("a judge agrees with the model client"),
  async fn() {
    for (const [name, events] of await readRecordedEvents()) {
      const kind = kindOf(name);
      if (DECODERS[kind] === undefined) continue;
      const judge = judgeOf(name);
      for (let end = 0; end <= events.length; end++) {
        // A decoder ends once, so that each cut takes one of its own.
        const isNear = end < 20 || events.length - end < 20 || end % 50 === 0;
        if (isNear) {
          assertEquals(
            judged(judge),
            decoded(kind, events.slice(0, end)),
            `${name}, ${end} events`,
          );
        }
        const next = events[end];
        if (next !== undefined) judge.take(next);
      }
    }
  },
});

Deno.test("a judge agrees with the model client on every sample that both can read", () => {
  let count = 0;
  for (const { name, path, stream } of SAMPLES) {
    const kind = path === "responses" ? path : "chat";
    const isBoth = path === "responses" || path === "chat/completions";
    // The client asks for one choice only.
    if (!isBoth || /choices/.test(name)) continue;
    const events = eventsOf(stream);
    const judge = judgeFor(path);
    for (const event of events) judge.take(event);
    assertEquals(judged(judge), decoded(kind, events), `${path}: ${name}`);
    count++;
  }
  assert(count > 60);
});

const odd = fc.constantFrom<unknown>(
  undefined,
  null,
  "",
  0,
  false,
  true,
  "busy",
  [],
  {},
  { message: "no" },
  [{ error: "no" }],
);

/** An object of these fields, some of them left out, as JSON. */
function json(fields: Record<string, fc.Arbitrary<unknown>>) {
  return fc.record(fields, { requiredKeys: [] })
    .map((value) => JSON.stringify(value));
}

const TEXTS = fc.constantFrom("", " ", "[DONE]", "{", "null", "[]", "5", '"x"');

const STREAMS: Readonly<Record<string, fc.Arbitrary<ServerSentEvent>>> = {
  responses: fc.record({
    event: fc.constantFrom(
      "message",
      "error",
      "ping",
      "response.completed",
      "response.failed",
      "response.incomplete",
      "response.cancelled",
      "response.created",
    ),
    data: fc.oneof(
      TEXTS,
      json({
        type: fc.oneof(
          odd,
          fc.constantFrom(
            "error",
            "ping",
            "response.created",
            "response.queued",
            "response.in_progress",
            "response.output_text.delta",
            "response.completed",
            "response.failed",
            "response.incomplete",
            "response.cancelled",
          ),
        ),
        sequence_number: fc.oneof(odd, fc.nat(9), fc.constant(-1.5)),
        error: odd,
        response: fc.oneof(
          odd,
          fc.record({
            id: fc.oneof(odd, fc.constantFrom("a", "b")),
            status: fc.oneof(
              odd,
              fc.constantFrom(
                "completed",
                "failed",
                "incomplete",
                "cancelled",
                "in_progress",
              ),
            ),
            error: odd,
            incomplete_details: odd,
          }, { requiredKeys: [] }),
        ),
      }),
    ),
    id: fc.constant(""),
  }),
  chat: fc.record({
    event: fc.constantFrom("message", "message", "message", "error", "ping"),
    data: fc.oneof(
      TEXTS,
      json({
        object: fc.constantFrom("chat.completion.chunk", "error", 5),
        error: odd,
        x_groq: fc.oneof(odd, fc.record({ error: odd })),
        choices: fc.oneof(
          fc.constantFrom(undefined, null, [], {}, "x"),
          fc.tuple(
            fc.oneof(
              fc.constantFrom(null, 5, "x", []),
              fc.record({
                index: fc.constantFrom(0, null),
                delta: fc.constantFrom({ content: "Hi" }, null, {}),
                finish_reason: fc.oneof(
                  odd,
                  fc.constantFrom("stop", "length", "error", "ERROR", "odd"),
                ),
                error: odd,
              }, { requiredKeys: [] }),
            ),
          ),
        ),
      }),
    ),
    id: fc.constant(""),
  }),
};

Deno.test("a judge agrees with the model client on streams that nobody sends", async (t) => {
  for (const [kind, event] of Object.entries(STREAMS)) {
    await t.step(kind, () => {
      fc.assert(
        fc.property(fc.array(event, { maxLength: 8 }), (events) => {
          const judge = judgeFor(PATHS[kind] ?? "");
          for (const event of events) judge.take(event);
          assertEquals(judged(judge), decoded(kind, events));
        }),
        propertyParameters(5_000),
      );
    });
  }
});
