// This module is browser compatible.
import type { ResponseEvent } from "../../response_event.ts";
import { type Fields, hasContent, isFields, textOf } from "../event_data.ts";
import type { ChatOutput } from "./output.ts";
import { thoughtIn } from "./reasoning_details.ts";
import { argumentsOf, type ToolCall } from "./tool_calls.ts";

/** The names that a thought of a delta, or of a message, has. */
export const THOUGHTS = [
  "reasoning_content",
  "reasoning",
  "reasoning_text", // Copilot's
  "thinking",
] as const;

/** The fields of a message that are read. */
const KNOWN: ReadonlySet<string> = new Set([
  ...THOUGHTS,
  "role",
  "content",
  "text",
  "refusal",
  "tool_calls",
  "function_call",
]);

/** Returns the rest of a whole text after the part that was told; `undefined` if that is no part of it. */
function restOf(whole: string, told: string): string | undefined {
  if (whole.startsWith(told)) return whole.slice(told.length);
  // A copy of some of it, such as the last item's, says nothing new.
  return told.includes(whole) ? "" : undefined;
}

/** The text of a message's content, which may be in parts. */
function textOfContent(content: unknown): string {
  if (typeof content === "string") return content;
  if (isFields(content)) return textOfPart(content);
  if (!Array.isArray(content)) return "";
  // Array.isArray makes it any[].
  return (content as readonly unknown[]).filter(isFields).map(textOfPart)
    .join("");
}

function textOfPart({ type, text }: Fields): string {
  return type === "thinking" || type === "reasoning" ? "" : textOf(text);
}

/**
 * Reads the messages of choices, which have them in place of deltas or beside
 * them: the answer so far or all of it (Perplexity; a server that was asked for a
 * stream, and does not know how), or a piece of it under another name.
 */
export class WholeMessages {
  readonly #output: ChatOutput;
  /** Whether a delta has come: a message is then never a piece. */
  hasDeltas = false;
  #arePieces = false;
  /** Whether a message has gone on from the one before it. */
  #areSoFar = false;

  /**
   * Makes a reader.
   *
   * @param output The output that the messages are of.
   */
  constructor(output: ChatOutput) {
    this.#output = output;
  }

  /**
   * Adds what a message has beyond what was told.
   *
   * @param message The message.
   * @param isLast Whether the model has finished with it.
   * @param out The list that takes the events.
   * @returns Whether there is something in it that no event tells of.
   */
  take(message: Fields, isLast: boolean, out: ResponseEvent[]): boolean {
    const output = this.#output;
    let hasOther = false;
    let thought = "";
    for (const name of THOUGHTS) thought ||= thoughtIn(message[name]);
    const more = this.#rest(thought, output.thought, isLast);
    if (more !== undefined) output.addReasoning(more, out);
    else hasOther = true;

    const text = this.#rest(
      textOfContent(message.content) || textOf(message.text),
      output.text,
      isLast,
    );
    if (text === undefined) hasOther = true;
    else if (text !== "") output.addText(text, undefined, out);

    const refusal = this.#rest(textOf(message.refusal), output.refusal, isLast);
    if (refusal === undefined) hasOther = true;
    else if (refusal !== "") output.addRefusal(refusal, out);

    // Beside deltas, they are told there.
    if (!this.hasDeltas) output.addExtras(message, out);
    if (this.#takeCalls(message, out)) hasOther = true;
    for (const field in message) {
      if (!KNOWN.has(field) && hasContent(message[field])) hasOther = true;
    }
    return hasOther;
  }

  #rest(given: string, told: string, isLast: boolean): string | undefined {
    if (given === "") return "";
    if (this.#arePieces && !(isLast && given === told)) return given;
    const rest = restOf(given, told);
    if (this.hasDeltas) return rest;
    // Twice the same, or what does not go on from what was told, is a piece.
    if (rest === undefined || rest === "" && !isLast && !this.#areSoFar) {
      this.#arePieces = true;
      return given;
    }
    if (rest !== "" && told !== "") this.#areSoFar = true;
    return rest;
  }

  #takeCalls(message: Fields, out: ResponseEvent[]): boolean {
    const output = this.#output;
    const { tool_calls: given, function_call: old } = message;
    const calls: readonly unknown[] = Array.isArray(given)
      ? given
      : hasContent(given)
      ? [given]
      : hasContent(old)
      ? [{ function: old }]
      : [];
    const told = [...output.calls];
    let hasOther = false;
    for (const call of calls) {
      const copy = told.findIndex((one) => this.#isCopy(call, one));
      if (copy >= 0) told.splice(copy, 1);
      else if (output.addFragment(call, out)) hasOther = true;
    }
    return hasOther;
  }

  /** Whether a call of a message is one that was told. */
  #isCopy(call: unknown, told: ToolCall): boolean {
    if (!isFields(call)) return false;
    const body = call.function ?? call.custom;
    if (!isFields(body) || textOf(body.name) !== told.name) return false;
    const id = textOf(call.id);
    if (id !== told.id && (id !== "" || !this.hasDeltas)) return false;
    return told.name !== "" && argumentsOf(body) === told.arguments;
  }
}
