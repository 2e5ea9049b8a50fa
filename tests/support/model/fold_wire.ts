/**
 * The items that a reader makes of a model's wire events.
 *
 * @module
 */
import { ChatDecoder } from "../../../src/model/wires/chat/decoder.ts";
import type { ResponseDecoder } from "../../../src/model/wires/decoder.ts";
import { MessagesDecoder } from "../../../src/model/wires/messages/decoder.ts";
import type { ResponseEvent } from "../../../src/model/response_event.ts";
import { ResponsesDecoder } from "../../../src/model/wires/responses/decoder.ts";
import { SnapshotBuilder } from "../../../src/model/snapshot.ts";

/** An event as it comes: its name, and its data. */
export type Wire = readonly [name: string, data: string];

/**
 * Folds events, as each API would read them: the response before and after its
 * end, the verdict, the usage, and the deltas, those of one place put together.
 */
export function foldWire(events: readonly Wire[]): unknown {
  return [
    fold(new ResponsesDecoder({ deltas: true }), events),
    fold(new ChatDecoder({ deltas: true }), events),
    fold(new MessagesDecoder({ deltas: true }), events),
  ];
}

function fold(decoder: ResponseDecoder, events: readonly Wire[]) {
  const out: ResponseEvent[] = [];
  for (const [name, data] of events) decoder.push(name, data, out);
  const { usage, responseId, sequenceNumber, state } = decoder;
  const builder = new SnapshotBuilder();
  for (const event of out) builder.push(event);
  const soFar = builder.snapshot;
  const verdict = decoder.end(out);
  if ("last" in verdict) builder.push(verdict.last);
  return {
    deltas: joined(out),
    soFar,
    snapshot: builder.snapshot,
    verdict: "error" in verdict
      ? `${verdict.error.name} ${verdict.error.message}`
      : verdict.last,
    usage,
    responseId,
    sequenceNumber,
    state,
  };
}

function joined(events: readonly ResponseEvent[]): unknown[] {
  const all: Record<string, unknown>[] = [];
  for (const event of events) {
    if (event.type === "other") continue;
    if (!("delta" in event)) {
      all.push({ ...event });
      continue;
    }
    const { delta, sequenceNumber: _, ...rest } = { logprobs: [], ...event };
    const last = all.at(-1);
    const { delta: before, logprobs: tokens, ...place } = last ?? {};
    const { logprobs, ...same } = rest;
    if (last && JSON.stringify(place) === JSON.stringify(same)) {
      // both are of deltas, as their types are the same
      last["delta"] = `${before}${delta}`;
      last["logprobs"] = [...tokens as unknown[], ...logprobs];
    } else if (delta !== "") all.push({ ...same, delta, logprobs });
  }
  return all;
}
