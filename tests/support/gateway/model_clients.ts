/**
 * The clients of model providers as they come from npm, each asked for something
 * in each of its ways.
 *
 * @module
 */
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { generateText, isStepCount, jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";

/** The URL that a client asks, and its options. */
export interface ModelCallOptions {
  /** The URL in front of `/v1`. */
  readonly url: string;
  /** Headers beside the client's own. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the call. */
  readonly signal?: AbortSignal;
  /** Called for each event, chunk or part that the client gives. */
  readonly onEvent?: (event: unknown) => void;
}

/** The output of a client. */
export interface ModelCallOutcome {
  /** The events, chunks or parts, in order. */
  readonly events: readonly unknown[];
  /** Everything else: the message as a whole, the head of the answer. */
  readonly result?: unknown;
  /** The error that was thrown instead. */
  readonly error?: unknown;
}

/** One way to ask. */
export interface ModelCall {
  /** The client and its method. */
  readonly name: string;
  /** The format that it speaks. */
  readonly path: "responses" | "chat/completions" | "messages";
  /** Whether it asks for a stream. */
  readonly streams: boolean;
  /** The number of requests that it takes without a fault. */
  readonly requests: number;
  /** Asks; does not throw. */
  run(options: ModelCallOptions): Promise<ModelCallOutcome>;
}

/** The call itself: it gives events to `emit`, and returns everything else. */
type Ask = (
  options: ModelCallOptions,
  emit: (event: unknown) => void,
) => Promise<unknown>;

const MODEL = "hostile-1";
const KEY = "sk-of-the-caller";
const TEXT = "Say these words again, each by itself: Grüße, 東京 and 🦀.";
/** It names both tools, so that both are called. */
const TOOL_TEXT = "What are get_weather and get_time in Paris?";

const parameters = {
  type: "object" as const,
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

const TOOLS = ["get_weather", "get_time"];

const functionTools = TOOLS.map((name) => ({
  type: "function" as const,
  name,
  description: `It is ${name}`,
  parameters,
  strict: true,
}));

const chatTools = functionTools.map(({ type, ...rest }) => ({
  type,
  function: rest,
}));

const anthropicTools = functionTools.map(({ name, description }) => ({
  name,
  description,
  input_schema: parameters,
}));

const aiTools = Object.fromEntries(TOOLS.map((name) => [
  name,
  tool({
    description: `It is ${name}`,
    inputSchema: jsonSchema<{ city: string }>(parameters),
    execute: ({ city }) => `${name} says: fine in ${city}`,
  }),
]));

/** A copy of data that a client may yet add to; errors and the like stay as they are. */
function snapshot(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snapshot);
  const isPlain = typeof value === "object" && value !== null &&
    Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [name, snapshot(field)]),
  );
}

function call(
  name: string,
  path: ModelCall["path"],
  { streams, requests = 1 }: { streams: boolean; requests?: number },
  ask: Ask,
): ModelCall {
  return {
    name,
    path,
    streams,
    requests,
    async run(options) {
      const events: unknown[] = [];
      const emit = (event: unknown): void => {
        events.push(snapshot(event));
        options.onEvent?.(event);
      };
      try {
        return { events, result: await ask(options, emit) };
      } catch (error) {
        return { events, error };
      }
    },
  };
}

const openai = ({ url, headers = {} }: ModelCallOptions): OpenAI =>
  new OpenAI({
    apiKey: KEY,
    baseURL: `${url}/v1`,
    defaultHeaders: headers,
    // It would print what it throws.
    logLevel: "off",
  });

const anthropic = ({ url, headers = {} }: ModelCallOptions): Anthropic =>
  new Anthropic({
    apiKey: KEY,
    baseURL: url,
    defaultHeaders: headers,
    logLevel: "off",
  });

const aiProvider = ({ url, headers = {} }: ModelCallOptions) =>
  createOpenAI({ apiKey: KEY, baseURL: `${url}/v1`, headers });

const request = ({ signal }: ModelCallOptions) => ({ ...signal && { signal } });

const openaiCalls: readonly ModelCall[] = [
  call(
    "openai responses.create, stream",
    "responses",
    { streams: true },
    async (options, emit) => {
      const { data, response, request_id } = await openai(options).responses
        .create(
          { model: MODEL, input: TEXT, stream: true },
          request(options),
        ).withResponse();
      for await (const event of data) emit(event);
      return { response, request_id };
    },
  ),
  call(
    "openai responses.stream with tools",
    "responses",
    { streams: true },
    async (options, emit) => {
      const stream = openai(options).responses.stream(
        { model: MODEL, input: TOOL_TEXT, tools: functionTools },
        request(options),
      );
      for await (const event of stream) emit(event);
      return await stream.finalResponse();
    },
  ),
  call(
    "openai responses.create",
    "responses",
    { streams: false },
    async (options) =>
      await openai(options).responses.create(
        { model: MODEL, input: TEXT },
        request(options),
      ).withResponse(),
  ),
  call(
    "openai responses.create with tools",
    "responses",
    { streams: false },
    async (options) =>
      await openai(options).responses.create(
        { model: MODEL, input: TOOL_TEXT, tools: functionTools },
        request(options),
      ),
  ),
  call(
    "openai chat.completions.create, stream",
    "chat/completions",
    { streams: true },
    async (options, emit) => {
      const { data, response, request_id } = await openai(options).chat
        .completions.create({
          model: MODEL,
          messages: [{ role: "user", content: TEXT }],
          stream: true,
          stream_options: { include_usage: true },
        }, request(options)).withResponse();
      for await (const chunk of data) emit(chunk);
      return { response, request_id };
    },
  ),
  call(
    "openai chat.completions.runTools, stream",
    "chat/completions",
    { streams: true, requests: 2 },
    async (options, emit) => {
      const runner = openai(options).chat.completions.runTools({
        model: MODEL,
        messages: [{ role: "user", content: TOOL_TEXT }],
        stream: true,
        tools: functionTools.map(({ name, description }) => ({
          type: "function" as const,
          function: {
            name,
            description,
            parameters,
            parse: (text: string): { city: string } => JSON.parse(text),
            function: ({ city }: { city: string }) => `fine in ${city}`,
          },
        })),
      }, request(options));
      for await (const chunk of runner) emit(chunk);
      return {
        completions: runner.allChatCompletions(),
        messages: runner.messages,
        content: await runner.finalContent(),
      };
    },
  ),
  call(
    "openai chat.completions.create",
    "chat/completions",
    { streams: false },
    async (options) =>
      await openai(options).chat.completions.create({
        model: MODEL,
        messages: [{ role: "user", content: TEXT }],
        max_completion_tokens: 3,
      }, request(options)).withResponse(),
  ),
  call(
    "openai chat.completions.create with tools",
    "chat/completions",
    { streams: false },
    async (options) =>
      await openai(options).chat.completions.create({
        model: MODEL,
        messages: [{ role: "user", content: TOOL_TEXT }],
        tools: chatTools,
      }, request(options)),
  ),
];

const anthropicCalls: readonly ModelCall[] = [
  call(
    "@anthropic-ai/sdk messages.stream",
    "messages",
    { streams: true },
    async (options, emit) => {
      const stream = anthropic(options).messages.stream({
        model: MODEL,
        max_tokens: 100,
        messages: [{ role: "user", content: TEXT }],
      }, request(options));
      for await (const event of stream) emit(event);
      return {
        message: await stream.finalMessage(),
        response: stream.response,
        request_id: stream.request_id,
      };
    },
  ),
  call(
    "@anthropic-ai/sdk messages.create with tools, stream",
    "messages",
    { streams: true },
    async (options, emit) => {
      const stream = await anthropic(options).messages.create({
        model: MODEL,
        max_tokens: 100,
        messages: [{ role: "user", content: TOOL_TEXT }],
        tools: anthropicTools,
        stream: true,
      }, request(options));
      for await (const event of stream) emit(event);
      return undefined;
    },
  ),
  call(
    "@anthropic-ai/sdk messages.create",
    "messages",
    { streams: false },
    async (options) =>
      await anthropic(options).messages.create({
        model: MODEL,
        max_tokens: 3,
        messages: [{ role: "user", content: TEXT }],
      }, request(options)).withResponse(),
  ),
  call(
    "@anthropic-ai/sdk messages.create with tools",
    "messages",
    { streams: false },
    async (options) =>
      await anthropic(options).messages.create({
        model: MODEL,
        max_tokens: 100,
        messages: [{ role: "user", content: TOOL_TEXT }],
        tools: anthropicTools,
      }, request(options)),
  ),
];

type AiProvider = ReturnType<typeof createOpenAI>;

/** `ai` with one of the two formats of `@ai-sdk/openai`. */
function aiCalls(
  path: "responses" | "chat/completions",
  model: (provider: AiProvider) => ReturnType<AiProvider["responses"]>,
): readonly ModelCall[] {
  const settings = (options: ModelCallOptions) => ({
    model: model(aiProvider(options)),
    ...options.signal && { abortSignal: options.signal },
  });
  const format = path === "responses" ? path : "chat";
  return [
    call(
      `ai streamText, ${format}`,
      path,
      { streams: true },
      async (options, emit) => {
        const result = streamText({
          ...settings(options),
          prompt: TEXT,
          // It would print them.
          onError: () => {},
        });
        for await (const part of result.fullStream) emit(part);
        return {
          text: await result.text,
          usage: await result.totalUsage,
          finishReason: await result.finishReason,
          response: await result.response,
          warnings: await result.warnings,
        };
      },
    ),
    call(
      `ai streamText with tools, ${format}`,
      path,
      { streams: true, requests: 2 },
      async (options, emit) => {
        const result = streamText({
          ...settings(options),
          prompt: TOOL_TEXT,
          tools: aiTools,
          stopWhen: isStepCount(2),
          onError: () => {},
        });
        for await (const part of result.fullStream) emit(part);
        return { text: await result.text, steps: await result.steps };
      },
    ),
    call(
      `ai generateText with tools, ${format}`,
      path,
      { streams: false, requests: 2 },
      async (options) => {
        const { text, steps, totalUsage, finishReason } = await generateText({
          ...settings(options),
          prompt: TOOL_TEXT,
          tools: aiTools,
          stopWhen: isStepCount(2),
        });
        return { text, steps, totalUsage, finishReason };
      },
    ),
  ];
}

/** Every client in each of its ways. */
export const MODEL_CALLS: readonly ModelCall[] = [
  ...openaiCalls,
  ...anthropicCalls,
  ...aiCalls("responses", (provider) => provider.responses(MODEL)),
  ...aiCalls("chat/completions", (provider) => provider.chat(MODEL)),
];
