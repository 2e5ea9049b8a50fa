// This module is browser compatible.
import { type Fields, isFields, textOf } from "../event_data.ts";

/** The fields of a detail that arrive in pieces; all others arrive whole. */
const IN_PIECES: ReadonlySet<string> = new Set(["text", "summary", "data"]);

/**
 * The `reasoning_details` of OpenRouter, put together from their pieces: what the
 * next request has to give back as it was, signatures and all.
 *
 * Pieces are of one detail if they have the same `type` and `index`, and no two
 * different ids.
 *
 * @see {@link https://openrouter.ai/docs/use-cases/reasoning-tokens | OpenRouter: reasoning tokens}
 */
export class ReasoningDetails {
  /** The details, in order of first appearance. */
  readonly list: Record<string, unknown>[] = [];
  /** The last detail of each type and index. */
  readonly #last = new Map<string, Record<string, unknown>>();

  /**
   * Takes pieces in.
   *
   * @param pieces The value of `reasoning_details`; elements that are not
   * objects are skipped.
   */
  add(pieces: readonly unknown[]): void {
    for (const piece of pieces) if (isFields(piece)) this.#addPiece(piece);
  }

  #addPiece(piece: Fields): void {
    const key = `${String(piece.type)} ${String(piece.index)}`;
    const known = this.#last.get(key);
    if (
      known === undefined ||
      known.id != null && piece.id != null && known.id !== piece.id
    ) {
      const detail = { ...piece };
      this.#last.set(key, detail);
      this.list.push(detail);
      return;
    }
    for (const [field, value] of Object.entries(piece)) {
      const before = known[field];
      if (
        IN_PIECES.has(field) && typeof before === "string" &&
        typeof value === "string"
      ) known[field] = before + value;
      else if (value != null || before === undefined) known[field] = value;
    }
  }
}

/**
 * The text that pieces of `reasoning_details` have for a reader.
 *
 * @param pieces The value of `reasoning_details`.
 * @returns The text; `""` if there is none.
 */
export function shownIn(pieces: readonly unknown[]): string {
  let text = "";
  for (const piece of pieces) {
    if (isFields(piece)) text += textOf(piece.text) || textOf(piece.summary);
  }
  return text;
}

/**
 * Returns the text of a thought: some servers send it as an object, or in parts.
 *
 * @param value The value of the field.
 * @returns The text; `""` if there is none.
 */
export function thoughtIn(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) {
    return (value as readonly unknown[]) // Array.isArray makes it any[].
      .map(thoughtIn).join("");
  }
  if (!isFields(value)) return "";
  return textOf(value.text) || textOf(value.content);
}
