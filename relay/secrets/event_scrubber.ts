import { MIN_LENGTH_IN_EVENTS } from "../../src/fetch/secrets/definition.ts";
import { SecretReplacer } from "../../src/fetch/secrets/secret_replacer.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { cleaned } from "./long_text.ts";

/**
 * Takes the secrets of a request out of the events of its response, for those who
 * follow it: providers quote the key that they refuse, and the followers have
 * another key, or none.
 *
 * Only secrets of the request are looked for. A model may speak of the shapes of
 * keys, and that is what its followers are to read.
 */
export class EventScrubber {
  readonly #secrets: SecretReplacer;

  /** Learns the secrets, but for those that an answer may contain by chance. */
  constructor(secrets: readonly string[]) {
    this.#secrets = new SecretReplacer(
      secrets.filter(({ length }) => length >= MIN_LENGTH_IN_EVENTS),
    );
  }

  /** Returns the events without the secrets: nearly always the same array. */
  scrub(events: ServerSentEvent[]): ServerSentEvent[] {
    return events.some((event) => this.#clean(event) !== event)
      ? events.map((event) => this.#clean(event))
      : events;
  }

  /** Returns events without the secrets, in steps: for long ones. */
  *scrubLong(
    events: readonly ServerSentEvent[],
  ): Generator<void, ServerSentEvent[]> {
    const scrubbed: ServerSentEvent[] = [];
    for (const given of events) {
      const data = yield* cleaned(this.#secrets, given.data);
      scrubbed.push(this.#clean(given, data));
    }
    return scrubbed;
  }

  #clean(
    given: ServerSentEvent,
    data = this.#secrets.text(given.data),
  ): ServerSentEvent {
    const event = this.#secrets.text(given.event);
    const id = this.#secrets.text(given.id);
    return event === given.event && data === given.data && id === given.id
      ? given
      : { event, data, id };
  }
}
