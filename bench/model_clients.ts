/**
 * The clients of the model client's bench: each asks for an answer, reads all of
 * it, and says what it got. The answer comes from a `fetch` without sockets.
 */
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import OpenAI from "openai";
import { ModelClient, user } from "../src/model/mod.ts";
import { readEvents } from "../src/sse/mod.ts";
import type { ModelInput } from "./model_inputs.ts";

/** The part of an answer that a client has delivered. */
export interface Delivered {
  /** The length of the text, in UTF-16 code units; `undefined` if it was not looked at. */
  readonly characters: number | undefined;
  /** Whether it said that the answer is whole. */
  readonly completed: boolean;
}

/** Reads the answer once. */
export type Pass = () => Promise<Delivered>;

const BASE_URL = "http://model.example/v1";
const MODEL = "gpt-5";

function body({ chunks }: ModelInput): ReadableStream<Uint8Array<ArrayBuffer>> {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks[next++];
      if (chunk === undefined) controller.close();
      // Copied, as it comes from a socket: just written, and its reader's own.
      else controller.enqueue(new Uint8Array(chunk));
    },
  });
}

function answering(input: ModelInput): () => Promise<Response> {
  return () =>
    Promise.resolve(
      new Response(body(input), {
        headers: { "Content-Type": "text/event-stream" },
      }),
    );
}

/** This library's client, with everything on. */
export function modelClient(input: ModelInput): Pass {
  const client = new ModelClient({
    model: MODEL,
    provider: {
      name: "bench",
      baseUrl: BASE_URL,
      wireApi: input.wireApi,
      apiKey: "key",
    },
    fetch: answering(input),
  });
  return async () => {
    let characters = 0;
    let completed = false;
    for await (const event of await client.stream({ input: [user("Why?")] })) {
      if (event.type === "output_text.delta") characters += event.delta.length;
      else if (event.type === "completed") completed = true;
    }
    return { characters, completed };
  };
}

/** The `openai` package. */
export function openai(input: ModelInput): Pass {
  const client = new OpenAI({
    apiKey: "key",
    baseURL: BASE_URL,
    fetch: answering(input),
  });
  if (input.wireApi === "responses") {
    return async () => {
      let characters = 0;
      let completed = false;
      const stream = await client.responses.create({
        model: MODEL,
        input: "Why?",
        stream: true,
      });
      for await (const event of stream) {
        if (event.type === "response.output_text.delta") {
          characters += event.delta.length;
        } else if (event.type === "response.completed") completed = true;
      }
      return { characters, completed };
    };
  }
  return async () => {
    let characters = 0;
    let completed = false;
    const stream = await client.chat.completions.create({
      model: MODEL,
      messages: [{ role: "user", content: "Why?" }],
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const { choices: [choice] } of stream) {
      if (choice === undefined) continue;
      characters += choice.delta.content?.length ?? 0;
      if (choice.finish_reason === "stop") completed = true;
    }
    return { characters, completed };
  };
}

/** The `@anthropic-ai/sdk` package: its stream of events, without what it puts together of them. */
export function anthropic(input: ModelInput): Pass {
  const client = new Anthropic({
    apiKey: "key",
    baseURL: BASE_URL,
    fetch: answering(input),
  });
  return async () => {
    let characters = 0;
    let completed = false;
    const stream = await client.messages.create({
      model: MODEL,
      max_tokens: 32_000,
      messages: [{ role: "user", content: "Why?" }],
      stream: true,
    });
    for await (const event of stream) {
      if (
        event.type === "content_block_delta" &&
        event.delta.type === "text_delta"
      ) characters += event.delta.text.length;
      else if (event.type === "message_stop") completed = true;
    }
    return { characters, completed };
  };
}

/** The AI SDK: the model of its provider package, without what `ai` puts on top. */
export function aiSdk(input: ModelInput): Pass {
  const settings = {
    apiKey: "key",
    baseURL: BASE_URL,
    fetch: answering(input),
  };
  const model = input.wireApi === "responses"
    ? createOpenAI(settings).responses(MODEL)
    : createOpenAICompatible({
      ...settings,
      name: "bench",
      includeUsage: true,
    }).chatModel(MODEL);
  return async () => {
    let characters = 0;
    let completed = false;
    const { stream } = await model.doStream({
      prompt: [{ role: "user", content: [{ type: "text", text: "Why?" }] }],
    });
    for await (const part of stream) {
      if (part.type === "text-delta") characters += part.delta.length;
      else if (part.type === "finish") {
        completed = part.finishReason.unified === "stop";
      }
    }
    return { characters, completed };
  };
}

/** Decoding, parsing and `JSON.parse` alone: what no client can be faster than. */
export function floor(input: ModelInput): Pass {
  return async () => {
    let events = 0;
    const reader = readEvents(body(input));
    let batch;
    while ((batch = await reader.nextBatch()) !== undefined) {
      for (const { data } of batch) {
        if (data !== "[DONE]") JSON.parse(data);
        events++;
      }
    }
    return { characters: undefined, completed: events === input.events };
  };
}
