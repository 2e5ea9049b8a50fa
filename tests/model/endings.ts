/**
 * The ways in which a stream ends: the server's behaviour, and the events
 * expected.
 *
 * @module
 */
import {
  type CompletedEvent,
  ConnectionFailedError,
  type IncompleteEvent,
  type ModelClientOptions,
  type ModelError,
  type ModelErrorCode,
  NotAStreamError,
  ResponseFailedError,
  RetryLimitError,
  StreamError,
  UnexpectedStatusError,
  type WireApi,
} from "../../src/model/mod.ts";
import type { ScriptedConnection } from "../../src/testing/mod.ts";
import type {
  ServerAnswer,
  ServerScript,
} from "../support/model/ending_server.ts";
import {
  AT_LAST,
  call,
  CHAT_AT_LAST,
  CHAT_AT_LAST_WITH_USAGE,
  CHAT_SEEN_START,
  CHAT_SEEN_TEXT,
  CHAT_SEEN_WHOLE,
  CHAT_SEEN_WITH_USAGE,
  CHAT_START,
  CHAT_USAGE,
  CHAT_WHOLE,
  choice,
  COMPLETED,
  CREATED,
  cutOffCall,
  type Dialect,
  DIALECTS,
  DONE,
  itemDone,
  READ_CHAT_USAGE,
  READ_USAGE,
  response,
  SEEN_START,
  SEEN_USAGE,
  SEEN_WHOLE,
  START,
  STOP,
  USAGE,
  USAGE_CHUNK,
  WHOLE,
  wire,
} from "./ending_samples.ts";

/** An error that is to be seen. */
export interface ExpectedError {
  /** Its class. */
  readonly throws: abstract new (...args: never[]) => ModelError;
  /** Its code. */
  readonly code: ModelErrorCode;
  /** Whether it is worth another try. */
  readonly retryable: boolean;
  /** Its message: a pattern where a runtime has a part in it. */
  readonly message: string | RegExp;
  /** The other facts of the error. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** Whether there is no stream at all: `stream()` rejects with it. */
  readonly unopened?: boolean;
}

/** The time at which the signal is aborted. */
export type AbortTime =
  /** Before anything was asked for. */
  | "before"
  /** While the headers are waited for. */
  | "headers"
  /** The time at which this many events were taken. */
  | { readonly taken: number }
  /**
   * The time at which this many events were taken, and the next one is waited
   * for.
   */
  | { readonly waiting: number }
  /** So many milliseconds after the start, by a fake clock. */
  | { readonly at: number };

/** One way to end. */
export interface Ending {
  /** The name of the row. */
  readonly name: string;
  /** The wire API. */
  readonly wire: WireApi;
  /** The server's behaviour, on real sockets: one answer for each request. */
  readonly server?: readonly ServerScript[];
  /** The network's behaviour on a fake clock, where time matters. */
  readonly timed?: readonly ScriptedConnection[];
  /** The time that it takes, in milliseconds. */
  readonly elapsed?: number;
  /** Options that matter. */
  readonly options?: Partial<ModelClientOptions>;
  /** The number of retries allowed. Default: 2, so that doing so would show. */
  readonly retries?: number;
  /** The time at which the signal is aborted. Default: never. */
  readonly abort?: AbortTime;
  /** The events that come before the end, in short. */
  readonly delivered: readonly string[];
  /** The last event, the error, or the signal's reason. */
  readonly end: CompletedEvent | IncompleteEvent | ExpectedError | "aborted";
  /** The number of requests made. Default: 1. */
  readonly requests?: number;
}

/** The expectation for both. */

const TRUNCATED: Record<WireApi, ExpectedError> = {
  responses: {
    throws: StreamError,
    code: "truncated",
    retryable: true,
    message:
      "stream disconnected before completion: stream closed before response.completed",
  },
  chat: {
    throws: StreamError,
    code: "truncated",
    retryable: true,
    message:
      "stream disconnected before completion: stream closed before [DONE] or a finish_reason",
  },
  messages: {
    throws: StreamError,
    code: "truncated",
    retryable: true,
    message:
      "stream disconnected before completion: stream closed before message_stop",
  },
};

const DISCONNECTED: ExpectedError = {
  throws: StreamError,
  code: "disconnected",
  retryable: true,
  message:
    /^stream disconnected before completion: The event stream from http:\/\/127\.0\.0\.1:\d+\/\S+ broke off before its end: ./,
};

const idle = (
  what: "byte" | "event",
  timeout: number,
  lastSeen: string,
): ExpectedError => ({
  throws: StreamError,
  code: "idle",
  retryable: true,
  message:
    `stream disconnected before completion: idle timeout waiting for SSE: no ${what} for ${timeout} ms, last seen: ${lastSeen}`,
});

const failed = (
  code: ExpectedError["code"],
  retryable: boolean,
  message: string,
  facts: Readonly<Record<string, unknown>> = {},
): ExpectedError => ({
  throws: ResponseFailedError,
  code,
  retryable,
  message: `the response has failed (${message}`,
  facts,
});

/** The first half, and then this: once the half was taken, so that it is not lost. */
const afterStart = (
  { start, seenStart }: Dialect,
  then: ServerAnswer["then"] & string,
  ...rest: string[]
): ServerAnswer => ({
  body: [...start, { taken: seenStart.length }, ...rest],
  then,
});

/* The table. */

/** A row of one wire API. */
type Row = Omit<Ending, "wire">;

function completions(dialect: Dialect): Row[] {
  const { whole, seenWhole: delivered, last } = dialect;
  const same = { delivered, end: last };
  return [
    { name: "completed", server: [{ body: whole }], ...same },
    {
      name: "completed, all in one piece",
      server: [{ body: [whole.join("")] }],
      ...same,
    },
    {
      name: "completed, and the socket held open",
      server: [{ body: whole, then: "hold" }],
      ...same,
    },
    {
      name: "completed, then reset",
      server: [{
        body: [...whole, { taken: delivered.length }],
        then: "reset",
      }],
      ...same,
    },
    {
      name: "completed, then cut off",
      server: [{ body: [...whole, { taken: delivered.length }], then: "cut" }],
      ...same,
    },
    {
      name: "completed, then more of everything",
      server: [{ body: [...whole, ...whole], then: "hold" }],
      ...same,
    },
    {
      name: "completed, seen without deltas",
      server: [{ body: whole, then: "hold" }],
      options: { deltas: false },
      delivered: ["done message Hello"],
      end: last,
    },
    {
      name: "completed, then aborted",
      server: [{ body: whole, then: "hold" }],
      // One more than came before: the last event was taken too.
      abort: { taken: delivered.length + 1 },
      ...same,
    },
  ];
}

const RESPONSES_ENDINGS: Row[] = [
  {
    name: "completed without usage",
    server: [{
      body: wire(...WHOLE, {
        type: "response.completed",
        response: response("completed"),
      }),
      then: "hold",
    }],
    delivered: SEEN_WHOLE,
    end: { ...AT_LAST, usage: undefined },
  },
  {
    name: "completed, then [DONE], as OpenRouter has it",
    server: [{ body: [...wire(...WHOLE, COMPLETED), DONE] }],
    delivered: [...SEEN_WHOLE, SEEN_USAGE],
    end: AT_LAST,
  },
  {
    name: "[DONE] and nothing that says how it ended",
    server: [{ body: [...wire(...WHOLE), DONE] }],
    delivered: SEEN_WHOLE,
    end: TRUNCATED.responses,
  },
  {
    name: "EOF after an item was done, then an answer, where that may be",
    server: [
      { body: wire(...WHOLE) },
      { body: wire(...WHOLE, COMPLETED), then: "hold" },
    ],
    options: { retryMidStream: true },
    delivered: [...SEEN_WHOLE, "reset 2", ...SEEN_WHOLE, SEEN_USAGE],
    end: AT_LAST,
    requests: 2,
  },
  {
    name: "response.incomplete",
    server: [{
      body: wire(...START, itemDone("Hel", "incomplete"), {
        type: "response.incomplete",
        response: response("incomplete", {
          incomplete_details: { reason: "max_output_tokens" },
          usage: USAGE,
        }),
      }),
      then: "hold",
    }],
    delivered: [...SEEN_START, "done message Hel", SEEN_USAGE],
    end: {
      type: "incomplete",
      reason: "max_output_tokens",
      responseId: "resp_1",
      usage: READ_USAGE,
      sequenceNumber: 4,
    },
  },
  {
    name: "response.incomplete without a reason, and the item not ended",
    server: [{
      body: wire(...START, {
        type: "response.incomplete",
        response: response("incomplete"),
      }),
      then: "hold",
    }],
    delivered: SEEN_START,
    end: {
      type: "incomplete",
      reason: "unknown",
      responseId: "resp_1",
      sequenceNumber: 3,
    },
  },
  {
    name: "response.incomplete in the middle of a call",
    server: [{
      body: wire(CREATED, {
        type: "response.output_item.added",
        output_index: 0,
        item: {
          id: "fc_1",
          type: "function_call",
          call_id: "call_1",
          name: "weather",
          arguments: "",
          status: "in_progress",
        },
      }, {
        type: "response.function_call_arguments.delta",
        item_id: "fc_1",
        output_index: 0,
        delta: '{"city":"Ro',
      }, {
        type: "response.incomplete",
        response: response("incomplete", {
          incomplete_details: { reason: "content_filter" },
        }),
      }),
      then: "hold",
    }],
    delivered: [
      "created resp_1 gpt-x",
      "added function_call",
      'call {"city":"Ro',
    ],
    end: {
      type: "incomplete",
      reason: "content_filter",
      responseId: "resp_1",
      sequenceNumber: 3,
      unfinished: [{ id: "fc_1", ...cutOffCall('{"city":"Ro') }],
    },
  },
  ...["response.cancelled", "response.completed"].map((type): Row => ({
    name: `${type} of a response that was cancelled`,
    server: [{
      body: wire(...START, {
        type,
        response: response("cancelled", { usage: USAGE }),
      }),
      then: "hold",
    }],
    delivered: [...SEEN_START, SEEN_USAGE],
    end: {
      type: "incomplete",
      reason: "cancelled",
      responseId: "resp_1",
      usage: READ_USAGE,
      sequenceNumber: 3,
    },
  })),
  ...([
    ["context_length_exceeded", "context_length_exceeded", false, "Too long."],
    ["insufficient_quota", "insufficient_quota", false, "No money left."],
    [
      "rate_limit_exceeded",
      "rate_limit_exceeded",
      true,
      "Rate limit reached. Please try again in 1.5s.",
      1_500,
    ],
    ["server_is_overloaded", "server_is_overloaded", true, "Overloaded."],
    ["slow_down", "server_is_overloaded", true, "Slow down."],
    ["usage_not_included", "usage_not_included", false, "Not in your plan."],
    ["invalid_prompt", "invalid_prompt", false, "Not with us."],
    ["cyber_policy", "cyber_policy", false, "Not with us."],
    ["server_error", "response_failed", true, "Something went wrong."],
    ["never_heard_of", "response_failed", true, "Who knows."],
  ] as const).map((
    [providerCode, code, retryable, message, retryAfter],
  ): Row => ({
    name: `response.failed: ${providerCode}, and the socket held open`,
    server: [{
      body: wire(...START, {
        type: "response.failed",
        response: response("failed", {
          error: { code: providerCode, message },
        }),
      }),
      then: "hold",
    }],
    delivered: SEEN_START,
    end: failed(code, retryable, `${providerCode}): ${message}`, {
      providerCode,
      providerMessage: message,
      retryAfter,
      responseId: "resp_1",
    }),
  })),
  {
    name: "response.failed, with usage and no reason",
    server: [{
      body: wire(...START, {
        type: "response.failed",
        response: response("failed", { usage: USAGE }),
      }),
    }],
    delivered: [...SEEN_START, SEEN_USAGE],
    end: failed(
      "response_failed",
      true,
      "response_failed): the provider gives no reason",
      { responseId: "resp_1", usage: READ_USAGE },
    ),
  },
  {
    name: "response.failed, then reset",
    server: [{
      body: [
        // In one piece: Bun 1.3 drops the bytes that it has not read when the reset arrives,
        // and the server resets as soon as the client has taken the events before the failure.
        wire(...START, {
          type: "response.failed",
          response: response("failed", {
            error: { code: "server_error", message: "Oops." },
          }),
        }).join(""),
        { taken: SEEN_START.length },
      ],
      then: "reset",
    }],
    delivered: SEEN_START,
    end: failed("response_failed", true, "server_error): Oops."),
  },
  {
    name: "response.failed before anything else",
    server: [{
      body: wire({
        type: "response.failed",
        response: response("failed", {
          error: { code: "server_error", message: "Oops." },
        }),
      }),
      then: "hold",
    }],
    delivered: [],
    end: failed("response_failed", true, "server_error): Oops.", {
      responseId: "resp_1",
    }),
  },
  {
    name: "error event, nested, then response.failed",
    server: [{
      body: wire(...START, {
        type: "error",
        error: {
          type: "invalid_request_error",
          code: "context_length_exceeded",
          message: "Too long.",
          param: "input",
        },
      }, {
        type: "response.failed",
        response: response("failed", {
          error: { code: "server_error", message: "Oops." },
        }),
      }),
    }],
    delivered: SEEN_START,
    end: failed(
      "context_length_exceeded",
      false,
      "context_length_exceeded): Too long.",
      { providerType: "invalid_request_error", param: "input" },
    ),
  },
  {
    name: "error event, nested, and the socket held open",
    server: [{
      body: wire(...START, {
        type: "error",
        error: {
          type: "server_error",
          code: null,
          message: "Oops.",
          param: null,
        },
      }),
      then: "hold",
    }],
    delivered: SEEN_START,
    end: failed("response_failed", true, "server_error): Oops.", {
      providerType: "server_error",
    }),
  },
  {
    name: "error event, flat, and the socket held open",
    server: [{
      body: wire(...START, {
        type: "error",
        code: "rate_limit_exceeded",
        message: "Please try again in 250ms.",
        param: null,
      }),
      then: "hold",
    }],
    delivered: SEEN_START,
    end: failed(
      "rate_limit_exceeded",
      true,
      "rate_limit_exceeded): Please try again in 250ms.",
      { retryAfter: 250, providerType: undefined },
    ),
  },
  {
    name: "error event before anything else",
    server: [{
      body: wire({
        type: "error",
        error: {
          type: "insufficient_quota",
          code: "insufficient_quota",
          message: "No money left.",
          param: null,
        },
      }),
      then: "hold",
    }],
    delivered: [],
    end: failed(
      "insufficient_quota",
      false,
      "insufficient_quota): No money left.",
      { responseId: undefined },
    ),
  },
];

const OVERLOADED = {
  message: "The model is overloaded.",
  type: "server_error",
  code: "server_is_overloaded",
  param: null,
};

const OVERLOADED_ERROR = failed(
  "server_is_overloaded",
  true,
  "server_is_overloaded): The model is overloaded.",
  { responseId: "chat_1" },
);

const CHAT_ENDINGS: Row[] = [
  {
    name: "[DONE] after finish_reason, without usage",
    server: [{ body: [...CHAT_WHOLE, STOP, DONE], then: "hold" }],
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
  },
  {
    name: "finish_reason without [DONE]",
    server: [{ body: [...CHAT_WHOLE, STOP] }],
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
  },
  {
    name: "finish_reason without [DONE], and the socket held open",
    server: [{ body: [...CHAT_WHOLE, STOP], then: "hold" }],
    options: { drainTimeout: 5 },
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
  },
  {
    name: "finish_reason and usage, then reset",
    server: [{
      body: [
        ...CHAT_WHOLE,
        choice({}, "stop", { usage: CHAT_USAGE }),
        { taken: CHAT_SEEN_TEXT.length + 1 },
      ],
      then: "reset",
    }],
    delivered: CHAT_SEEN_WITH_USAGE,
    end: CHAT_AT_LAST_WITH_USAGE,
  },
  {
    name: "finish_reason and usage, then cut off",
    server: [{
      body: [
        ...CHAT_WHOLE,
        choice({}, "stop", { usage: CHAT_USAGE }),
        { taken: CHAT_SEEN_TEXT.length + 1 },
      ],
      then: "cut",
    }],
    delivered: CHAT_SEEN_WITH_USAGE,
    end: CHAT_AT_LAST_WITH_USAGE,
  },
  {
    name: "[DONE] without finish_reason",
    server: [{ body: [...CHAT_WHOLE, DONE], then: "hold" }],
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
  },
  {
    name: "[DONE] and nothing else",
    server: [{ body: [DONE], then: "hold" }],
    retries: 0,
    delivered: [],
    end: TRUNCATED.chat,
  },
  {
    name: "finish_reason: length",
    server: [{ body: [...CHAT_START, choice({}, "length"), DONE] }],
    delivered: [...CHAT_SEEN_START, "done message Hel"],
    end: {
      type: "incomplete",
      reason: "max_output_tokens",
      responseId: "chat_1",
    },
  },
  {
    name: "finish_reason: content_filter, without [DONE]",
    server: [{ body: [...CHAT_START, choice({}, "content_filter")] }],
    delivered: [...CHAT_SEEN_START, "done message Hel"],
    end: { type: "incomplete", reason: "content_filter", responseId: "chat_1" },
  },
  {
    name: "finish_reason: length in the middle of a call",
    server: [{
      body: [call('{"city":"Ro'), choice({}, "length"), USAGE_CHUNK, DONE],
    }],
    delivered: [
      "created chat_1 gpt-x",
      "added function_call",
      'call {"city":"Ro',
      SEEN_USAGE,
    ],
    end: {
      type: "incomplete",
      reason: "max_output_tokens",
      responseId: "chat_1",
      usage: READ_CHAT_USAGE,
      unfinished: [cutOffCall('{"city":"Ro')],
    },
  },
  {
    name: "finish_reason: tool_calls, with arguments that are not JSON",
    server: [{ body: [call('{"city":'), choice({}, "tool_calls"), DONE] }],
    delivered: [
      "created chat_1 gpt-x",
      "added function_call",
      'call {"city":',
    ],
    end: {
      type: "incomplete",
      reason: "tool_call_arguments",
      responseId: "chat_1",
      unfinished: [cutOffCall('{"city":')],
    },
  },
  {
    name: "finish_reason: error",
    server: [{ body: [...CHAT_START, choice({}, "error"), DONE] }],
    delivered: CHAT_SEEN_START,
    end: {
      ...failed("response_failed", true, ""),
      message: /^the response has failed \(/,
    },
  },
  {
    name: "EOF in the middle of a call",
    server: [{ body: [call('{"city":"Ro')] }],
    delivered: [
      "created chat_1 gpt-x",
      "added function_call",
      'call {"city":"Ro',
    ],
    end: TRUNCATED.chat,
  },
  {
    name: "error object mid-stream",
    server: [{
      body: [
        ...CHAT_START,
        `data: ${JSON.stringify({ error: OVERLOADED })}\n\n`,
      ],
    }],
    delivered: CHAT_SEEN_START,
    end: OVERLOADED_ERROR,
  },
  {
    name: "error object mid-stream, and the socket held open",
    server: [{
      body: [
        ...CHAT_START,
        `data: ${JSON.stringify({ error: OVERLOADED })}\n\n`,
      ],
      then: "hold",
    }],
    options: { drainTimeout: 5 },
    delivered: CHAT_SEEN_START,
    end: OVERLOADED_ERROR,
  },
  {
    name: "error object, then [DONE]",
    server: [{
      body: [
        ...CHAT_START,
        `data: ${JSON.stringify({ error: OVERLOADED })}\n\n`,
        DONE,
      ],
      then: "hold",
    }],
    delivered: CHAT_SEEN_START,
    end: OVERLOADED_ERROR,
  },
  {
    name: "error object before anything else",
    server: [{
      body: [`data: ${JSON.stringify({ error: OVERLOADED })}\n\n`, DONE],
    }],
    delivered: [],
    end: { ...OVERLOADED_ERROR, facts: { responseId: undefined } },
  },
  {
    name: "error that is only a text",
    server: [{ body: [...CHAT_START, 'data: {"error":"Out of memory"}\n\n'] }],
    delivered: CHAT_SEEN_START,
    end: failed("response_failed", true, "response_failed): Out of memory"),
  },
  {
    name: "Groq's event: error",
    server: [{
      body: [
        ...CHAT_START,
        `event: error\ndata: ${
          JSON.stringify({
            error: {
              message: "Tool call validation failed",
              type: "invalid_request_error",
              code: "tool_use_failed",
              failed_generation: "{}",
              status_code: 400,
            },
          })
        }\n\n`,
      ],
    }],
    delivered: CHAT_SEEN_START,
    end: failed(
      "response_failed",
      false,
      "tool_use_failed): Tool call validation failed",
      {
        providerCode: "tool_use_failed",
        providerType: "invalid_request_error",
        details: {
          message: "Tool call validation failed",
          type: "invalid_request_error",
          code: "tool_use_failed",
          failed_generation: "{}",
          status_code: 400,
        },
      },
    ),
  },
  {
    name:
      "OpenRouter's error chunk, after finish_reason, with usage and [DONE]",
    server: [{
      body: [
        ": OPENROUTER PROCESSING\n\n",
        ...CHAT_START,
        choice({ content: "" }, "length"),
        choice({ content: "" }, null, {
          error: { code: 400, message: "Token limit reached" },
          usage: CHAT_USAGE,
        }),
        DONE,
      ],
    }],
    delivered: [...CHAT_SEEN_START, SEEN_USAGE],
    end: failed("response_failed", false, "400): Token limit reached", {
      usage: READ_CHAT_USAGE,
      responseId: "chat_1",
    }),
  },
  {
    name: "OpenRouter's error chunk, with finish_reason: error",
    server: [{
      body: [
        ...CHAT_START,
        choice({ content: "" }, "error", {
          error: { code: 502, message: "Provider disconnected" },
        }),
        DONE,
      ],
    }],
    delivered: CHAT_SEEN_START,
    end: failed("response_failed", true, "502): Provider disconnected"),
  },
  {
    name: "usage in a last chunk with empty choices",
    server: [{ body: [...CHAT_WHOLE, STOP, USAGE_CHUNK, DONE] }],
    delivered: CHAT_SEEN_WITH_USAGE,
    end: CHAT_AT_LAST_WITH_USAGE,
  },
  {
    name: "usage in a last chunk with empty choices, without [DONE]",
    server: [{ body: [...CHAT_WHOLE, STOP, USAGE_CHUNK] }],
    delivered: CHAT_SEEN_WITH_USAGE,
    end: CHAT_AT_LAST_WITH_USAGE,
  },
  {
    name: "usage beside a choice",
    server: [{
      body: [...CHAT_WHOLE, choice({}, "stop", { usage: CHAT_USAGE }), DONE],
    }],
    delivered: CHAT_SEEN_WITH_USAGE,
    end: CHAT_AT_LAST_WITH_USAGE,
  },
  {
    name: "usage on every chunk",
    server: [{
      body: [
        choice({ role: "assistant", content: "" }, null, {
          usage: { prompt_tokens: 5, completion_tokens: 0, total_tokens: 5 },
        }),
        choice({ content: "Hel" }, null, {
          usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 },
        }),
        choice({ content: "lo" }, null, { usage: CHAT_USAGE }),
        choice({}, "stop", { usage: CHAT_USAGE }),
        DONE,
      ],
    }],
    delivered: [
      "created chat_1 gpt-x",
      "usage 5+0=5",
      "added message",
      "text Hel",
      "usage 5+1=6",
      "text lo",
      "usage 5+2=7",
      "done message Hello",
    ],
    end: CHAT_AT_LAST_WITH_USAGE,
  },
  {
    name: "usage never, but null on every chunk",
    server: [{
      body: [
        choice({ role: "assistant", content: "Hel" }, null, { usage: null }),
        choice({ content: "lo" }, null, { usage: null }),
        choice({}, "stop", { usage: null }),
        DONE,
      ],
    }],
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
  },
  {
    name: "usage that was told, and no end",
    server: [{
      body: [
        choice({ role: "assistant", content: "Hel" }, null, {
          usage: CHAT_USAGE,
        }),
      ],
    }],
    delivered: [...CHAT_SEEN_START, SEEN_USAGE],
    end: {
      ...TRUNCATED.chat,
      facts: { usage: READ_CHAT_USAGE, responseId: "chat_1" },
    },
  },
];

const notAStream = (
  message: string,
  facts: Readonly<Record<string, unknown>>,
): ExpectedError => ({
  throws: NotAStreamError,
  code: "not_a_stream",
  retryable: false,
  message:
    `Cannot stream the response as the content type must be text/event-stream: got ${message}`,
  facts,
  unopened: true,
});

const PAGE = "<!doctype html><title>Please sign in</title>";

const JSON_ERROR = JSON.stringify({
  error: { message: "No more today", code: 429 },
});

function breaks(dialect: Dialect): Row[] {
  const { wire, start, seenStart, responseId } = dialect;
  const truncated = TRUNCATED[wire];
  return [
    {
      name: "EOF with nothing that says how it ended (truncated)",
      server: [{ body: start }],
      delivered: seenStart,
      end: { ...truncated, facts: { responseId } },
    },
    {
      name: "EOF in the middle of an event",
      server: [{ body: [...start, 'data: {"type":"response.comp'] }],
      delivered: seenStart,
      end: truncated,
    },
    {
      name: "200 with JSON",
      server: [{ type: "application/json", body: [JSON_ERROR] }],
      delivered: [],
      end: notAStream(
        "application/json, which says: No more today (its start is in 'body')",
        { body: JSON_ERROR, providerMessage: "No more today", status: 200 },
      ),
    },
    {
      name: "200 with HTML",
      server: [{ type: "text/html; charset=utf-8", body: [PAGE] }],
      delivered: [],
      end: notAStream(
        "text/html; charset=utf-8 (its start is in 'body')",
        { body: PAGE, contentType: "text/html; charset=utf-8" },
      ),
    },
    {
      name: "200 with nothing",
      server: [{ body: [] }],
      retries: 0,
      delivered: [],
      end: { ...truncated, facts: { responseId: undefined } },
    },
    {
      name: "200 with nothing, not even a type",
      server: [{ type: "", body: [] }],
      delivered: [],
      end: notAStream("none, and an empty body", { contentType: undefined }),
    },
    {
      name: "200 with comments only",
      server: [{ body: [": hello\n\n", ": hello\n\n"] }],
      retries: 0,
      delivered: [],
      end: truncated,
    },
    {
      name: "reset mid-body",
      server: [afterStart(dialect, "reset")],
      delivered: seenStart,
      end: { ...DISCONNECTED, facts: { responseId } },
    },
    {
      name: "cut off mid-body",
      server: [afterStart(dialect, "cut")],
      delivered: seenStart,
      end: DISCONNECTED,
    },
    {
      name: "reset in the middle of an event",
      server: [{
        body: [...start, 'data: {"type":', { taken: seenStart.length }],
        then: "reset",
      }],
      delivered: seenStart,
      end: DISCONNECTED,
    },
    {
      name: "aborted before it begins",
      server: ["silence"],
      abort: "before",
      delivered: [],
      end: "aborted",
      requests: 0,
    },
    {
      name: "aborted before headers",
      server: ["silence"],
      abort: "headers",
      delivered: [],
      end: "aborted",
    },
    {
      name: "aborted between events",
      server: [{ body: [start.join("")], then: "hold" }],
      abort: { taken: 1 },
      delivered: seenStart.slice(0, 1),
      end: "aborted",
    },
    {
      name: "aborted when all has come, and not all was taken",
      server: [{ body: [dialect.whole.join("")], then: "hold" }],
      abort: { taken: 1 },
      delivered: seenStart.slice(0, 1),
      end: "aborted",
    },
    {
      name: "aborted while an event is waited for",
      server: [{ body: start, then: "hold" }],
      abort: { waiting: seenStart.length },
      delivered: seenStart,
      end: "aborted",
    },
  ];
}

/** The rows in which it is right to ask again. */
function retries(dialect: Dialect): Row[] {
  const { wire, start, seenStart, whole, seenWhole, last } = dialect;
  const busy = (status: string): ServerAnswer => ({
    status,
    type: "application/json",
    body: [JSON_ERROR],
  });
  const nothing: ServerAnswer = { body: [] };
  const answer: ServerAnswer = { body: whole, then: "hold" };
  const good = { delivered: seenWhole, end: last };
  return [
    {
      name: "200 with nothing, then an answer",
      server: [nothing, answer],
      ...good,
      requests: 2,
    },
    {
      name: "reset before the first event, then an answer",
      server: [{ body: [": hello\n\ndata: {"], then: "reset" }, answer],
      ...good,
      requests: 2,
    },
    {
      name: "reset before headers, then an answer",
      server: ["refuse", answer],
      ...good,
      requests: 2,
    },
    {
      name: "503, then an answer",
      server: [busy("503 Service Unavailable"), answer],
      ...good,
      requests: 2,
    },
    {
      name: "503, then 200 with nothing, then an answer: one budget",
      server: [busy("503 Service Unavailable"), nothing, answer],
      ...good,
      requests: 3,
    },
    {
      name: "503, then 200 with nothing, until the budget is used up",
      server: [busy("503 Service Unavailable"), nothing, nothing, answer],
      delivered: [],
      end: TRUNCATED[wire],
      requests: 3,
    },
    {
      name: "200 with nothing, until the budget is used up",
      server: [nothing],
      delivered: [],
      end: TRUNCATED[wire],
      requests: 3,
    },
    {
      name: "429 until the budget is used up",
      server: [busy("429 Too Many Requests")],
      delivered: [],
      end: {
        throws: RetryLimitError,
        code: "retry_limit",
        retryable: true,
        message:
          `exceeded retry limit, last status: 429 Too Many Requests: ${JSON_ERROR}`,
        facts: { status: 429, body: JSON_ERROR, attempts: 3 },
        unopened: true,
      },
      requests: 3,
    },
    {
      name: "reset before headers, until the budget is used up",
      server: ["refuse"],
      delivered: [],
      end: {
        throws: ConnectionFailedError,
        code: "connection_failed",
        retryable: true,
        message:
          /^Cannot stream events from http:\/\/127\.0\.0\.1:\d+\/\S+ as there was no answer: ./,
        facts: { attempts: 3 },
        unopened: true,
      },
      requests: 3,
    },
    {
      name: "404",
      server: [busy("404 Not Found")],
      delivered: [],
      end: {
        throws: UnexpectedStatusError,
        code: "unexpected_status",
        retryable: false,
        message: `unexpected status 404 Not Found: ${JSON_ERROR}`,
        facts: { status: 404, body: JSON_ERROR },
        unopened: true,
      },
    },
    {
      name: "reset mid-body, then an answer, where that may be",
      server: [afterStart(dialect, "reset"), answer],
      options: { retryMidStream: true },
      delivered: [...seenStart, "reset 2", ...seenWhole],
      end: last,
      requests: 2,
    },
    {
      name: "EOF mid-body, then nothing, then an answer, where that may be",
      server: [{ body: start }, nothing, answer],
      options: { retryMidStream: true },
      delivered: [...seenStart, "reset 2", ...seenWhole],
      end: last,
      requests: 3,
    },
    {
      name: "EOF mid-body each time, where asking again may be",
      server: [{ body: start }],
      options: { retryMidStream: true },
      delivered: [
        ...seenStart,
        "reset 2",
        ...seenStart,
        "reset 3",
        ...seenStart,
      ],
      end: TRUNCATED[wire],
      requests: 3,
    },
    {
      name: "completed, then cut off, where asking again may be",
      server: [{ body: [...whole, { taken: seenWhole.length }], then: "cut" }],
      options: { retryMidStream: true },
      ...good,
    },
  ];
}

const PING = ": keep-alive\n\n";

/** The rows in which time matters. */
function waits(dialect: Dialect): Row[] {
  const { start, seenStart, whole, seenWhole, last } = dialect;
  const rest = whole.slice(start.length);
  return [
    {
      name: "idle without comments",
      timed: [{ chunks: [...start], end: "stall" }],
      delivered: seenStart,
      end: idle("byte", 300_000, "event"),
      elapsed: 300_000,
    },
    {
      name: "idle before the first event",
      timed: [{ end: "stall" }],
      retries: 0,
      delivered: [],
      end: idle("byte", 300_000, "nothing"),
      elapsed: 300_000,
    },
    {
      name: "idle before the first event, then an answer",
      timed: [{ end: "stall" }, { chunks: [...whole], end: "stall" }],
      delivered: seenWhole,
      end: last,
      requests: 2,
      elapsed: 300_200,
    },
    {
      name: "idle with comments, which are no events",
      timed: [{
        chunks: [
          ...start,
          ...Array(8).fill([{ wait: 100_000 }, PING]).flat(),
          ...rest,
        ],
      }],
      delivered: seenStart,
      end: idle("event", 300_000, "bytes"),
      elapsed: 300_000,
    },
    {
      name: "comments that count as life",
      timed: [{
        chunks: [
          ...start,
          ...Array(8).fill([{ wait: 100_000 }, PING]).flat(),
          ...rest,
        ],
        end: "stall",
      }],
      options: { eventTimeout: Infinity },
      delivered: seenWhole,
      end: last,
      elapsed: 800_000,
    },
    {
      name: "idle after comments that count as life",
      timed: [{ chunks: [...start, { wait: 100_000 }, PING], end: "stall" }],
      options: { eventTimeout: Infinity },
      delivered: seenStart,
      end: idle("byte", 300_000, "bytes"),
      elapsed: 400_000,
    },
    {
      name: "no headers",
      timed: [{ connect: "stall" }],
      retries: 0,
      delivered: [],
      end: {
        throws: ConnectionFailedError,
        code: "connection_failed",
        retryable: true,
        message: /must come within 300000 ms \('connectTimeout'\): got none$/,
        facts: { attempts: 1 },
        unopened: true,
      },
      elapsed: 300_000,
    },
    {
      name: "aborted during a wait for another request",
      timed: [{ status: 503 }],
      abort: { at: 150 },
      delivered: [],
      end: "aborted",
      elapsed: 150,
    },
    {
      name: "aborted during a wait for another stream",
      timed: [{ chunks: [PING] }],
      abort: { at: 150 },
      delivered: [],
      end: "aborted",
      elapsed: 150,
    },
    {
      name: "aborted during a wait for another stream, mid-stream",
      timed: [{ chunks: [...start], end: "drop" }],
      options: { retryMidStream: true },
      abort: { at: 150 },
      delivered: seenStart,
      end: "aborted",
      elapsed: 150,
    },
    {
      name: "aborted while the headers of another stream are waited for",
      timed: [{ chunks: [PING] }, { connect: "stall" }],
      abort: { at: 1_000 },
      delivered: [],
      end: "aborted",
      requests: 2,
      elapsed: 1_000,
    },
  ];
}

/** A chunk whose choice is edited. */
const oddly = (edit: (choice: Record<string, unknown>) => void) =>
(
  text: string,
): string => {
  const data = JSON.parse(text.slice("data: ".length));
  for (const choice of data.choices) edit(choice);
  return `data: ${JSON.stringify(data)}\n\n`;
};

/** A last event without its blank line. */
const unended = (
  chunks: readonly string[],
): string[] => [...chunks.slice(0, -1), chunks.at(-1)?.trimEnd() ?? ""];

const DETAIL = `data: ${JSON.stringify({ detail: "No such model" })}\n\n`;

/** Odd streams that can be read all the same: rows of the field study. */
const ODD_CHAT: Row[] = [
  {
    name: "choices numbered from 1 (G1)",
    server: [{
      body: [
        ...[...CHAT_WHOLE, STOP].map(oddly((choice) => choice.index = 1)),
        DONE,
      ],
    }],
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
  },
  {
    name: "finish_reason with every chunk (G1)",
    server: [{
      body: [
        ...[...CHAT_WHOLE, STOP].map(
          oddly((choice) => choice.finish_reason = "stop"),
        ),
        DONE,
      ],
    }],
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
  },
  {
    name: "finish_reason with every chunk, then reset (G1)",
    server: [{
      body: [
        ...CHAT_START.map(oddly((choice) => choice.finish_reason = "stop")),
        { taken: CHAT_SEEN_START.length },
      ],
      then: "reset",
    }],
    retries: 0,
    delivered: CHAT_SEEN_START,
    end: DISCONNECTED,
  },
  {
    name: "all of it in a message (G1)",
    server: [{
      body: [
        ...[choice({}, "stop")].map(oddly((choice) => {
          delete choice.delta;
          choice.message = { role: "assistant", content: "Hello" };
        })),
        DONE,
      ],
    }],
    delivered: [
      "created chat_1 gpt-x",
      "added message",
      "text Hello",
      "done message Hello",
    ],
    end: CHAT_AT_LAST,
  },
  {
    name: "usage without its blank line (G4)",
    server: [{ body: unended([...CHAT_WHOLE, STOP, USAGE_CHUNK]) }],
    delivered: CHAT_SEEN_WITH_USAGE,
    end: CHAT_AT_LAST_WITH_USAGE,
  },
  {
    name: "detail mid-stream (G5)",
    server: [{ body: [...CHAT_START, DETAIL] }],
    delivered: CHAT_SEEN_START,
    end: failed("response_failed", true, "response_failed): No such model"),
  },
];

const ODD_RESPONSES: Row[] = [
  {
    name: "output that is only in the last event (G1)",
    server: [{ body: wire(CREATED, COMPLETED) }],
    delivered: [
      "created resp_1 gpt-x",
      SEEN_USAGE,
      "text Hello",
      "done message Hello",
    ],
    end: { ...AT_LAST, sequenceNumber: 1 },
  },
  {
    name: "text for the content of an item (G2)",
    server: [{
      body: wire(
        CREATED,
        {
          ...itemDone("Hello"),
          item: { ...itemDone("Hello").item, content: "Hello" },
        },
        { type: "response.completed", response: response("completed") },
      ),
    }],
    delivered: ["created resp_1 gpt-x", "done message Hello"],
    end: { ...AT_LAST, usage: undefined, sequenceNumber: 2 },
  },
  {
    name: "response.done (G3)",
    server: [{ body: wire(...WHOLE, { ...COMPLETED, type: "response.done" }) }],
    delivered: [...SEEN_WHOLE, SEEN_USAGE],
    end: AT_LAST,
  },
  {
    name: "response.completed without its blank line (G4)",
    server: [{ body: unended(wire(...WHOLE, COMPLETED)) }],
    delivered: [...SEEN_WHOLE, SEEN_USAGE],
    end: AT_LAST,
  },
  {
    name: "detail mid-stream (G5)",
    server: [{ body: [...wire(...START), DETAIL] }],
    delivered: SEEN_START,
    end: failed("response_failed", true, "response_failed): No such model"),
  },
];

/** The client waits for events after a finish_reason, but not for long. */
const DRAINS: Row[] = [
  {
    name: "finish_reason, then silence",
    timed: [{ chunks: [...CHAT_WHOLE, STOP], end: "stall" }],
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
    elapsed: 2_000,
  },
  {
    name: "finish_reason, then comments only",
    timed: [{
      chunks: [
        ...CHAT_WHOLE,
        STOP,
        ...Array(8).fill([{ wait: 500 }, PING]).flat(),
        DONE,
      ],
    }],
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
    elapsed: 2_000,
  },
  {
    name: "finish_reason, and usage in time",
    timed: [{
      chunks: [...CHAT_WHOLE, STOP, { wait: 1_500 }, USAGE_CHUNK, DONE],
      end: "stall",
    }],
    delivered: CHAT_SEEN_WITH_USAGE,
    end: CHAT_AT_LAST_WITH_USAGE,
    elapsed: 1_500,
  },
  {
    name: "finish_reason, and usage in time, then chunk after chunk",
    timed: [{
      chunks: [
        ...CHAT_WHOLE,
        STOP,
        { wait: 1_500 },
        ...Array(8).fill([USAGE_CHUNK, { wait: 300 }]).flat(),
      ],
    }],
    delivered: CHAT_SEEN_WITH_USAGE,
    end: CHAT_AT_LAST_WITH_USAGE,
    elapsed: 2_000,
  },
  {
    name: "finish_reason, and usage too late",
    timed: [{
      chunks: [...CHAT_WHOLE, STOP, { wait: 2_500 }, USAGE_CHUNK, DONE],
    }],
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
    elapsed: 2_000,
  },
  {
    name: "finish_reason, then idle before the drain is over",
    timed: [{ chunks: [...CHAT_WHOLE, STOP], end: "stall" }],
    options: { eventTimeout: 1_000 },
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
    elapsed: 1_000,
  },
  {
    name: "finish_reason, then a break",
    timed: [{ chunks: [...CHAT_WHOLE, STOP, { wait: 500 }], end: "drop" }],
    delivered: CHAT_SEEN_WHOLE,
    end: CHAT_AT_LAST,
    elapsed: 500,
  },
  {
    name: "error object, then silence",
    timed: [{
      chunks: [
        ...CHAT_START,
        `data: ${JSON.stringify({ error: OVERLOADED })}\n\n`,
      ],
      end: "stall",
    }],
    delivered: CHAT_SEEN_START,
    end: OVERLOADED_ERROR,
    elapsed: 2_000,
  },
  {
    name: "aborted after finish_reason, before the end was told",
    timed: [{ chunks: [...CHAT_WHOLE, STOP], end: "stall" }],
    abort: { at: 1_000 },
    delivered: CHAT_SEEN_TEXT,
    end: "aborted",
    elapsed: 1_000,
  },
];

/** Every ending, of both wire APIs. */
export const ENDINGS: readonly Ending[] = DIALECTS.flatMap((dialect) => {
  const { wire } = dialect;
  const own = wire === "chat"
    ? [...CHAT_ENDINGS, ...ODD_CHAT, ...DRAINS]
    : [...RESPONSES_ENDINGS, ...ODD_RESPONSES];
  return [
    ...completions(dialect),
    ...own,
    ...breaks(dialect),
    ...retries(dialect),
    ...waits(dialect),
  ].map((row): Ending => ({ ...row, wire }));
});
