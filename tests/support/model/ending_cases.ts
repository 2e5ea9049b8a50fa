/**
 * Every way to end that the tables of the formats know, as a stream, and every way
 * to cut such a stream. The endings expected are read from the tables.
 *
 * @module
 */
import {
  CHAT_CUT,
  FINISH_REASONS,
} from "../../../src/model/wires/chat/endings.ts";
import type { Ending } from "../../../src/model/wires/ending.ts";
import type { WireFormat } from "../../../src/model/wires/format.ts";
import { MESSAGE_ROLES } from "../../../src/model/wires/messages/endings.ts";
import { PLAIN_ENDINGS } from "../../../src/model/wires/plain/endings.ts";
import {
  RESPONSE_CUT,
  RESPONSE_ENDINGS,
  type TerminalStatus,
} from "../../../src/model/wires/responses/endings.ts";
import { UI_CUT, UI_ROLES } from "../../../src/model/wires/ui/endings.ts";
import {
  STOP_REASONS,
  type StopReasons,
} from "../../../src/model/wires/stop_reason.ts";

/** A stream with an event that ends it. */
export interface EndingCase {
  readonly format: WireFormat;
  readonly name: string;
  /** The stream, as far as the last event. */
  readonly start: string;
  /** The last event. */
  readonly terminal: string;
  /** The ending that the last event tells. */
  readonly ending: Ending;
  /** Whether nothing counts after the last event, although it tells no ending. */
  readonly closes?: boolean;
  /** The ending of a stream without the last event, by how its body is over. */
  readonly before: { readonly clean: Ending; readonly broken: Ending };
}

/** A way to cut a stream. */
export interface Cut {
  readonly name: string;
  /**
   * The end of the body; it is held open only for readers that end by
   * themselves.
   */
  readonly how: "clean" | "broken" | "held";
  /** Whether the last event arrives. */
  readonly isWhole: boolean;
  /** Returns as much of the stream as arrives. */
  text(stream: EndingCase): string;
}

const whole = ({ start, terminal }: EndingCase): string => start + terminal;
const without = ({ start }: EndingCase): string => start;
const half = ({ start, terminal }: EndingCase): string =>
  start + terminal.slice(0, terminal.length / 2);
/** All but the empty line that would make it an event. */
const unended = ({ start, terminal }: EndingCase): string =>
  start + terminal.slice(0, -1);

/** All ways to cut a stream. */
export const CUTS: readonly Cut[] = [
  { name: "whole", how: "clean", isWhole: true, text: whole },
  { name: "whole, then broken", how: "broken", isWhole: true, text: whole },
  { name: "whole, held open", how: "held", isWhole: true, text: whole },
  ...(["clean", "broken"] as const).flatMap((how) => [
    { name: `${how} before it`, how, isWhole: false, text: without },
    { name: `${how} inside it`, how, isWhole: false, text: half },
    { name: `${how} at its last line end`, how, isWhole: false, text: unended },
  ]),
];

/** Returns the ending of a stream that is cut, and how its end is seen. */
export function endingOf(
  stream: EndingCase,
  { how, isWhole }: Cut,
): { readonly ending: Ending; readonly how: Cut["how"] } {
  if (isWhole) {
    return { ending: stream.ending, how: stream.closes ? "clean" : how };
  }
  return { ending: stream.before[how === "broken" ? "broken" : "clean"], how };
}

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const named = (name: string, value: unknown): string =>
  `event: ${name}\n${data(value)}`;
const DONE = "data: [DONE]\n\n";
const COMPLETED: Ending = { kind: "completed" };
const BUSY = { code: "server_is_overloaded", message: "Busy" };
const FAILED: Ending = { kind: "failed", details: BUSY };

const always = (ending: Ending): EndingCase["before"] => ({
  clean: ending,
  broken: ending,
});

/* Responses */

/** The statuses that a response may have in an event that ends it; some are no end. */
const STATUSES: readonly (readonly [
  status: unknown,
  column: TerminalStatus | "other",
])[] = [
  ["completed", "completed"],
  ["incomplete", "incomplete"],
  ["failed", "failed"],
  ["cancelled", "cancelled"],
  ["in_progress", "other"],
  ["queued", "other"],
  ["other", "other"],
  ["", "other"],
  [null, "other"],
  [undefined, "other"],
];

function responseOf(status: unknown): Record<string, unknown> {
  return {
    id: "resp_1",
    status,
    error: BUSY,
    incomplete_details: { reason: "content_filter" },
  };
}

const RESPONSE_KINDS: Readonly<
  Record<Exclude<Ending["kind"], "truncated">, Ending>
> = {
  completed: COMPLETED,
  incomplete: {
    kind: "incomplete",
    reason: "content_filter",
    said: "incomplete: content_filter",
  },
  cancelled: { kind: "cancelled" },
  failed: FAILED,
};

/** The ways in which a stream tells the type of an event. */
const FRAMINGS: readonly (readonly [
  name: string,
  write: (type: string, fields: Record<string, unknown>) => string,
])[] = [
  ["name and type", (type, fields) => named(type, { type, ...fields })],
  ["type only", (type, fields) => data({ type, ...fields })],
  ["name only", named],
];

function* responses(): Generator<EndingCase> {
  const format = "responses";
  const before = always(RESPONSE_CUT);
  for (const [framing, write] of FRAMINGS) {
    const start = write("response.created", {
      sequence_number: 0,
      response: { id: "resp_1", status: "in_progress" },
    });
    for (const [type, row] of Object.entries(RESPONSE_ENDINGS)) {
      for (const [status, column] of STATUSES) {
        yield {
          format,
          name: `${type} of a response that is ${status} (${framing})`,
          start,
          terminal: write(type, {
            sequence_number: 1,
            response: responseOf(status),
          }),
          ending: RESPONSE_KINDS[row[column]],
          before,
        };
      }
      yield {
        format,
        name: `${type} without a response (${framing})`,
        start,
        terminal: write(type, { sequence_number: 1 }),
        ending: bare(row.other),
        before,
      };
    }
    yield {
      format,
      name: `error with the error inside (${framing})`,
      start,
      terminal: write("error", { sequence_number: 1, error: BUSY }),
      ending: FAILED,
      before,
    };
  }
  const start = data({ type: "response.created", response: responseOf("") });
  for (const type of Object.keys(RESPONSE_ENDINGS)) {
    yield {
      format,
      name: `${type} after an error`,
      start: start + data({ type: "error", error: BUSY }),
      terminal: data({ type, response: { status: "completed" } }),
      ending: FAILED,
      before: always(FAILED),
    };
  }
  const flat = { type: "error", ...BUSY };
  yield {
    format,
    name: "error that is the event",
    start,
    terminal: data(flat),
    ending: { kind: "failed", details: flat },
    before,
  };
  yield {
    format,
    name: "event: error with words",
    start,
    terminal: "event: error\ndata: Busy\n\n",
    ending: { kind: "failed", details: "Busy" },
    before,
  };
  yield {
    format,
    name: "[DONE], which says nothing",
    start,
    terminal: DONE,
    ending: RESPONSE_CUT,
    before,
  };
}

/** The ending where the response does not say more. */
function bare(kind: keyof typeof RESPONSE_KINDS): Ending {
  switch (kind) {
    case "incomplete":
      return { kind, reason: "unknown", said: "incomplete: unknown" };
    case "failed":
      return { kind, details: null };
    default:
      return { kind };
  }
}

/* Chat and Messages */

/** The ending of each reason of a table, also in upper case, and of one that is not in it. */
function* stops(
  reasons: StopReasons,
  field: string,
): Generator<[reason: string, ending: Ending]> {
  for (const [name, meaning] of reasons) {
    for (const reason of [name, name.toUpperCase()]) {
      if (meaning === "completed") yield [reason, COMPLETED];
      else if (meaning === "failed") {
        yield [reason, { kind: "failed", details: { code: reason } }];
      } else {
        const said = `${field}: ${reason}`;
        yield [reason, {
          kind: "incomplete",
          reason: meaning.incomplete,
          said,
        }];
      }
    }
  }
  const said = `${field}: Odd`;
  yield ["Odd", { kind: "incomplete", reason: "Odd", said }];
}

const chunk = (fields: Record<string, unknown>): Record<string, unknown> => ({
  id: "chat_1",
  model: "m",
  choices: [],
  ...fields,
});

const choice = (fields: Record<string, unknown>): Record<string, unknown> =>
  chunk({
    choices: [{ index: 0, delta: {}, finish_reason: null, ...fields }],
  });

function* chats(): Generator<EndingCase> {
  const format = "chat";
  const start = data(choice({ delta: { content: "Hi" } }));
  const before = always(CHAT_CUT);
  for (const [reason, ending] of stops(FINISH_REASONS, "finish_reason")) {
    const terminal = data(choice({ finish_reason: reason }));
    const name = `finish_reason ${reason}`;
    yield { format, name, start, terminal, ending, before };
    yield {
      format,
      name: `[DONE] after finish_reason ${reason}`,
      start: start + terminal,
      terminal: DONE,
      ending,
      before: always(ending),
    };
    yield {
      format,
      name: `an error after finish_reason ${reason}`,
      start: start + terminal,
      terminal: data({ error: BUSY }),
      ending: FAILED,
      before: always(ending),
    };
  }
  yield {
    format,
    name: "[DONE] without a finish_reason",
    start,
    terminal: DONE,
    ending: COMPLETED,
    before,
  };
  yield {
    format,
    name: "[DONE] without a choice",
    start: data(chunk({})),
    terminal: DONE,
    ending: CHAT_CUT,
    closes: true,
    before,
  };
  const errors: [name: string, terminal: string, details: unknown][] = [
    ["event: error", named("error", { error: BUSY }), BUSY],
    ["event: error that is the error", named("error", BUSY), BUSY],
    ["event: error with words", "event: error\ndata: Busy\n\n", "Busy"],
    ["error", data({ error: BUSY }), BUSY],
    [
      "error of a chunk with a choice",
      data({
        ...choice({ finish_reason: "stop" }),
        error: BUSY,
      }),
      BUSY,
    ],
    ["error of a choice", data(choice({ error: BUSY })), BUSY],
    ["error of x_groq", data(chunk({ x_groq: { error: BUSY } })), BUSY],
    ["object error", data({ object: "error", ...BUSY }), {
      object: "error",
      ...BUSY,
    }],
  ];
  for (const [name, terminal, details] of errors) {
    const ending: Ending = { kind: "failed", details };
    yield { format, name, start, terminal, ending, before };
    yield {
      format,
      name: `${name}, after another`,
      start: start + data({ error: "first" }),
      terminal,
      ending: { kind: "failed", details: "first" },
      before: always({ kind: "failed", details: "first" }),
    };
  }
}

function* messages(): Generator<EndingCase> {
  const format = "messages";
  const typed = (type: string, fields: Record<string, unknown> = {}): string =>
    named(type, { type, ...fields });
  const start = typed("message_start", { message: { id: "msg_1" } }) +
    typed("content_block_delta", { delta: { type: "text_delta", text: "Hi" } });
  const cut = (missing: string) => always({ kind: "truncated", missing });
  for (const [type, role] of MESSAGE_ROLES) {
    switch (role) {
      case "reason":
        for (const [reason] of stops(STOP_REASONS, "stop_reason")) {
          yield {
            format,
            name: `${type} with ${reason}, which is no end`,
            start,
            terminal: typed(type, { delta: { stop_reason: reason } }),
            ending: {
              kind: "truncated",
              missing: `message_stop (stop_reason: ${reason})`,
            },
            before: cut("message_stop"),
          };
        }
        break;
      case "end":
        yield {
          format,
          name: `${type} without a reason`,
          start,
          terminal: typed(type),
          ending: COMPLETED,
          before: cut("message_stop"),
        };
        for (const [reason, ending] of stops(STOP_REASONS, "stop_reason")) {
          yield {
            format,
            name: `${type} after ${reason}`,
            start: start +
              typed("message_delta", { delta: { stop_reason: reason } }),
            terminal: typed(type),
            ending,
            before: cut(`message_stop (stop_reason: ${reason})`),
          };
        }
        break;
      case "error":
        yield {
          format,
          name: type,
          start,
          terminal: typed(type, { error: BUSY }),
          ending: FAILED,
          before: cut("message_stop"),
        };
    }
  }
  yield {
    format,
    name: "message_stop after an error",
    start: start + typed("error", { error: BUSY }),
    terminal: typed("message_stop"),
    ending: FAILED,
    before: always(FAILED),
  };
}

/* UI messages */

function* uis(): Generator<EndingCase> {
  const format = "ui";
  const start = data({ type: "start", messageId: "m" }) +
    data({ type: "text-delta", id: "1", delta: 'it said "finish"' });
  const before = always(UI_CUT);
  const failed: Ending = { kind: "failed", details: { message: "Busy" } };
  const busy = { type: "error", errorText: "Busy" };
  for (const [type, role] of UI_ROLES) {
    switch (role) {
      case "finish": {
        const finish = (finishReason?: string): string =>
          data({ type, finishReason });
        const reasons: [reason: string | undefined, ending: Ending][] = [
          [undefined, COMPLETED],
          ["stop", COMPLETED],
          ["tool-calls", COMPLETED],
          ["length", {
            kind: "incomplete",
            reason: "max_output_tokens",
            said: "finishReason: length",
          }],
          ["content-filter", {
            kind: "incomplete",
            reason: "content_filter",
            said: "finishReason: content_filter",
          }],
          ["interrupted", {
            kind: "incomplete",
            reason: "interrupted",
            said: "finishReason: interrupted",
          }],
          ["error", { kind: "failed", details: null }],
        ];
        for (const [reason, ending] of reasons) {
          const terminal = finish(reason);
          const name = `finish ${reason}`;
          yield { format, name, start, terminal, ending, before };
          yield {
            format,
            name: `[DONE] after ${name}`,
            start: start + terminal,
            terminal: DONE,
            ending,
            before: always(ending),
          };
        }
        yield {
          format,
          name: "an error after a finish",
          start: start + finish("stop"),
          terminal: data(busy),
          ending: failed,
          before: always(COMPLETED),
        };
        yield {
          format,
          name: "a finish after an error",
          start: start + data(busy),
          terminal: finish("stop"),
          ending: failed,
          before: always(failed),
        };
        break;
      }
      case "abort":
        yield {
          format,
          name: "abort",
          start,
          terminal: data({ type, reason: "stopped" }),
          ending: { kind: "cancelled" },
          before,
        };
        break;
      case "error":
        yield {
          format,
          name: type,
          start,
          terminal: data(busy),
          ending: failed,
          before,
        };
        yield {
          format,
          name: "an error after another",
          start: start + data(busy),
          terminal: data({ type, errorText: "second" }),
          ending: failed,
          before: always(failed),
        };
    }
  }
  yield {
    format,
    name: "[DONE] alone",
    start,
    terminal: DONE,
    ending: COMPLETED,
    before,
  };
}

/* Any other */

function* plains(): Generator<EndingCase> {
  const format = "plain";
  const start = data({ candidates: [] });
  const { done, clean, broken } = PLAIN_ENDINGS;
  const before = { clean, broken };
  yield { format, name: "[DONE]", start, terminal: DONE, ending: done, before };
  const typed = { type: "error", ...BUSY };
  const object = { object: "error", ...BUSY };
  const errors: [name: string, terminal: string, details: unknown][] = [
    ["event: error", named("error", { error: BUSY }), BUSY],
    ["event: error with words", "event: error\ndata: Busy\n\n", "Busy"],
    ["error", data({ error: BUSY }), BUSY],
    ["type error", data({ ...typed, error: undefined }), typed],
    ["object error", data(object), object],
  ];
  for (const [name, terminal, details] of errors) {
    const ending: Ending = { kind: "failed", details };
    yield { format, name, start, terminal, ending, before };
  }
  yield {
    format,
    name: "[DONE] after an error",
    start: start + data({ error: BUSY }),
    terminal: DONE,
    ending: FAILED,
    before: always(FAILED),
  };
  yield {
    format,
    name: "an error after another",
    start: start + data({ error: BUSY }),
    terminal: data({ error: "second" }),
    ending: FAILED,
    before: always(FAILED),
  };
}

/** All of them. */
export const ENDING_CASES: readonly EndingCase[] = [
  ...responses(),
  ...chats(),
  ...messages(),
  ...uis(),
  ...plains(),
];
