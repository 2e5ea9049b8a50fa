// This module is browser compatible.
import * as z from "zod";
import type { HostilePlan } from "./plan.ts";
import { sample } from "./sample.ts";

/** A tool that may be called. */
export interface Tool {
  readonly name: string;
  /** The JSON Schema of its arguments. */
  readonly parameters?: unknown;
}

/** A question to a model, in whatever format. */
export interface Question {
  /** The last text: the user's, or a tool's. */
  readonly text: string;
  /** Whether that text is the result of a tool. */
  readonly isToolResult: boolean;
  /** The tools that may be called now. */
  readonly tools: readonly Tool[];
  /** The maximum number of tokens of the answer. */
  readonly limit?: number | null | undefined;
}

/** A call of a tool. */
export interface Call {
  readonly name: string;
  /** The arguments as JSON. */
  readonly arguments: string;
  /** The same, as it is sent. */
  readonly deltas: readonly string[];
}

/** A model's answer. */
export interface Speech {
  /** The words of the answer; empty where tools are called. */
  readonly deltas: readonly string[];
  /** The tools that are called. */
  readonly calls: readonly Call[];
  /** Whether a limit was reached. */
  readonly isCut: boolean;
  /**
   * The numbers of tokens of the question and the answer. A token is a word
   * here.
   */
  readonly usage: { readonly input: number; readonly output: number };
}

/** The number of characters of arguments in one delta. */
const CALL_DELTA = 5;

/**
 * The maximum length of text in an argument: agents send prompts of thousands
 * of words.
 */
const MAX_ARGUMENT = 500;

const WORDS = /\s*\S+(?:\s+$)?/g;

/** The text of content, whether it is a string or made of parts. */
export const content = z.union([
  z.string(),
  z.array(z.looseObject({ text: z.string().optional() })),
]).nullish().transform((content) =>
  typeof content === "string"
    ? content
    : content?.map(({ text = "" }) => text).join("") ?? ""
);

/**
 * Says the last text again, word by word; or calls tools, if there are any that
 * have not answered yet: those that the text names, else the first.
 *
 * @param answer The plan: the number of deltas.
 */
export function speak(
  question: Question,
  answer: HostilePlan["answer"],
): Speech {
  const { text, isToolResult, tools, limit } = question;
  const deltas = answer?.kind === "run" ? answer.deltas : undefined;
  const words = text.match(WORDS) ?? ["Hello."];
  const [first] = tools;
  if (first && !isToolResult) {
    const named = tools.filter(({ name }) => text.includes(name));
    const calls = (named.length > 0 ? named : [first]).map((tool) =>
      callOf(tool, text)
    );
    const output = calls.flatMap(({ deltas }) => deltas).length;
    return {
      deltas: [],
      calls,
      isCut: false,
      usage: { input: words.length, output },
    };
  }
  const count = deltas ?? words.length;
  const isCut = typeof limit === "number" && limit < count;
  const said = Array.from(
    { length: isCut ? limit : count },
    (_, index) => wordAt(words, index),
  );
  return {
    deltas: said,
    calls: [],
    isCut,
    usage: { input: words.length, output: said.length },
  };
}

/** The word at a place of a text that is said again and again. */
function wordAt(words: readonly string[], index: number): string {
  const word = words[index % words.length] ?? "";
  const isAgain = index > 0 && index % words.length === 0;
  return isAgain && !/^\s/.test(word) ? ` ${word}` : word;
}

/** Returns the end of a text, which is what a person has said to an agent. */
function shortened(text: string): string {
  if (text.length <= MAX_ARGUMENT) return text;
  // Not within a character.
  return text.slice(-MAX_ARGUMENT).replace(/^[\udc00-\udfff]/, "");
}

function callOf({ name, parameters }: Tool, text: string): Call {
  const json = JSON.stringify(sample(parameters, shortened(text)) ?? {});
  // Whole characters: JSON.stringify would write half ones as escapes.
  const characters = [...json];
  const deltas: string[] = [];
  for (let at = 0; at < characters.length; at += CALL_DELTA) {
    deltas.push(characters.slice(at, at + CALL_DELTA).join(""));
  }
  return { name, arguments: json, deltas };
}
