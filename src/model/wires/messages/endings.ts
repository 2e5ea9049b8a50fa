// This module is browser compatible.
import type { ServerSentEvent } from "../../../sse/event.ts";
import type { Ending, EndingReader, SaidEnding } from "../ending.ts";
import {
  errorIn,
  type Fields,
  isFields,
  parseData,
  textOf,
  typeOf,
} from "../event_data.ts";
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

/** The ending of a message, as far as its events have told it. */
export class MessageEnding {
  #ending: SaidEnding | undefined;
  #isOver = false;
  #stopReason = "";

  /** The ending that was told so far; `undefined` if none was. */
  get ending(): SaidEnding | undefined {
    return this.#ending;
  }

  /** Whether `message_stop` has come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Takes an event in.
   *
   * @param name The event's name.
   * @param wire The event's data. A field that is not as it should be counts as
   * left out.
   */
  take(name: string, wire: Fields): void {
    switch (MESSAGE_ROLES.get(typeOf(name, wire))) {
      case "reason": {
        const { delta } = wire;
        // Some send it once more, for the usage, without the reason.
        const reason = isFields(delta) ? textOf(delta.stop_reason) : "";
        this.#stopReason = reason || this.#stopReason;
        return;
      }
      case "end":
        this.#isOver = true;
        this.#ending ??= this.#stopReason === ""
          ? { kind: "completed" }
          : endingOfStop(STOP_REASONS, "stop_reason", this.#stopReason);
        return;
      case "error":
        this.fail(wire.error ?? wire);
    }
  }

  /** Takes an error in: the first counts. */
  fail(details: unknown): void {
    this.#ending ??= { kind: "failed", details };
  }

  /** Returns the ending of a stream whose body is over. */
  close(): Ending {
    const stop = this.#stopReason;
    return this.#ending ?? {
      kind: "truncated",
      missing: stop === ""
        ? "message_stop"
        : `message_stop (stop_reason: ${stop})`,
    };
  }
}

const TELLING = telling(
  `"message_stop"`,
  String.raw`"stop_reason"\s*:\s*"`,
  ERROR_FIELD,
);

/** Reads how a stream of Anthropic's Messages API ends. */
export class MessagesEndingReader implements EndingReader {
  readonly #message = new MessageEnding();

  get ending(): SaidEnding | undefined {
    return this.#message.ending;
  }

  get isOver(): boolean {
    return this.#message.isOver;
  }

  take({ event: name, data }: ServerSentEvent): void {
    if (name === "error") this.#message.fail(errorIn(data));
    else if (name === "message_stop" || TELLING.test(data)) {
      const wire = parseData(data);
      this.#message.take(name, isFields(wire) ? wire : {});
    }
  }

  close(): Ending {
    return this.#message.close();
  }
}
