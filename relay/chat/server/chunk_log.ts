import { encodeEvent } from "../../../src/sse/encode.ts";

/**
 * The chunks of a turn so far, as an event stream: for the caller, and for the
 * topic.
 */
export class ChunkLog {
  readonly #encoder = new TextEncoder();
  readonly #events: Uint8Array[] = [];
  readonly #waiting = new Set<() => void>();
  #isClosed = false;

  /** Adds the data of an event. */
  push(data: string): void {
    this.#events.push(this.#encoder.encode(encodeEvent({ data })));
    this.#wake();
  }

  /** Says that nothing more will come. */
  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /**
   * Gives everything, from an event on: what is there at once, in one piece.
   *
   * @param from The number of events to leave out.
   */
  stream(from = 0): ReadableStream<Uint8Array> {
    let next = from;
    let isCancelled = false;
    let wake = (): void => {};
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        while (next === this.#events.length) {
          if (this.#isClosed) return controller.close();
          await new Promise<void>((resolve) => {
            wake = resolve;
            this.#waiting.add(resolve);
          });
          if (isCancelled) return;
        }
        const events = this.#events.slice(next);
        next += events.length;
        controller.enqueue(events.length === 1 ? events[0]! : join(events));
      },
      cancel: () => {
        isCancelled = true;
        this.#waiting.delete(wake);
        wake();
      },
    }, { highWaterMark: 0 });
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
