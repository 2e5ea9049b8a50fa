// This module is browser compatible.
import * as z from "zod";
import type { ServerSentEvent } from "../../../sse/event.ts";
import type {
  Ending,
  EndingReader,
  SaidEnding,
  TruncatedEnding,
} from "../ending.ts";
import {
  bareError,
  isDone,
  isFields,
  parseData,
  typeOf,
} from "../event_data.ts";
import { BARE_ERROR, telling } from "../telling.ts";
import { factsOf } from "./event_facts.ts";

/** The types of the events that end a response, besides `error`. */
export type TerminalType =
  | "response.completed"
  | "response.done"
  | "response.incomplete"
  | "response.failed"
  | "response.cancelled";

/** The statuses of a response that has ended. */
export type TerminalStatus =
  | "completed"
  | "incomplete"
  | "failed"
  | "cancelled";

/**
 * The endings of a response, by the type of the event and by the status of the
 * response in it. The status `other` stands for no end, such as `in_progress`, and
 * for no status.
 *
 * The type and the status may differ: gateways call every end
 * `response.completed`, and copies of a response keep the status of its beginning.
 * A response is never better than either of them says. From the best to the worst:
 * completed, incomplete, failed, cancelled.
 *
 * `cancelled` comes last, so that nobody asks again for a response that somebody
 * has stopped on purpose: it counts even where a provider that has no event for it
 * sends `response.failed`.
 *
 * An event of the type `error` means `failed` whatever else it has.
 */
export const RESPONSE_ENDINGS: Readonly<
  Record<
    TerminalType,
    Readonly<Record<TerminalStatus | "other", SaidEnding["kind"]>>
  >
> = {
  "response.completed": {
    completed: "completed",
    incomplete: "incomplete",
    failed: "failed",
    cancelled: "cancelled",
    other: "completed",
  },
  // The last event's name in OpenAI's Realtime API, and of servers that follow it.
  "response.done": {
    completed: "completed",
    incomplete: "incomplete",
    failed: "failed",
    cancelled: "cancelled",
    other: "completed",
  },
  "response.incomplete": {
    completed: "incomplete",
    incomplete: "incomplete",
    failed: "failed",
    cancelled: "cancelled",
    other: "incomplete",
  },
  "response.failed": {
    completed: "failed",
    incomplete: "failed",
    failed: "failed",
    cancelled: "cancelled",
    other: "failed",
  },
  "response.cancelled": {
    completed: "cancelled",
    incomplete: "cancelled",
    failed: "cancelled",
    cancelled: "cancelled",
    other: "cancelled",
  },
};

/** The ending of a stream that was over before any of these events. */
export const RESPONSE_CUT: TruncatedEnding = {
  kind: "truncated",
  missing: "response.completed",
};

const text = z.string().optional().catch(undefined);

/** The type of an event of the API: what has one is no bare error. */
const RESPONSE_EVENT = /^response\./;

/** The fields of an event that tell an ending. */
interface ResponseWire {
  readonly object?: unknown;
  readonly response?: unknown;
  readonly error?: unknown;
}

/** Whatever is not as it should be counts as left out. */
const terminal = z.object({
  status: text,
  error: z.unknown().optional(),
  incomplete_details: z.object({ reason: text }).optional().catch(undefined),
}).catch({});

/**
 * Returns the ending that an event of the Responses API tells.
 *
 * @param type The event's type.
 * @param wire The event's data.
 * @returns The ending; `undefined` if such an event ends nothing.
 */
export function responseEnding(
  type: string,
  wire: ResponseWire,
): SaidEnding | undefined {
  // Nested, as OpenAI sends it, or flat, as OpenAI describes it.
  if (type === "error") return { kind: "failed", details: wire.error ?? wire };
  if (!isTerminal(type)) {
    const error = RESPONSE_EVENT.test(type) ? undefined : bareError(wire);
    return error === undefined ? undefined : { kind: "failed", details: error };
  }
  const { status = "", error, incomplete_details: details } = terminal.parse(
    wire.response,
  );
  const kinds = RESPONSE_ENDINGS[type];
  const kind = kinds[isTerminalStatus(status) ? status : "other"];
  switch (kind) {
    case "failed":
      return { kind, details: error ?? null };
    case "incomplete": {
      const reason = details?.reason || "unknown";
      return { kind, reason, said: `incomplete: ${reason}` };
    }
    default:
      return { kind };
  }
}

/**
 * Returns the event that a whole response stands for: servers that were asked for a
 * stream, and do not know how, send one.
 *
 * @param type The event's type.
 * @param wire The event's data.
 * @returns The event that ends such a response, or the event itself.
 */
export function wholeResponse<T extends ResponseWire>(
  type: string,
  wire: T,
): { readonly type: string; readonly wire: T | { readonly response: T } } {
  if (wire.object !== "response" || type.startsWith("response.")) {
    return { type, wire };
  }
  const { status } = terminal.parse(wire);
  return isTerminalStatus(status ?? "")
    ? { type: `response.${status}`, wire: { response: wire } }
    : { type, wire };
}

/**
 * Returns the ending that an event tells whose data is no object: words of an
 * error. Pings and `[DONE]` tell none; OpenRouter sends the latter after the end,
 * and others perhaps before it.
 *
 * @param name The event's name.
 * @param data The event's data.
 * @param value The data, parsed; `undefined` if it is not JSON.
 * @returns The ending, if there is one.
 */
export function oddResponseEnding(
  name: string,
  data: string,
  value: unknown,
): SaidEnding | undefined {
  if (isSilent(data)) return undefined;
  const error = name === "error" ? value ?? data : bareError(value);
  return error === undefined ? undefined : { kind: "failed", details: error };
}

/**
 * Whether data says nothing: a ping, or `[DONE]`.
 *
 * @param data The event's data.
 * @returns Whether it says nothing.
 */
export function isSilent(data: string): boolean {
  return data.trim() === "" || isDone(data);
}

const TERMINAL: ReadonlySet<string> = new Set(Object.keys(RESPONSE_ENDINGS));

function isTerminal(type: string): type is TerminalType {
  return TERMINAL.has(type);
}

function isTerminalStatus(status: string): status is TerminalStatus {
  // A row has all of them, and `other`, which is none.
  return status !== "other" &&
    Object.hasOwn(RESPONSE_ENDINGS["response.completed"], status);
}

/** The events that have the response while it has not ended. */
const BEGINNINGS: ReadonlySet<string> = new Set([
  "response.created",
  "response.queued",
  "response.in_progress",
]);

/** The facts of a response that asking for it again needs. */
const response = z.object({
  id: text,
  background: z.boolean().optional().catch(undefined),
}).catch({});

/** A type of the table, a field `response`, or an error. */
const TELLING = telling(
  BARE_ERROR,
  `"(?:${
    ["response", ...Object.keys(RESPONSE_ENDINGS), "error"].join("|")
      .replaceAll(".", String.raw`\.`)
  })"`,
);

/** A number at any depth; it is parsed to see whether it is the event's own. */
const NUMBERED = /"sequence_number"\s*:\s*-?\d/;

/** Reads how a response of the Responses API ends: one event says it, and `[DONE]` may follow. */
export class ResponsesEndingReader implements EndingReader {
  #ending: SaidEnding | undefined;
  #isOver = false;
  #responseId: string | undefined;
  #background: boolean | undefined;
  #usage: unknown;
  /** The data of the last event that has a number. */
  #numbered: string | undefined;

  get ending(): SaidEnding | undefined {
    return this.#ending;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get responseId(): string | undefined {
    return this.#responseId;
  }

  get usage(): unknown {
    return this.#usage;
  }

  get background(): boolean {
    return this.#background ?? false;
  }

  get sequenceNumber(): number | undefined {
    return this.#numbered === undefined
      ? undefined
      : factsOf(this.#numbered).sequenceNumber;
  }

  take({ event: name, data }: ServerSentEvent): void {
    if (this.#ending !== undefined) {
      // The first word stands: OpenAI sends `error`, and then `response.failed`,
      // which knows no more. Before the end, `[DONE]` says nothing.
      if (isDone(data)) this.#isOver = true;
      return;
    }
    if (NUMBERED.test(data)) this.#numbered = data;
    if (name === "error" || isTerminal(name) || TELLING.test(data)) {
      this.#read(name, data);
    }
  }

  close(): Ending {
    return this.#ending ?? RESPONSE_CUT;
  }

  #read(name: string, data: string): void {
    const wire = parseData(data);
    if (!isFields(wire)) {
      this.#ending = oddResponseEnding(name, data, wire);
      return;
    }
    // The name of the field may be escaped.
    if ("sequence_number" in wire && typeof wire.sequence_number === "number") {
      this.#numbered = data;
    }
    const { type, wire: event } = wholeResponse(typeOf(name, wire), wire);
    this.#ending = responseEnding(type, event);
    if (this.#ending === undefined && !BEGINNINGS.has(type)) return;
    if (!("response" in event)) return;
    if (isFields(event.response)) this.#usage = event.response.usage;
    const { id, background } = response.parse(event.response);
    this.#responseId = id || this.#responseId;
    // The first word counts: the bytes that are held back depend on it.
    this.#background ??= background;
  }
}
