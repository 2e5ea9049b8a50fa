// This module is browser compatible.
import type { ResponseItem } from "../../item.ts";
import { type DeltaEvent, PartialItem } from "../../partial_item.ts";
import { isFields, textOf } from "../event_data.ts";
import type { Piece, PieceKind } from "./piece.ts";

/** An item that has begun, or is whole. */
interface Told {
  /** The item as it was last told as a whole. */
  item: ResponseItem;
  readonly outputIndex: number;
  /** The item with its deltas; `undefined` once it is done. */
  partial: PartialItem | undefined;
  /** The input of a call, where it was told once more as a whole. */
  written: string | undefined;
}

/** An item that has come to its end, and what was not told of it in deltas. */
export interface DoneItem {
  /** The item, with all that has come. */
  readonly item: ResponseItem;
  /** The place of the item in the output. */
  readonly outputIndex: number;
  /** The text of it that no delta had. */
  readonly rest: readonly Piece[];
}

/** The fields in which parts of each kind are. */
const PARTS = [
  ["output_text", "content"],
  ["refusal", "content"],
  ["reasoning_text", "content"],
  ["summary_text", "summary"],
] as const;

/** The most items of a response that are looked for by what they say. */
const MOST_COMPARED = 500;

/**
 * The items of a response as they were told, to be compared with what their ends and
 * the end of the response repeat.
 */
export class ToldItems {
  readonly #all: Told[] = [];
  /** The last item of each place. */
  readonly #at = new Map<number, Told>();

  /** The first place behind all that are taken. */
  get nextIndex(): number {
    return this.#next;
  }
  #next = 0;

  /** Whether an item of a place has begun, or is whole. */
  has(outputIndex: number): boolean {
    return this.#at.has(outputIndex);
  }

  /** The item of a place, as it was last told; `undefined` if there is none. */
  itemAt(outputIndex: number): ResponseItem | undefined {
    return this.#at.get(outputIndex)?.item;
  }

  /** Whether the item of a place has begun and is not whole. */
  isOpen(outputIndex: number): boolean {
    return this.#at.get(outputIndex)?.partial !== undefined;
  }

  /** Begins an item. */
  add(item: ResponseItem, outputIndex: number): void {
    this.#begin(item, outputIndex, new PartialItem(withoutInput(item)));
  }

  /** Takes a delta in. */
  push(event: DeltaEvent): void {
    const told = this.#at.get(event.outputIndex);
    if (told !== undefined) told.partial?.push(event);
    else {
      const partial = PartialItem.for(event);
      this.#begin(partial.item, event.outputIndex, partial).push(event);
    }
  }

  /** Takes in the input of a call, told once more as a whole. */
  write(outputIndex: number, text: string): void {
    const told = this.#at.get(outputIndex);
    if (told?.partial) told.written = text;
  }

  /**
   * Ends an item.
   *
   * @param whole The item as it is told at its end.
   * @param outputIndex Its place.
   * @returns The item with all that has come, and what no delta had.
   */
  done(whole: ResponseItem, outputIndex: number): DoneItem {
    const told = this.#at.get(outputIndex);
    const partial = told?.partial;
    if (told === undefined || partial === undefined) {
      const item = withInput(whole);
      this.#begin(item, outputIndex, undefined);
      return { item, outputIndex, rest: [] };
    }
    const before = soFar(told);
    const item = withInput(fuller(before, whole));
    told.item = item;
    told.partial = undefined;
    return { item, outputIndex, rest: restOf(partial.item, item) };
  }

  /** The calls that have begun and are not done, by their place. */
  openCalls(): [outputIndex: number, item: ResponseItem][] {
    return this.#all.filter(({ item, partial }) => partial && isCall(item))
      .map((told) => [told.outputIndex, soFar(told)]);
  }

  /** All items that are not done, as far as they came, in the order of the output. */
  open(): { outputIndex: number; item: ResponseItem }[] {
    return this.#all.filter(({ partial }) => partial !== undefined)
      .map((told) => ({ outputIndex: told.outputIndex, item: soFar(told) }))
      .sort((a, b) => a.outputIndex - b.outputIndex);
  }

  /**
   * Finds what the end of a response tells beyond what has come before.
   *
   * Ids, places and fields may have changed on the way, so an item is taken for
   * one that was told by its id, or by what it says, or by its place, or by its
   * type: the output is told twice by nearly all providers, and must not become
   * two.
   *
   * @param output The items of the response.
   * @returns The items that are new, or have more text, or were not done.
   */
  missing(output: readonly ResponseItem[]): DoneItem[] {
    const matches = this.#match(output);
    const found: DoneItem[] = [];
    for (const [place, item] of output.entries()) {
      const told = matches.get(item);
      if (told === undefined) {
        const outputIndex = this.has(place) ? this.#next : place;
        this.add(withoutText(item), outputIndex);
        found.push(this.done(item, outputIndex));
      } else if (told.partial !== undefined) {
        found.push(this.done(item, told.outputIndex));
      } else if (!isCall(item) && hasMore(item, told.item)) {
        const { outputIndex } = told;
        const rest = restOf(told.item, item);
        told.item = item;
        found.push({ item, outputIndex, rest });
      }
    }
    return found;
  }

  #begin(
    item: ResponseItem,
    outputIndex: number,
    partial: PartialItem | undefined,
  ): PartialItem {
    this.#next = Math.max(this.#next, outputIndex + 1);
    const told = { item, outputIndex, partial, written: undefined };
    this.#all.push(told);
    this.#at.set(outputIndex, told);
    return partial ?? new PartialItem(item);
  }

  #match(output: readonly ResponseItem[]): Map<ResponseItem, Told> {
    const matches = new Map<ResponseItem, Told>();
    const free = new Set(this.#all);
    const pass = (
      isSame: (item: ResponseItem, told: Told, place: number) => boolean,
    ): void => {
      if (output.length > MOST_COMPARED || free.size > MOST_COMPARED) return;
      for (const [place, item] of output.entries()) {
        if (matches.has(item)) continue;
        for (const told of free) {
          if (told.item.type !== item.type || !isSame(item, told, place)) {
            continue;
          }
          matches.set(item, told);
          free.delete(told);
          break;
        }
      }
    };
    const texts = new Map<ResponseItem, string>();
    const textFor = (item: ResponseItem): string => {
      let text = texts.get(item);
      if (text === undefined) texts.set(item, text = allText(item));
      return text;
    };
    const toldTexts = new Map<Told, string>();
    for (const told of this.#all) toldTexts.set(told, allText(soFar(told)));
    const isPart = (item: ResponseItem, told: Told): boolean => {
      const a = textFor(item);
      const b = toldTexts.get(told) ?? "";
      return a.startsWith(b) || b.startsWith(a);
    };
    const isAlike = (item: ResponseItem, told: Told): boolean => {
      if (!isCall(item)) return true;
      // One that was never added has no name.
      const name = nameOf(told.item);
      return (name === "" || name === nameOf(item)) && isPart(item, told);
    };
    pass((item, told) => isSameId(item, told.item));
    pass((item, told) =>
      nameOf(item) === nameOf(told.item) &&
      textFor(item) === toldTexts.get(told)
    );
    pass((item, told, place) =>
      told.outputIndex === place && isAlike(item, told)
    );
    pass((item, told) =>
      isAlike(item, told) && (item.type !== "message" || isPart(item, told))
    );
    return matches;
  }
}

function isSameId(a: ResponseItem, b: ResponseItem): boolean {
  const id = textOf(a["id"]);
  if (id !== "" && id === b["id"]) return true;
  const callId = textOf(a["call_id"]);
  return isCall(a) && callId !== "" && callId === b["call_id"];
}

function nameOf(item: ResponseItem): string {
  return isCall(item) ? textOf(item["name"]) : "";
}

/** The item as far as it came. */
function soFar({ item, partial, written }: Told): ResponseItem {
  if (partial === undefined) return item;
  const built = partial.item;
  if (built.type === "function_call" && item.type === "function_call") {
    return {
      ...built,
      arguments: written || built.arguments || item.arguments,
    };
  }
  if (built.type === "custom_tool_call" && item.type === "custom_tool_call") {
    return { ...built, input: written || built.input || item.input };
  }
  return built;
}

/** A call without what it began with: its deltas may tell that once more. */
function withoutInput(item: ResponseItem): ResponseItem {
  if (item.type === "function_call" && item.arguments !== "") {
    return { ...item, arguments: "" };
  }
  if (item.type === "custom_tool_call" && item.input !== "") {
    return { ...item, input: "" };
  }
  return item;
}

/** A call that may be run: one without arguments is called with none. */
function withInput(item: ResponseItem): ResponseItem {
  return item.type === "function_call" && item.arguments === "" &&
      item.status !== "incomplete" && item.status !== "in_progress"
    ? { ...item, arguments: "{}" }
    : item;
}

/** An item of which all the text is still to be told. */
function withoutText(item: ResponseItem): ResponseItem {
  switch (item.type) {
    case "message":
      return { ...item, content: [] };
    case "reasoning": {
      const { content: _, ...rest } = item;
      return { ...rest, summary: [] };
    }
    default:
      return withoutInput(item);
  }
}

/** An item as its end tells it, with what has come and the end leaves out. */
function fuller(before: ResponseItem, whole: ResponseItem): ResponseItem {
  if (before.type !== whole.type) return whole;
  switch (whole.type) {
    case "function_call":
    case "custom_tool_call": {
      const field = whole.type === "function_call" ? "arguments" : "input";
      const told = textOf(before[field]);
      return isMore(told, textOf(whole[field]))
        ? { ...whole, [field]: told }
        : whole;
    }
    case "message":
    case "reasoning": {
      let item: ResponseItem = whole;
      for (const field of ["content", "summary"] as const) {
        const kinds = PARTS.filter(([, of]) => of === field);
        const isFuller = kinds.some(([kind]) =>
          isMore(
            textOfKind(before, kind, field),
            textOfKind(whole, kind, field),
          )
        );
        if (isFuller) item = { ...item, [field]: before[field] };
      }
      return item;
    }
    default:
      return whole;
  }
}

/** Whether a text goes on where another ends. */
function isMore(text: string, start: string): boolean {
  return text.length > start.length && text.startsWith(start);
}

function hasMore(item: ResponseItem, told: ResponseItem): boolean {
  return PARTS.some(([kind, field]) =>
    isMore(textOfKind(item, kind, field), textOfKind(told, kind, field))
  );
}

/** The text of an item that was not told: none, where it is another text. */
function restOf(told: ResponseItem, whole: ResponseItem): Piece[] {
  const pieces: Piece[] = [];
  for (const [kind, field] of PARTS) {
    const before = textOfKind(told, kind, field);
    const all = textOfKind(whole, kind, field);
    if (!isMore(all, before)) continue;
    let known = before.length;
    for (const [place, part] of partsOf(whole, field).entries()) {
      const text = textOfPart(part, kind);
      if (text.length > known) {
        pieces.push({ kind, place, text: text.slice(known) });
      }
      known = Math.max(0, known - text.length);
    }
  }
  const field = whole.type === "custom_tool_call" ? "input" : "arguments";
  if (isCall(whole)) {
    const all = textOf(whole[field]);
    const before = textOf(told[field]);
    if (isMore(all, before)) {
      pieces.push({ kind: "input", place: 0, text: all.slice(before.length) });
    }
  }
  return pieces;
}

/** All that an item says, to be compared with what another says. */
function allText(item: ResponseItem): string {
  if (isCall(item)) {
    return textOf(item["arguments"]) || textOf(item["input"]);
  }
  return PARTS.map(([kind, field]) => textOfKind(item, kind, field)).join("");
}

function textOfKind(
  item: ResponseItem,
  kind: PieceKind,
  field: "content" | "summary",
): string {
  return partsOf(item, field).map((part) => textOfPart(part, kind)).join("");
}

function partsOf(
  item: ResponseItem,
  field: "content" | "summary",
): readonly unknown[] {
  const parts: unknown = item[field];
  return Array.isArray(parts) ? parts : [];
}

function textOfPart(part: unknown, kind: PieceKind): string {
  if (!isFields(part) || part.type !== kind) return "";
  return textOf(kind === "refusal" ? part.refusal : part.text);
}

/** Whether it is a call that the caller is to run. */
export function isCall(item: ResponseItem): boolean {
  return item.type === "function_call" || item.type === "custom_tool_call";
}
