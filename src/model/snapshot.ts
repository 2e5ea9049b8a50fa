// This module is browser compatible.
import type { ResponseItem } from "./item.ts";
import { PartialItems } from "./partial_items.ts";
import type {
  CompletedEvent,
  IncompleteEvent,
  OutputItemDoneEvent,
  ResponseEvent,
} from "./response_event.ts";
import type { Usage } from "./usage.ts";

/**
 * The facts of a response so far, whether or not it has ended.
 *
 * @example Show what has come of a response that may still go on
 * ```ts
 * import type { SnapshotFacts } from "@rivulet/rivulet/model";
 *
 * const line = ({ outputText, usage }: SnapshotFacts): string =>
 *   `${outputText} (${usage?.totalTokens ?? "?"} tokens)`;
 * ```
 */
export interface SnapshotFacts {
  /** The id of the response; `""` as long as it is unknown, or if it has none. */
  readonly responseId: string;
  /** The model that answers, where the provider says so. */
  readonly model?: string;
  /**
   * The items, in the order of the output: those that are whole as they came,
   * and the others as far as they came; once the response has ended, those of
   * them that have text, with the status `"incomplete"`.
   */
  readonly output: readonly ResponseItem[];
  /** All text of the assistant's messages, without refusals and reasoning. */
  readonly outputText: string;
  /** The tokens used so far, if the provider reports them. */
  readonly usage?: Usage;
}

/**
 * A response that goes on, or has broken off: a call in its `output` may be cut
 * off, and is not to be run.
 *
 * @example Show that there is more to come
 * ```ts
 * import type { InProgressSnapshot } from "@rivulet/rivulet/model";
 *
 * const show = ({ outputText }: InProgressSnapshot): string => `${outputText}…`;
 * ```
 */
export interface InProgressSnapshot extends SnapshotFacts {
  /** The state of the response. */
  readonly status: "in_progress";
}

/**
 * A response that is whole, and so is every call in its `output`.
 *
 * @example Go on with the conversation
 * ```ts
 * import type { CompletedSnapshot, InputItem } from "@rivulet/rivulet/model";
 *
 * const next = (input: InputItem[], { output }: CompletedSnapshot): InputItem[] =>
 *   [...input, ...output];
 * ```
 */
export interface CompletedSnapshot extends SnapshotFacts {
  /** The state of the response. */
  readonly status: "completed";
  /** Whether the model is done with its turn, where the provider says so. */
  readonly endTurn?: boolean;
}

/**
 * A response that the provider has ended early; every call in its `output` is
 * whole.
 *
 * @example Say why
 * ```ts
 * import type { IncompleteSnapshot } from "@rivulet/rivulet/model";
 *
 * const why = ({ reason, unfinished }: IncompleteSnapshot): string =>
 *   `${reason}: ${unfinished.length} calls were cut off`;
 * ```
 */
export interface IncompleteSnapshot extends SnapshotFacts {
  /** The state of the response. */
  readonly status: "incomplete";
  /** The reason, as the last event has it. */
  readonly reason: string;
  /** The calls that were cut off, as far as they came: not to be run. */
  readonly unfinished: readonly ResponseItem[];
}

/**
 * A response so far; `status` tells how far that is.
 *
 * @example Tell how it stands
 * ```ts
 * import type { ResponseSnapshot } from "@rivulet/rivulet/model";
 *
 * const standing = (snapshot: ResponseSnapshot): string =>
 *   snapshot.status === "incomplete" ? snapshot.reason : snapshot.status;
 * ```
 */
export type ResponseSnapshot =
  | InProgressSnapshot
  | CompletedSnapshot
  | IncompleteSnapshot;

/**
 * Puts a response together from its events, one by one.
 *
 * The cost of an event does not depend on the number of events before it. The
 * cost of a snapshot depends only on the number of items and parts: text is not
 * copied, and unchanged items are the same objects as in the snapshot before.
 * No value of an event is changed.
 *
 * @example Redraw as the text comes
 * ```ts
 * import { SnapshotBuilder } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const builder = new SnapshotBuilder();
 * const seen: string[] = [];
 * for (const delta of ["Hel", "lo"]) {
 *   builder.push({ type: "output_text.delta", outputIndex: 0, contentIndex: 0, delta });
 *   seen.push(builder.snapshot.outputText);
 * }
 * assertEquals(seen, ["Hel", "Hello"]);
 * ```
 */
export class SnapshotBuilder {
  readonly #open = new PartialItems();
  #done: { readonly outputIndex: number; readonly item: ResponseItem }[] = [];
  /** The index in `#done` of the last item of each place. */
  readonly #lastDone = new Map<number, number>();
  #responseId = "";
  #model: string | undefined;
  #usage: Usage | undefined;
  #last: CompletedEvent | IncompleteEvent | undefined;
  #snapshot: ResponseSnapshot | undefined;

  /**
   * Takes an event in.
   *
   * @param event The next event of the response.
   */
  push(event: ResponseEvent): void {
    switch (event.type) {
      case "output_item.done":
        this.#addDone(event);
        this.#open.push(event);
        break;
      case "output_item.added":
      case "output_text.delta":
      case "refusal.delta":
      case "reasoning_summary.delta":
      case "reasoning.delta":
      case "tool_call.delta":
        if (!this.#open.push(event)) return;
        break;
      case "created":
        this.#responseId = event.responseId;
        this.#model = event.model;
        break;
      case "usage":
        this.#usage = event.usage;
        break;
      case "reset":
        this.#open.clear();
        this.#done = [];
        this.#lastDone.clear();
        this.#responseId = "";
        this.#model = this.#usage = this.#last = undefined;
        break;
      case "completed":
      case "incomplete":
        this.#last = event;
        this.#responseId = event.responseId || this.#responseId;
        this.#usage = event.usage ?? this.#usage;
        break;
      case "rate_limits":
      case "other":
        return;
    }
    this.#snapshot = undefined;
  }

  #addDone({ outputIndex, item }: OutputItemDoneEvent): void {
    const last = this.#lastDone.get(outputIndex);
    const known = last === undefined ? undefined : this.#done[last];
    if (last !== undefined && known?.item.type === item.type) {
      // Told once more, as the end of the response has more of it.
      this.#done[last] = { outputIndex, item };
      return;
    }
    this.#lastDone.set(outputIndex, this.#done.length);
    this.#done.push({ outputIndex, item });
  }

  /** The response as far as it came; the same object until it has changed. */
  get snapshot(): ResponseSnapshot {
    return this.#snapshot ??= this.#build();
  }

  #build(): ResponseSnapshot {
    const entries = [...this.#done];
    const unfinished: ResponseItem[] = [];
    for (const [outputIndex, partial] of this.#open.inOrder()) {
      // At the end, output has what aggregate() gives: no call that was cut off,
      // and nothing else that has come to nothing.
      if (!this.#last) entries.push({ outputIndex, item: partial.item });
      else if (partial.isCall) unfinished.push(partial.cutOff);
      else if (partial.hasText) {
        entries.push({ outputIndex, item: partial.cutOff });
      }
    }
    const output = entries.sort((a, b) => a.outputIndex - b.outputIndex)
      .map(({ item }) => item);
    const facts: SnapshotFacts = {
      responseId: this.#responseId,
      ...(this.#model === undefined ? {} : { model: this.#model }),
      output,
      outputText: assistantText(output),
      ...(this.#usage && { usage: this.#usage }),
    };
    const last = this.#last;
    if (!last) return { status: "in_progress", ...facts };
    if (last.type === "incomplete") {
      return {
        status: "incomplete",
        ...facts,
        reason: last.reason,
        unfinished: last.unfinished ?? unfinished,
      };
    }
    return {
      status: "completed",
      ...facts,
      ...(last.endTurn === undefined ? {} : { endTurn: last.endTurn }),
    };
  }
}

/**
 * Returns the text of the assistant's messages, without refusals and reasoning.
 *
 * @param output Items of a response.
 * @returns The text.
 */
export function assistantText(output: readonly ResponseItem[]): string {
  let text = "";
  for (const item of output) {
    if (item.type !== "message" || item.role !== "assistant") continue;
    for (const part of item.content) {
      // Of a whole message only this much was checked: that its parts have types.
      if (part.type === "output_text" && typeof part.text === "string") {
        text += part.text;
      }
    }
  }
  return text;
}

/**
 * Folds the events of a response into the response so far.
 *
 * Any prefix of its events will do, with or without deltas. To look at a
 * response again and again, use a {@linkcode SnapshotBuilder}.
 *
 * @param events The events, from the first on.
 * @returns The response so far.
 *
 * @example A response that is on its way
 * ```ts
 * import { snapshot } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const { status, outputText } = snapshot([
 *   { type: "created", responseId: "resp_1", model: "gpt-5" },
 *   { type: "output_text.delta", outputIndex: 0, contentIndex: 0, delta: "Hel" },
 *   { type: "output_text.delta", outputIndex: 0, contentIndex: 0, delta: "lo" },
 * ]);
 * assertEquals(status, "in_progress");
 * assertEquals(outputText, "Hello");
 * ```
 */
export function snapshot(events: Iterable<ResponseEvent>): ResponseSnapshot {
  const builder = new SnapshotBuilder();
  for (const event of events) builder.push(event);
  return builder.snapshot;
}
