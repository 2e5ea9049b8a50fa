// This module is browser compatible.
import type { SchemaIssue } from "../../fetch/standard_schema.ts";
import { cutText } from "../failures/cut_text.ts";
import { ModelError } from "./model_error.ts";

/** The length of the text in the message; all of the text is in `text`. */
const SHOWN = 200;

/**
 * A whole answer does not fit the schema that was given as `output`: it is no
 * JSON, has other fields, or is a refusal.
 *
 * @example Show what the model said instead
 * ```ts
 * import { OutputError } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new OutputError("I cannot.", "is no JSON");
 * assertEquals(error.message, "The answer does not fit 'output', as it is no JSON: I cannot.");
 * assertEquals([error.text, error.retryable], ["I cannot.", true]);
 * ```
 */
export class OutputError extends ModelError {
  /** The error's code, for programs. */
  readonly code = "output_mismatch";
  /** Whether the same request may succeed when it is made again: models vary. */
  readonly retryable = true;
  /** All that the model said. */
  readonly text: string;
  /** The faults of the value; empty if there is no value. */
  readonly issues: readonly SchemaIssue[];

  /**
   * Makes an error.
   *
   * @param text All that the model said.
   * @param reason Its fault.
   * @param issues The same in detail.
   * @param options The cause.
   */
  constructor(
    text: string,
    reason: string,
    issues: readonly SchemaIssue[] = [],
    options?: ErrorOptions,
  ) {
    super(
      `The answer does not fit 'output', as it ${reason}: ${
        cutText(text, SHOWN)
      }`,
      options,
    );
    this.name = "OutputError";
    this.text = text;
    this.issues = issues;
  }
}
