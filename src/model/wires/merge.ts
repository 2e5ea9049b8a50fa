// This module is browser compatible.

/**
 * Makes one delta of several, before anything has decoded them: whoever reads
 * the events of a response puts the same response together, with fewer events.
 *
 * Two events merge if each only adds text to the same place. All their other
 * fields have to be equal, so that one copy says as much as two, and its numbers have
 * to be the same when they are written again. Fields that could
 * add up as well, such as `reasoning_details`, have to be empty.
 *
 * @module
 */

import { type ChatRest, fillChatDelta, readChatDelta } from "./chat/delta.ts";
import {
  hasExactNumbers,
  isDeeper,
  isFields,
  parseData,
} from "./event_data.ts";
import {
  fillMessagesDelta,
  type MessagesRest,
  readMessagesDelta,
} from "./messages/delta.ts";
import {
  fillResponsesDelta,
  readResponsesDelta,
  type ResponsesRest,
} from "./responses/delta.ts";
import {
  fillUiDelta,
  isUiDelta,
  readUiDelta,
  type UiRest,
} from "./ui/delta.ts";
import type { WireDelta } from "./wire_delta.ts";

/** The deepest nesting of a delta: `JSON.stringify` has no stack for some thousands of levels. */
const MAX_DEPTH = 64;

/**
 * Numbers that may be written in another way than they came; most are a part of a text.
 * A fraction of many digits is read by everybody as the same number.
 */
const ODD_NUMBER = /[0-9]{16}|[0-9][eE]|-0/;

/** The fewest characters of a level: its brackets. */
const LEVEL = "[]".length;

/**
 * Takes an event apart.
 *
 * @param name The event's name.
 * @param data The event's data.
 * @returns `undefined` if it is no delta, or one that has to stay as it is.
 */
export function readDelta(name: string, data: string): WireDelta | undefined {
  // Without parsing it, as most of what is not of a model can be told by this.
  if (!data.includes('"delta"') || name === "error") return undefined;
  const wire = parseData(data);
  if (!isFields(wire) || wire.error != null || wire.object === "error") {
    return undefined;
  }
  // Nearly all are too short to be nested too deeply.
  if (data.length > MAX_DEPTH * LEVEL && isDeeper(wire, MAX_DEPTH)) {
    return undefined;
  }
  if (ODD_NUMBER.test(data) && !hasExactNumbers(wire)) return undefined;
  if ("choices" in wire) return readChatDelta(name, wire);
  if (wire.type === "content_block_delta") return readMessagesDelta(name, wire);
  return isUiDelta(wire)
    ? readUiDelta(name, wire)
    : readResponsesDelta(name, wire);
}

/**
 * Whether a delta can be merged with one that comes right after it.
 *
 * @param a The one.
 * @param b The other.
 * @returns Whether they add to the same place, and are the same in all else.
 */
export function isSameItem(a: WireDelta, b: WireDelta): boolean {
  return a.field === b.field && a.rest === b.rest && a.name === b.name;
}

/**
 * Puts adjacent deltas together.
 *
 * @param deltas One at least, all of the same item.
 * @returns The data of the event that takes their place: the first's, with the
 * text and the log probabilities of all of them, and the last's number.
 * @throws {RangeError} If there is none.
 */
export function mergeDeltas(deltas: readonly WireDelta[]): string {
  const first = deltas[0];
  const last = deltas.at(-1);
  if (!first || !last) throw new RangeError("There is nothing to merge");
  const text = deltas.map((delta) => delta.text).join("");
  const logprobs = first.logprobs &&
    deltas.flatMap((delta) => delta.logprobs ?? []);
  // It was written in one of the functions that `readDelta` calls.
  const event = JSON.parse(first.rest) as
    | ResponsesRest
    | ChatRest
    | MessagesRest
    | UiRest;
  if ("choices" in event) fillChatDelta(event, first, text, logprobs);
  else if (isOfMessages(event)) fillMessagesDelta(event, first, text);
  else if (isOfUi(event)) fillUiDelta(event, text);
  else fillResponsesDelta(event, last, text, logprobs);
  return JSON.stringify(event);
}

function isOfMessages(
  event: ResponsesRest | MessagesRest | UiRest,
): event is MessagesRest {
  return typeof event.delta === "object";
}

function isOfUi(event: ResponsesRest | UiRest): event is UiRest {
  return "type" in event && isUiDelta({ type: event.type });
}
