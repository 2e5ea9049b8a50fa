/**
 * The events that a `FetchEventSource` dispatches, in order.
 *
 * @module
 */
import type { FetchEventSource } from "../../../src/fetch/event_source.ts";
import { LIMIT, within } from "../within.ts";

/** An event that a source has dispatched, and the source's state at the time. */
export type Seen =
  | {
    readonly kind: "open" | "error";
    readonly state: number;
    readonly event: Event;
  }
  | {
    readonly kind: "message";
    readonly state: number;
    readonly event: MessageEvent;
  };

/** The events of a source: `open`, `error`, `message`, and others by name. */
export class SourceLog implements Disposable {
  readonly #source: FetchEventSource;
  #changed = Promise.withResolvers<void>();
  /** All of them. */
  readonly seen: Seen[] = [];

  /**
   * Listens.
   *
   * @param source To whom.
   * @param types To what, besides `open`, `error` and `message`.
   */
  constructor(source: FetchEventSource, types: readonly string[] = []) {
    this.#source = source;
    for (const type of new Set(["open", "error", "message", ...types])) {
      source.addEventListener(type, (event: Event) => {
        const state = source.readyState;
        this.seen.push(
          event instanceof MessageEvent
            ? { kind: "message", state, event }
            : type === "open"
            ? { kind: "open", state, event }
            : { kind: "error", state, event },
        );
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      });
    }
  }

  /** The messages. */
  get messages(): MessageEvent[] {
    return this.seen.flatMap((one) => one.kind === "message" ? one.event : []);
  }

  /** The data of the messages. */
  get data(): string[] {
    return this.messages.map(({ data }) => data);
  }

  /** All of it in short: `open`, `error` and the state, and the data of messages. */
  get story(): string[] {
    const states = ["CONNECTING", "OPEN", "CLOSED"];
    return this.seen.map((one) =>
      one.kind === "message"
        ? `message ${one.event.data}`
        : `${one.kind} ${states[one.state]}`
    );
  }

  /** Waits until so many of a kind have been seen, and gives the last of them. */
  async nth(kind: Seen["kind"], count: number): Promise<Seen> {
    const arrival = async (): Promise<Seen> => {
      for (;;) {
        const found = this.seen.filter((one) => one.kind === kind)[count - 1];
        if (found) return found;
        await this.#changed.promise;
      }
    };
    return await within(
      arrival(),
      LIMIT,
      () => `'${kind}' number ${count} after: ${this.story.join(", ")}`,
    );
  }

  /** Closes the source. */
  [Symbol.dispose](): void {
    this.#source.close();
  }
}
