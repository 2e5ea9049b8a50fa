/**
 * A model client over scripted connections, in no time.
 *
 * @module
 */
import {
  ModelClient,
  type ModelClientOptions,
  type ModelProvider,
  type Prompt,
  type ResponseEvent,
  type ResponseStream,
  user,
} from "../../../src/model/mod.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  type ScriptedConnection,
  ScriptedFetch,
} from "../../../src/testing/scripted_fetch.ts";

/** The key that every request of these sends, unless it says otherwise. */
export const KEY = "sk-key-of-the-tests";

/** A provider that takes nothing from the environment. */
export const PROVIDER: ModelProvider = {
  name: "Example",
  baseUrl: "https://example.com/v1",
  apiKey: KEY,
  requestMaxRetries: 4,
  streamMaxRetries: 5,
  idleTimeout: 300_000,
};

/** A prompt that is good for anything. */
export const PROMPT: Prompt = { input: [user("Hello")] };

/** A body of Server-Sent Events, one for each object. */
export function sse(...events: readonly unknown[]): string {
  return events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
}

const message = (text: string, status: string) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  status,
  content: text === "" ? [] : [{ type: "output_text", text, annotations: [] }],
});

/** The events of a response that says `text`, one word at a time, as they are on the wire. */
export function responseOf(
  text: string,
  responseId = "resp_1",
): Record<string, unknown>[] {
  const at = { item_id: "msg_1", output_index: 0 };
  const words = text.split(/(?<= )/);
  return [
    { type: "response.created", response: { id: responseId, model: "m" } },
    {
      type: "response.output_item.added",
      output_index: 0,
      item: message("", "in_progress"),
    },
    ...words.map((delta) => ({
      type: "response.output_text.delta",
      ...at,
      content_index: 0,
      delta,
    })),
    {
      type: "response.output_item.done",
      output_index: 0,
      item: message(text, "completed"),
    },
    {
      type: "response.completed",
      response: {
        id: responseId,
        usage: { input_tokens: 2, output_tokens: 3, total_tokens: 5 },
      },
    },
  ].map((event, index) => ({ ...event, sequence_number: index }));
}

/** The usage of these responses. */
export const USAGE = { inputTokens: 2, outputTokens: 3, totalTokens: 5 };

/** The body of an answer that is whole. */
export const WHOLE_CHUNKS = [sse(...responseOf("Hello there"))];

/** An answer that is whole. */
export const WHOLE: ScriptedConnection = { chunks: WHOLE_CHUNKS };

/** The types of the events that come of it. */
export const WHOLE_TYPES = [
  "created",
  "output_item.added",
  "output_text.delta",
  "output_text.delta",
  "output_item.done",
  "usage",
  "completed",
];

/** An answer by Chat that is whole. */
export const WHOLE_CHAT: ScriptedConnection = {
  chunks: [
    sse(
      ...[{ content: "Hello there" }, {}].map((delta, index) => ({
        id: "chat_1",
        model: "m",
        choices: [{
          index: 0,
          delta,
          finish_reason: index === 1 ? "stop" : null,
        }],
      })),
    ),
    "data: [DONE]\n\n",
  ],
};

/** An answer that breaks off after that many events. */
export function cutAfter(
  events: number,
  end: "close" | "drop" | "stall" = "close",
): ScriptedConnection {
  const chunks = events === 0
    ? []
    : [sse(...responseOf("Hello there").slice(0, events))];
  return { chunks, end };
}

/** The text of the deltas since the last reset. */
export function textOf(events: readonly ResponseEvent[]): string {
  let text = "";
  for (const event of events) {
    if (event.type === "reset") text = "";
    if (event.type === "output_text.delta") text += event.delta;
  }
  return text;
}

/** Options of the client, and what only these have. */
export interface ScriptedModelOptions
  extends Omit<Partial<ModelClientOptions>, "provider"> {
  /** The differences from {@linkcode PROVIDER}. */
  readonly provider?: Partial<ModelProvider>;
  readonly afterLast?: "throw" | "repeat";
  /** The clock's first time. */
  readonly now?: number;
}

/** The outcome of a response. */
export interface Outcome {
  /** All that came. */
  readonly events: ResponseEvent[];
  /** The error that it ended with; `undefined` for none. */
  readonly error: unknown;
}

/** A client, and the world that it lives in. */
export interface ScriptedModel {
  readonly clock: FakeClock;
  readonly script: ScriptedFetch;
  readonly client: ModelClient;
  /** The times of the requests. */
  readonly times: number[];
  /** Asks, and reads the response to its end. */
  ask(prompt?: Prompt, signal?: AbortSignal): Promise<Outcome>;
}

/** A client that leaves nothing to chance. */
export function scriptedModel(
  connections: readonly ScriptedConnection[],
  options: ScriptedModelOptions = {},
): ScriptedModel {
  const { provider, afterLast = "throw", now = 0, ...rest } = options;
  const clock = new FakeClock(now);
  const script = new ScriptedFetch(connections, { clock, afterLast });
  const client = new ModelClient({
    model: "m",
    fetch: script.fetch,
    clock,
    random: () => 0.5,
    ...rest,
    provider: { ...PROVIDER, ...provider },
  });
  return {
    clock,
    script,
    client,
    get times() {
      return script.requests.map(({ time }) => time);
    },
    ask: (prompt = PROMPT, signal) =>
      clock.run(outcomeOf(client.stream(prompt, { signal }))),
  };
}

/** Reads a response to its end. */
export async function outcomeOf(
  asked: Promise<ResponseStream>,
): Promise<Outcome> {
  const events: ResponseEvent[] = [];
  try {
    for await (const event of await asked) events.push(event);
  } catch (error) {
    return { events, error };
  }
  return { events, error: undefined };
}

/** Calls with variables of the environment set (or unset), and puts them back. */
export async function withEnvironment<T>(
  variables: Readonly<Record<string, string | undefined>>,
  action: () => T | Promise<T>,
): Promise<T> {
  const before = Object.keys(variables).map((name) =>
    [name, Deno.env.get(name)] as const
  );
  const put = (name: string, value: string | undefined): void => {
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  };
  for (const [name, value] of Object.entries(variables)) put(name, value);
  try {
    return await action();
  } finally {
    for (const [name, value] of before) put(name, value);
  }
}
