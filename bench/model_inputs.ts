/**
 * The inputs of the model client's bench: one long answer, in the shape that OpenAI
 * or Anthropic sends it in.
 *
 * The events are as in recordings: their fields, the order of those, ids of the same
 * length, and `obfuscation`, which hides how long a piece of text is. A Responses
 * event has about 260 bytes, a Chat chunk about 320, and a Messages event, which is
 * padded with spaces, about 150.
 */

/** A wire API, as `ModelProvider` has it. */
export type WireApi = "responses" | "chat" | "messages";

/** One answer. */
export interface ModelInput {
  readonly wireApi: WireApi;
  /** The body, as it comes from a socket. */
  readonly chunks: readonly Uint8Array[];
  /** The bytes of the body. */
  readonly size: number;
  /** The events of the body, those that carry no text counted. */
  readonly events: number;
  /** The length of the answer's text, in UTF-16 code units. */
  readonly characters: number;
}

const CHUNK = 16_384;

/**
 * Prose and code, one token after the other. As in the recordings a token has 4.6
 * characters, one in twenty has something that JSON escapes, and one in a hundred
 * is not Latin-1: the chunk of text around it takes twice the memory.
 */
const TOKENS =
  'The| sky| is| blue| because| molecules| of| the| air| scatter| light| of| short| wavelength| more| strongly| than| light| of| long| wavelength|.| This| is| called| **|Ray|leigh| scattering|**|,| and| it| goes| as| the| fourth| power| of| the| frequency|,| so| that| violet| and| blue| reach| us| from| all| around|.\n\n|1|.| Sun|light| enters| the| atmosphere|.\n|2|.| It| meets| molecules| that| are| much| smaller| than| its| wavelength|.\n|3|.| The| short| waves| are| sent| in| all| directions|;| the| long| ones| don|’t| care|.\n\n|```|ts|\n|const| strength| =| wavelength| **| -|4|;\n|console|.log|("|blue|",| strength|);\n|```|\n\n|At| sunset| the| path| is| longer|:| most| of| the| blue| has| been| scattered| out| of| it| by| then|,| and| what| is| left| looks| red|.|\n\n'
    .split("|");

const OBFUSCATION =
  "RvoJ43TaUvnCS8er8neEDaEcJNmeXVSalrhZ6zy9Zf24FhMep0eh5gFh9sxlVzTC1xsa";

/** Letters that fill the token up to 16, or the next multiple. */
function obfuscation(token: string, index: number): string {
  const start = index % (OBFUSCATION.length - 16);
  return OBFUSCATION.slice(start, start + 16 - token.length % 16);
}

/** Puts tokens into events until the body would be larger than `size`. */
function write(
  size: number,
  /** The number of times that the text is repeated, at the end. */
  repeats: number,
  event: (token: string, index: number) => string,
): { events: string[]; text: string } {
  const encoder = new TextEncoder();
  const events: string[] = [];
  const tokens: string[] = [];
  for (let bytes = 0; bytes < size;) {
    const index = events.length;
    const token = TOKENS[index % TOKENS.length] ?? "";
    const written = event(token, index);
    events.push(written);
    tokens.push(token);
    bytes += encoder.encode(written).length +
      repeats * encoder.encode(JSON.stringify(token).slice(1, -1)).length;
  }
  return { events, text: tokens.join("") };
}

function input(
  wireApi: WireApi,
  events: string[],
  text: string,
): ModelInput {
  const bytes = new TextEncoder().encode(events.join(""));
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < bytes.length; i += CHUNK) {
    chunks.push(bytes.slice(i, i + CHUNK));
  }
  return {
    wireApi,
    chunks,
    size: bytes.length,
    events: events.length,
    characters: text.length,
  };
}

/** A Responses stream of about `size` bytes, which says its text five times. */
export function responsesStream(size: number): ModelInput {
  const itemId = "msg_68c42d26866c819da8d5c606621c911608fbf9b1584184ff";
  const place = { item_id: itemId, output_index: 0, content_index: 0 };
  const response = (status: string, rest: Record<string, unknown>) => ({
    id: "resp_68c42d1c5878819d8be2e5a2b9a2a2ea08fbf9b1584184ff",
    object: "response",
    created_at: 1757687068,
    status,
    background: false,
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: null,
    max_tool_calls: null,
    model: "gpt-5-2025-08-07",
    output: [],
    parallel_tool_calls: true,
    previous_response_id: null,
    prompt_cache_key: null,
    reasoning: { effort: "low", summary: null },
    safety_identifier: null,
    service_tier: "default",
    store: true,
    temperature: 1,
    text: { format: { type: "text" }, verbosity: "medium" },
    tool_choice: "auto",
    tools: [],
    top_logprobs: 0,
    top_p: 1,
    truncation: "disabled",
    usage: null,
    user: null,
    metadata: {},
    ...rest,
  });
  const part = (text: string) => ({
    type: "output_text",
    annotations: [],
    logprobs: [],
    text,
  });
  const message = (status: string, content: unknown[]) => ({
    id: itemId,
    type: "message",
    status,
    content,
    role: "assistant",
  });
  let number = 0;
  const event = (type: string, rest: Record<string, unknown>) =>
    `event: ${type}\ndata: ${
      JSON.stringify({ type, sequence_number: number++, ...rest })
    }\n\n`;

  const head = [
    event("response.created", { response: response("in_progress", {}) }),
    event("response.in_progress", { response: response("in_progress", {}) }),
    event("response.output_item.added", {
      output_index: 0,
      item: message("in_progress", []),
    }),
    event("response.content_part.added", { ...place, part: part("") }),
  ];
  const { events, text } = write(
    size,
    4,
    (token, index) =>
      event("response.output_text.delta", {
        ...place,
        delta: token,
        logprobs: [],
        obfuscation: obfuscation(token, index),
      }),
  );
  const whole = message("completed", [part(text)]);
  const tail = [
    event("response.output_text.done", { ...place, text, logprobs: [] }),
    event("response.content_part.done", { ...place, part: part(text) }),
    event("response.output_item.done", { output_index: 0, item: whole }),
    event("response.completed", {
      response: response("completed", {
        output: [whole],
        usage: {
          input_tokens: 13,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: events.length,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: events.length + 13,
        },
      }),
    }),
  ];
  return input("responses", [...head, ...events, ...tail], text);
}

/** A Chat stream of about `size` bytes. */
export function chatStream(size: number): ModelInput {
  let number = 0;
  const chunk = (choices: unknown[], token = "", usage: unknown = null) =>
    `data: ${
      JSON.stringify({
        id: "chatcmpl-C2P1wP1damHwC6sXvGAIh5PMvH6wM",
        object: "chat.completion.chunk",
        created: 1754688908,
        model: "gpt-4o-2024-08-06",
        service_tier: "default",
        system_fingerprint: "fp_ff25b2783a",
        choices,
        usage,
        obfuscation: obfuscation(token, number++),
      })
    }\n\n`;
  const choice = (delta: unknown, finishReason: string | null = null) => [
    { index: 0, delta, logprobs: null, finish_reason: finishReason },
  ];

  const head = [
    chunk(choice({ role: "assistant", content: "", refusal: null })),
  ];
  const { events, text } = write(
    size,
    0,
    (token) => chunk(choice({ content: token }), token),
  );
  const tail = [
    chunk(choice({}, "stop")),
    chunk([], "", {
      prompt_tokens: 14,
      completion_tokens: events.length,
      total_tokens: events.length + 14,
      prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
      completion_tokens_details: {
        reasoning_tokens: 0,
        audio_tokens: 0,
        accepted_prediction_tokens: 0,
        rejected_prediction_tokens: 0,
      },
    }),
    "data: [DONE]\n\n",
  ];
  return input("chat", [...head, ...events, ...tail], text);
}

/** A Messages stream of about `size` bytes. */
export function messagesStream(size: number): ModelInput {
  let number = 0;
  const event = (type: string, rest: Record<string, unknown>) => {
    // As in the recordings, up to 15 spaces hide how long a piece of text is.
    const padding = " ".repeat(number++ * 7 % 16);
    const data = JSON.stringify({ type, ...rest }).replace(/}$/, `${padding}}`);
    return `event: ${type}\ndata: ${data}\n\n`;
  };
  const usage = {
    input_tokens: 13,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
  const head = [
    event("message_start", {
      message: {
        model: "claude-sonnet-5",
        id: "msg_011CdD8kd2BCHcbXAHcYxvaf",
        type: "message",
        role: "assistant",
        content: [],
        stop_reason: null,
        stop_sequence: null,
        stop_details: null,
        usage: { ...usage, output_tokens: 2, service_tier: "standard" },
      },
    }),
    event("content_block_start", {
      index: 0,
      content_block: { type: "text", text: "" },
    }),
    event("ping", {}),
  ];
  const { events, text } = write(
    size,
    0,
    (token) =>
      event("content_block_delta", {
        index: 0,
        delta: { type: "text_delta", text: token },
      }),
  );
  const tail = [
    event("content_block_stop", { index: 0 }),
    event("message_delta", {
      delta: { stop_reason: "end_turn", stop_sequence: null },
      usage: { ...usage, output_tokens: events.length },
    }),
    event("message_stop", {}),
  ];
  return input("messages", [...head, ...events, ...tail], text);
}
