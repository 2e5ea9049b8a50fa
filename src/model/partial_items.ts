// This module is browser compatible.
import { type DeltaEvent, PartialItem } from "./partial_item.ts";
import type {
  OutputItemAddedEvent,
  OutputItemDoneEvent,
} from "./response_event.ts";

/**
 * The items of a response that have begun and are not whole yet, by their place
 * in the output: ids are no use, as some providers change them on the way.
 */
export class PartialItems {
  readonly #items = new Map<number, PartialItem>();
  /**
   * The places of whole items: late deltas for them are part of them already.
   */
  readonly #closed = new Set<number>();

  /**
   * Takes an event in.
   *
   * @returns Whether anything has changed.
   */
  push(
    event: OutputItemAddedEvent | OutputItemDoneEvent | DeltaEvent,
  ): boolean {
    const { outputIndex } = event;
    switch (event.type) {
      case "output_item.added":
        this.#closed.delete(outputIndex);
        this.#items.set(outputIndex, new PartialItem(event.item));
        return true;
      case "output_item.done":
        this.#items.delete(outputIndex);
        this.#closed.add(outputIndex);
        return true;
      default: {
        if (this.#closed.has(outputIndex)) return false;
        let item = this.#items.get(outputIndex);
        if (!item) this.#items.set(outputIndex, item = PartialItem.for(event));
        item.push(event);
        return true;
      }
    }
  }

  /** Forgets all of them. */
  clear(): void {
    this.#items.clear();
    this.#closed.clear();
  }

  /** The items, in the order of the output. */
  inOrder(): [outputIndex: number, item: PartialItem][] {
    return [...this.#items].sort(([a], [b]) => a - b);
  }
}
