// This module is browser compatible.
import * as z from "zod";
import { type Asked, readJson } from "../asked.ts";
import { digest } from "../reproducible.ts";
import { jsonReply, type Reply } from "../reply.ts";
import { content, type Question, speak, type Speech } from "../speech.ts";
import { streamReply, typed, type WireEvent } from "../stream_reply.ts";

/** A block that says something: text, or what a tool has answered. */
const block = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  content: z.unknown().optional(),
});

const request = z.looseObject({
  model: z.string(),
  max_tokens: z.int().min(1),
  messages: z.array(z.looseObject({
    role: z.string(),
    content: z.union([
      z.string().transform((text) => [{
        type: "text",
        text,
        content: undefined,
      }]),
      z.array(block),
    ]),
  })).min(1),
  stream: z.boolean().nullish(),
  tools: z.array(
    z.looseObject({ name: z.string(), input_schema: z.unknown().optional() }),
  ).nullish(),
  tool_choice: z.looseObject({ type: z.string() }).nullish(),
});

type MessagesRequest = z.infer<typeof request>;

const PING: WireEvent = typed({ type: "ping" });

/** `POST /v1/messages` */
export function messages(asked: Asked): Reply {
  const read = readJson(asked, request);
  const speech = speak(questionOf(read), asked.plan.answer);
  const id = digest(asked.body);
  if (!read.stream) return jsonReply(messageOf(id, read, speech));
  return streamReply({
    events: eventsOf(id, read, speech),
    error: () => [typed({
      type: "error",
      error: { type: "overloaded_error", message: "Overloaded" },
    })],
    ping: PING,
  }, asked.plan);
}

function questionOf(read: MessagesRequest): Question {
  const blocks = read.messages.findLast(({ role }) => role === "user")
    ?.content ?? [];
  const results = blocks.filter(({ type }) => type === "tool_result");
  const texts = results.length > 0
    ? results.map((result) => content.safeParse(result.content).data ?? "")
    : blocks.map(({ text = "" }) => text);
  return {
    text: texts.join(""),
    isToolResult: results.length > 0,
    tools: read.tool_choice?.type === "none"
      ? []
      : read.tools?.filter((tool) => tool.input_schema !== undefined)
        .map(({ name, input_schema }) => ({
          name,
          parameters: input_schema,
        })) ??
        [],
    limit: read.max_tokens,
  };
}

function stopOf({ calls, isCut }: Speech): string {
  if (calls.length > 0) return "tool_use";
  return isCut ? "max_tokens" : "end_turn";
}

const callId = (id: string, index: number) => `toolu_${id}_${index}`;

function headOf(id: string, { model }: MessagesRequest, speech: Speech) {
  return {
    model,
    id: `msg_${id}`,
    type: "message",
    role: "assistant",
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: {
      input_tokens: speech.usage.input,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: 1,
      service_tier: "standard",
    },
  };
}

function messageOf(id: string, read: MessagesRequest, speech: Speech) {
  const head = headOf(id, read, speech);
  const { deltas, calls, usage } = speech;
  return {
    ...head,
    content: calls.length === 0
      ? [{ type: "text", text: deltas.join("") }]
      : calls.map((call, index) => ({
        type: "tool_use",
        id: callId(id, index),
        name: call.name,
        input: JSON.parse(call.arguments),
      })),
    stop_reason: stopOf(speech),
    usage: { ...head.usage, output_tokens: usage.output },
  };
}

function* eventsOf(
  id: string,
  read: MessagesRequest,
  speech: Speech,
): Generator<WireEvent> {
  const { deltas, calls, usage } = speech;
  yield typed({ type: "message_start", message: headOf(id, read, speech) });
  if (calls.length === 0) {
    yield typed({
      type: "content_block_start",
      index: 0,
      content_block: { type: "text", text: "" },
    });
    yield PING;
    for (const text of deltas) {
      yield typed({
        type: "content_block_delta",
        index: 0,
        delta: { type: "text_delta", text },
      });
    }
    yield typed({ type: "content_block_stop", index: 0 });
  }
  for (const [index, call] of calls.entries()) {
    yield typed({
      type: "content_block_start",
      index,
      content_block: {
        type: "tool_use",
        id: callId(id, index),
        name: call.name,
        input: {},
      },
    });
    if (index === 0) yield PING;
    for (const piece of ["", ...call.deltas]) {
      yield typed({
        type: "content_block_delta",
        index,
        delta: { type: "input_json_delta", partial_json: piece },
      });
    }
    yield typed({ type: "content_block_stop", index });
  }
  yield typed({
    type: "message_delta",
    delta: { stop_reason: stopOf(speech), stop_sequence: null },
    usage: { output_tokens: usage.output },
  });
  yield typed({ type: "message_stop" });
}
