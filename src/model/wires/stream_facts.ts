// This module is browser compatible.
import type { ServerSentEvent } from "../../sse/event.ts";
import type { Usage } from "../usage.ts";
import { type Fields, isFields, parseData } from "./event_data.ts";
import type { WireFormat } from "./format.ts";
import { readDelta } from "./merge.ts";
import { MessageUsage } from "./messages/usage.ts";
import { parseUsage } from "./usage.ts";

/** The facts of a stream that its beginning and its end tell. */
export interface StreamFacts {
  /** The tokens. */
  readonly usage: Usage | undefined;
  /** The id of the response. */
  readonly responseId: string | undefined;
}

/** A longer event has text, and is not parsed for what else is in it. In UTF-16 code units. */
const MAX_DATA = 64 * 1024;

/**
 * Reads what a stream tells of itself, without having read all of its events.
 *
 * @param format The format of the stream.
 * @param events The first event, and the last few.
 * @returns The facts.
 */
export function readStreamFacts(
  format: WireFormat,
  events: readonly ServerSentEvent[],
): StreamFacts {
  const message = new MessageUsage();
  let usage: Usage | undefined;
  let responseId: string | undefined;
  for (const { data } of events) {
    const wire = data.length <= MAX_DATA ? parseData(data) : undefined;
    if (!isFields(wire)) continue;
    const of = fieldsOf(wire);
    responseId ??= typeof of.id === "string" && of.id ? of.id : undefined;
    const told = format === "messages"
      ? message.take(of.usage ?? wire.usage)
      : parseUsage(of.usage);
    usage = told ?? usage;
  }
  return { usage, responseId };
}

/** The object that has the id and the usage: a response, a message, or the chunk itself. */
function fieldsOf(wire: Fields): Fields {
  const { response, message, x_groq: groq } = wire;
  if (isFields(response)) return response;
  if (isFields(message)) return message;
  return wire.usage == null && isFields(groq) ? { ...wire, ...groq } : wire;
}

/**
 * Whether an event has a token: a part of a text, of reasoning, or of a tool call.
 *
 * @param event The event.
 * @returns Whether it has; of a format that is not known, `false`.
 */
export function hasToken({ event, data }: ServerSentEvent): boolean {
  return (readDelta(event, data)?.text ?? "") !== "";
}
