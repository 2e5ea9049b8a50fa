// This module is browser compatible.
import type { DeltaEvent } from "../../partial_item.ts";

/** A piece of an item's text. */
export interface Piece {
  /** The type of the part; `input` is that of a call. */
  readonly kind: PieceKind;
  /** The place of the part. */
  readonly place: number;
  /** The text. */
  readonly text: string;
}

/** The part of an item that a piece is of. */
export type PieceKind =
  | "output_text"
  | "refusal"
  | "reasoning_text"
  | "summary_text"
  | "input";

/**
 * Makes the event of a piece that no delta had.
 *
 * @param piece The piece.
 * @param outputIndex The place of its item.
 * @returns The event.
 */
export function deltaOf(
  { kind, place, text: delta }: Piece,
  outputIndex: number,
): DeltaEvent {
  switch (kind) {
    case "output_text":
      return {
        type: "output_text.delta",
        outputIndex,
        contentIndex: place,
        delta,
      };
    case "refusal":
      return { type: "refusal.delta", outputIndex, contentIndex: place, delta };
    case "reasoning_text":
      return {
        type: "reasoning.delta",
        outputIndex,
        contentIndex: place,
        delta,
      };
    case "summary_text":
      return {
        type: "reasoning_summary.delta",
        outputIndex,
        summaryIndex: place,
        delta,
      };
    case "input":
      return { type: "tool_call.delta", outputIndex, delta };
  }
}
