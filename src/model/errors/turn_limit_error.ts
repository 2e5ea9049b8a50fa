// This module is browser compatible.
import type { InputItem } from "../item.ts";
import { ModelError } from "./model_error.ts";

/**
 * The model still calls tools after as many turns as `maxTurns` of
 * {@linkcode runTools} allows. The calls of the last turn were not made.
 *
 * @example Tell how far it came
 * ```ts
 * import { TurnLimitError } from "@rivulet/rivulet/model";
 *
 * const note = (error: unknown): string =>
 *   error instanceof TurnLimitError ? `gave up after ${error.turns} turns` : String(error);
 * ```
 */
export class TurnLimitError extends ModelError {
  /** The error's code, for programs. */
  readonly code = "turn_limit";
  /** Whether the same request may succeed when it is made again: unlikely. */
  readonly retryable = false;
  /** The number of responses. */
  readonly turns: number;
  /** The conversation up to the last turn, to go on from. */
  readonly input: readonly InputItem[];

  /**
   * Makes an error.
   *
   * @param turns The number of responses.
   * @param input The conversation up to the last turn.
   */
  constructor(turns: number, input: readonly InputItem[]) {
    super(
      `The model still calls tools after ${turns} ${
        turns === 1 ? "turn" : "turns"
      }: raise 'maxTurns' if it is to go on`,
    );
    this.name = "TurnLimitError";
    this.turns = turns;
    this.input = input;
  }
}
