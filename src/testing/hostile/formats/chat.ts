// This module is browser compatible.
import * as z from "zod";
import { type Asked, readJson } from "../asked.ts";
import { CREATED, digest } from "../reproducible.ts";
import { failure } from "../failure.ts";
import { jsonReply, type Reply } from "../reply.ts";
import { content, type Question, speak, type Speech } from "../speech.ts";
import { streamReply, type WireEvent } from "../stream_reply.ts";

const request = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({ role: z.string(), content })).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() })
    .nullish(),
  tools: z.array(z.looseObject({
    type: z.string(),
    function: z.looseObject({
      name: z.string(),
      parameters: z.unknown().optional(),
    })
      .optional(),
  })).nullish(),
  tool_choice: z.unknown().optional(),
  max_tokens: z.int().nullish(),
  max_completion_tokens: z.int().nullish(),
});

type ChatRequest = z.infer<typeof request>;

/** `POST /v1/chat/completions` */
export function chat(asked: Asked): Reply {
  const read = readJson(asked, request);
  const speech = speak(questionOf(read), asked.plan.answer);
  const id = digest(asked.body);
  if (!read.stream) return jsonReply(completionOf(id, read, speech));
  return streamReply({
    events: eventsOf(id, read, speech),
    error: () => [{
      data: JSON.stringify(
        failure("openai", 500, "The server had an error"),
      ),
    }],
    ping: { event: "ping", data: "" },
  }, asked.plan);
}

function questionOf(read: ChatRequest): Question {
  const last = read.messages.findLast(({ role }) =>
    role === "user" || role === "tool"
  );
  return {
    text: last?.content ?? "",
    isToolResult: last?.role === "tool",
    tools: read.tool_choice === "none"
      ? []
      : read.tools?.flatMap((tool) => tool.function ?? []) ?? [],
    limit: read.max_completion_tokens ?? read.max_tokens,
  };
}

function finishOf({ calls, isCut }: Speech): string {
  if (calls.length > 0) return "tool_calls";
  return isCut ? "length" : "stop";
}

function usageOf({ usage: { input, output } }: Speech) {
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
}

const callId = (id: string, index: number) => `call_${id}_${index}`;

function completionOf(id: string, { model }: ChatRequest, speech: Speech) {
  const { deltas, calls } = speech;
  return {
    id: `chatcmpl-${id}`,
    object: "chat.completion",
    created: CREATED,
    model,
    choices: [{
      index: 0,
      message: {
        role: "assistant",
        content: calls.length > 0 ? null : deltas.join(""),
        refusal: null,
        annotations: [],
        ...calls.length > 0 && {
          tool_calls: calls.map((call, index) => ({
            id: callId(id, index),
            type: "function",
            function: { name: call.name, arguments: call.arguments },
          })),
        },
      },
      logprobs: null,
      finish_reason: finishOf(speech),
    }],
    usage: usageOf(speech),
    service_tier: "default",
    system_fingerprint: "fp_hostile",
  };
}

function* eventsOf(
  id: string,
  read: ChatRequest,
  speech: Speech,
): Generator<WireEvent> {
  const hasUsage = read.stream_options?.include_usage === true;
  const chunk = (
    choices: readonly unknown[],
    usage: unknown = null,
  ): WireEvent => ({
    data: JSON.stringify({
      id: `chatcmpl-${id}`,
      object: "chat.completion.chunk",
      created: CREATED,
      model: read.model,
      service_tier: "default",
      system_fingerprint: "fp_hostile",
      choices,
      ...hasUsage && { usage },
    }),
  });
  const choice = (delta: unknown, finish: string | null = null) =>
    chunk([{ index: 0, delta, logprobs: null, finish_reason: finish }]);
  const { deltas, calls } = speech;
  yield choice({
    role: "assistant",
    content: calls.length > 0 ? null : "",
    refusal: null,
  });
  for (const content of deltas) yield choice({ content });
  for (const [index, call] of calls.entries()) {
    yield choice({
      tool_calls: [{
        index,
        id: callId(id, index),
        type: "function",
        function: { name: call.name, arguments: "" },
      }],
    });
    for (const piece of call.deltas) {
      yield choice({ tool_calls: [{ index, function: { arguments: piece } }] });
    }
  }
  yield choice({}, finishOf(speech));
  if (hasUsage) yield chunk([], usageOf(speech));
  yield { data: "[DONE]" };
}
