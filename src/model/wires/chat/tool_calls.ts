// This module is browser compatible.

/**
 * Puts the tool calls of a Chat stream together from their fragments.
 *
 * No two servers agree on how a fragment says which call it belongs to. These are
 * the rules, in this order:
 *
 * 1. A fragment with nothing but an `index` or a `type` is none.
 * 2. An `index` that is known leads to the last call with it, or to the one among
 *    several with it that has the fragment's id. (OpenAI; all-zero indexes.)
 * 3. An `index` that is new begins a call, unless the fragment has no name and
 *    either the id of a call whose arguments are not at their end, or follows a
 *    call that came without an index: then the index is not consistent, and it
 *    continues that call.
 * 4. Without an `index` the id leads to its call, and else it is about the last
 *    call. (Mistral, Gemini, Ollama.)
 * 5. The call found that way is not continued, but another begun, if
 *    - a name and another id come with it; or
 *    - another id comes with it and no name, and the call's arguments are at
 *      their end. As long as they are not, it is the same call: some servers
 *      make up an id for every chunk (OCI); or
 *    - another name comes with it, and there were or are arguments. Without any,
 *      under a known index, it is the rest of the name; or
 *    - a name comes with it without the call's id, and arguments, and the call's
 *      are at their end: servers without ids send whole calls (Ollama). With `{}`
 *      for the arguments so far it is the same call, see below, if there is an
 *      index or the call has an id.
 *
 * White space is no arguments here.
 *
 * Ids and names: the first that is not empty stays; `""` and `null` are none.
 *
 * Arguments: put one after the other. An object is turned into JSON. `{}` followed
 * by an object is a placeholder, and gives way to it (Bedrock, Mistral). For that
 * reason `{}` is held back from the deltas until it is known what follows.
 *
 * @module
 */

import type { CustomToolCallItem, FunctionCallItem } from "../../item.ts";
import { type Fields, hasContent, isFields, textOf } from "../event_data.ts";

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const QUOTE = 34;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/**
 * The ways in which arguments begin: with nothing, with `{`, with `{}`, or with
 * more.
 */
const NOTHING = 0;
const BRACE = 1;
const EMPTY_OBJECT = 2;
const MORE = 3;

/** The fields of a call on the wire that its item has a place for, or makes up. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  "index",
  "id",
  "type",
  "function",
  "custom",
  "call_id",
  "name",
  "arguments",
  "input",
  "status",
]);

/** A tool call under way. */
export class ToolCall {
  /** Its index on the wire, if it has one. */
  index: number | undefined;
  /** Its id; `""` as long as there is none. */
  id = "";
  /** The name of the tool; `""` as long as there is none. */
  name = "";
  /** Its arguments, as far as they came. */
  arguments = "";
  /** Whether it calls a custom tool, which takes any text. */
  isCustom = false;
  /** Its place in the output, from 0; -1 as long as it has none. */
  outputIndex = -1;
  /** Whether it was told to the reader. */
  isAdded = false;
  #extra: Record<string, unknown> | undefined;
  #unsent = "";
  #start = NOTHING;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #isClosed = false;

  /** Whether it has begun: an id or a signature alone does not make a call. */
  get hasBegun(): boolean {
    return this.name !== "" || this.#start !== NOTHING ||
      this.isCustom && this.arguments !== "";
  }

  /** Whether the arguments are an object, or an array, that has come to its end. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether the arguments are `{}` so far, so that other ones may take its place. */
  get isPlaceholder(): boolean {
    return this.#start === EMPTY_OBJECT;
  }

  /**
   * Adds to the arguments.
   *
   * @param text The text to add.
   */
  append(text: string): void {
    const added = this.isCustom ? text : this.#read(text);
    this.arguments += added;
    this.#unsent += added;
  }

  /**
   * Adds a field that this library has no place for; of an object, its fields.
   *
   * @param field Its name.
   * @param value Its value.
   */
  keep(field: string, value: unknown): void {
    // Without a prototype, so that `__proto__` is a field as any other.
    this.#extra ??= Object.create(null) as Record<string, unknown>;
    const before = this.#extra[field];
    this.#extra[field] = isFields(before) && isFields(value)
      ? { ...before, ...value }
      : value;
  }

  /**
   * Takes out what there is to tell of the arguments, and was not yet.
   *
   * @returns The text, to be put after what was told before; `""` for nothing.
   */
  takeReady(): string {
    return this.isCustom || this.#start === MORE ? this.takeRest() : "";
  }

  /**
   * The same at the end, when nothing can take its place any more.
   *
   * @returns The text; `""` for nothing.
   */
  takeRest(): string {
    const text = this.#unsent;
    this.#unsent = "";
    return text;
  }

  /**
   * Whether the call may be run, provided that the response is whole.
   *
   * @param hasFinish Whether the provider has said that it has finished: then a
   * call without arguments is whole too, with `{}` for them.
   * @returns Whether it may.
   */
  settle(hasFinish: boolean): boolean {
    if (this.name === "") return false;
    if (this.isCustom) return true;
    if (hasFinish && this.arguments.trim() === "") {
      this.arguments = this.#unsent = "{}";
      return true;
    }
    try {
      JSON.parse(this.arguments);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * The item as it is now.
   *
   * @param responseId The id of the response, for a call that came without an id.
   * @param status Its state.
   * @returns The item; without its arguments while it is in progress, as those
   * are told one by one.
   */
  item(
    responseId: string,
    status: "in_progress" | "completed" | "incomplete",
  ): FunctionCallItem | CustomToolCallItem {
    const call_id = this.id || `call_${responseId}_${this.outputIndex}`;
    const text = status === "in_progress" ? "" : this.arguments;
    const { name } = this;
    return this.isCustom
      ? {
        type: "custom_tool_call",
        call_id,
        name,
        input: text,
        status,
        ...this.#extra,
      }
      : {
        type: "function_call",
        call_id,
        name,
        arguments: text,
        status,
        ...this.#extra,
      };
  }

  /**
   * Follows the arguments through a fragment: parsing all of them again for every
   * fragment, to see whether they are at their end, would take a time that grows
   * with the square of their length.
   *
   * @returns The text to add to the arguments.
   */
  #read(text: string): string {
    let from = 0;
    for (let at = 0; at < text.length; at++) {
      const char = text.charCodeAt(at);
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (char === BACKSLASH) this.#escaped = true;
        else if (char === QUOTE) this.#inString = false;
        continue;
      }
      if (char === SPACE || char === LF || char === CR || char === TAB) {
        continue;
      }
      if (this.#start !== MORE) {
        if (this.#start === EMPTY_OBJECT && char === OPEN_BRACE) {
          this.arguments = this.#unsent = "";
          this.#start = NOTHING;
          from = at;
        }
        this.#start = this.#start === NOTHING && char === OPEN_BRACE
          ? BRACE
          : this.#start === BRACE && char === CLOSE_BRACE
          ? EMPTY_OBJECT
          : MORE;
      }
      if (char === QUOTE) this.#inString = true;
      else if (char === OPEN_BRACE || char === OPEN_BRACKET) {
        this.#depth++;
        this.#isClosed = false;
      } else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) {
        this.#isClosed = --this.#depth === 0;
      }
    }
    return text.slice(from);
  }
}

/** The fields of a fragment that say which call it belongs to. */
interface Marks {
  readonly index: number | undefined;
  readonly id: string;
  readonly name: string;
  readonly hasArguments: boolean;
}

/** The tool calls of one response. */
export class ToolCalls {
  /** The calls, in order of first appearance. */
  readonly list: ToolCall[] = [];
  /** The last call with each index. */
  readonly #byIndex = new Map<number, ToolCall>();
  readonly #byId = new Map<string, ToolCall>();

  /**
   * Takes a fragment in.
   *
   * @param fragment An element of `tool_calls`.
   * @returns The call that it belongs to; `undefined` if it says nothing.
   */
  add(fragment: Fields): ToolCall | undefined {
    const custom = isFields(fragment.custom) ? fragment.custom : undefined;
    const body = custom ?? fragment.function;
    const name = isFields(body) ? textOf(body.name) : "";
    const text = isFields(body) ? argumentsOf(body) : "";
    const index = typeof fragment.index === "number"
      ? fragment.index
      : undefined;
    const id = textOf(fragment.id);
    let isMore = false;
    for (const field in fragment) {
      if (!OWN_FIELDS.has(field) && hasContent(fragment[field])) isMore = true;
    }
    if (id === "" && name === "" && text === "" && !isMore) return undefined;

    const marks = { index, id, name, hasArguments: text.trim() !== "" };
    const call = this.#find(marks) ?? this.#begin(marks);
    if (custom !== undefined) call.isCustom = true;
    if (call.id === "" && id !== "") {
      call.id = id;
      this.#byId.set(id, call);
    }
    if (name !== call.name) call.name += name;
    if (text !== "") call.append(text);
    if (isMore) {
      for (const field in fragment) {
        const value = fragment[field];
        if (!OWN_FIELDS.has(field) && hasContent(value)) {
          call.keep(field, value);
        }
      }
    }
    return call;
  }

  #begin({ index }: Marks): ToolCall {
    const call = new ToolCall();
    call.index = index;
    if (index !== undefined) this.#byIndex.set(index, call);
    this.list.push(call);
    return call;
  }

  #find(marks: Marks): ToolCall | undefined {
    const { index, id, name } = marks;
    const last = this.list.at(-1);
    const named = id === "" ? undefined : this.#byId.get(id);
    if (index === undefined) return unlessOther(named ?? last, marks);
    const call = this.#byIndex.get(index);
    if (call !== undefined) {
      return unlessOther(named?.index === index ? named : call, marks);
    }
    if (name !== "") return undefined;
    if (named !== undefined && !named.isClosed) return named;
    if (
      last === undefined || last.index !== undefined || isOtherId(last, id)
    ) return undefined;
    last.index = index;
    this.#byIndex.set(index, last);
    return last;
  }
}

function isOtherId(call: ToolCall, id: string): boolean {
  return id !== "" && call.id !== "" && id !== call.id;
}

/** The fifth rule. */
function unlessOther(
  call: ToolCall | undefined,
  marks: Marks,
): ToolCall | undefined {
  return call !== undefined && beginsOther(call, marks) ? undefined : call;
}

function beginsOther(
  call: ToolCall,
  { index, id, name, hasArguments }: Marks,
): boolean {
  if (isOtherId(call, id)) return name !== "" || call.isClosed;
  if (name === "") return false;
  if (call.name !== "" && name !== call.name) {
    return hasArguments || call.arguments !== "" || index === undefined;
  }
  return hasArguments && call.isClosed && (id === "" || id !== call.id) &&
    !(call.isPlaceholder && (index !== undefined || call.id !== ""));
}

/**
 * The arguments, or the input of a custom tool, as text.
 *
 * @param body The `function` or `custom` of a call.
 * @returns The text; `""` if there is none.
 */
export function argumentsOf(body: Fields): string {
  const value = body.arguments ?? body.input;
  if (typeof value === "string") return value;
  return value == null ? "" : JSON.stringify(value);
}
