// This module is browser compatible.
import { z } from "zod";
import type { ServerSentEvent } from "../../../sse/event.ts";
import type { Ending, EndingReader, SaidEnding } from "../ending.ts";
import { errorIn, parseData, typeOf } from "../event_data.ts";
import { endingOfStop, STOP_REASONS } from "../stop_reason.ts";
import { ERROR_FIELD, telling } from "../telling.ts";

/** The role of an event in the ending of a message. */
export type MessageRole =
  /** The event has the `stop_reason`, whose meaning is in {@linkcode STOP_REASONS}. */
  | "reason"
  /** The message ends, as its `stop_reason` says; it is complete without one. */
  | "end"
  /** The message has failed, whatever comes after. */
  | "error";

/**
 * The events that tell how a message ends, by type. Without `message_stop` or
 * `error` it is truncated, as it is to Anthropic's own client. The first of these
 * two counts.
 */
export const MESSAGE_ROLES: ReadonlyMap<string, MessageRole> = new Map([
  ["message_delta", "reason"],
  ["message_stop", "end"],
  ["error", "error"],
]);

/** Fields that are not as they should be count as left out. */
const schema = z.object({
  type: z.string().optional().catch(undefined),
  error: z.unknown().optional(),
  delta: z.object({
    stop_reason: z.string().optional().catch(undefined),
  }).optional().catch(undefined),
}).catch({});

const TELLING = telling(
  `"message_stop"`,
  String.raw`"stop_reason"\s*:\s*"`,
  ERROR_FIELD,
);

/** Reads how a stream of Anthropic's Messages API ends. */
export class MessagesEndingReader implements EndingReader {
  #ending: SaidEnding | undefined;
  #isOver = false;
  #stopReason = "";

  get ending(): SaidEnding | undefined {
    return this.#ending;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  take({ event: name, data }: ServerSentEvent): void {
    if (name === "error") this.#fail(errorIn(data));
    else if (name === "message_stop" || TELLING.test(data)) {
      this.#read(name, data);
    }
  }

  close(): Ending {
    const stop = this.#stopReason;
    return this.#ending ?? {
      kind: "truncated",
      missing: stop === ""
        ? "message_stop"
        : `message_stop (stop_reason: ${stop})`,
    };
  }

  #read(name: string, data: string): void {
    const json = parseData(data);
    const wire = schema.parse(json);
    switch (MESSAGE_ROLES.get(typeOf(name, wire))) {
      case "reason":
        // Some send it once more, for the usage, without the reason.
        this.#stopReason = wire.delta?.stop_reason || this.#stopReason;
        return;
      case "end":
        this.#isOver = true;
        this.#ending ??= this.#stopReason === ""
          ? { kind: "completed" }
          : endingOfStop(STOP_REASONS, "stop_reason", this.#stopReason);
        return;
      case "error":
        this.#fail(wire.error ?? json);
    }
  }

  #fail(details: unknown): void {
    this.#ending ??= { kind: "failed", details };
  }
}
