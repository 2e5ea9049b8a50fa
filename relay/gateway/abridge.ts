import type { ServerSentEvent } from "../../src/sse/event.ts";
import {
  beforeEscape,
  endOfString,
  skipSpace,
  TEXT_STEP,
} from "../json_text.ts";

/** A longer event is abridged before it is read. In UTF-16 code units. */
const LONG = 64 * 1024;

/** The most that is kept of JSON, in UTF-16 code units. */
export interface Shares {
  /** Of an object or an array, by how deep it lies; deeper ones have the last. */
  readonly values: readonly [number, ...number[]];
  /** Of a string, by the same. */
  readonly strings: readonly [number, ...number[]];
}

/**
 * The end of a response, its reason and its usage lie high in an event, and beside them
 * the whole answer. The longest reason of an end has 1,000 characters.
 */
const OF_EVENT: Shares = {
  values: [48 * 1024, 40 * 1024, 2 * 1024, 512, 256],
  strings: [1_024, 1_024, 1_024, 256, 64],
};

/** A field with a longer name is left out. */
const MAX_NAME = 256;

/** A longer number is left out, as no known program writes more than 30 digits. */
const MAX_WORD = 64;

/** The end of a number or a word. */
const WORD_END = /[\s,:[\]{}"]/;

/** An object or array of which something is kept. */
interface Open {
  readonly close: "}" | "]";
  /** The most that may be kept of it. */
  readonly share: number;
  /** The rest of that. */
  room: number;
  /** Whether something was kept of it. */
  hasKept: boolean;
  /** The name of the field whose value comes next, with its quotes; `null` if that is left out. */
  name: string | null | undefined;
}

/** Whether an event is abridged before it is read. */
export function isLong({ data }: ServerSentEvent): boolean {
  return data.length > LONG;
}

/**
 * Returns short events that say the same of their response as the given ones: of long
 * ones, values that lie deep or are long are cut. They are made in steps, where to parse
 * an event of 16 MiB takes a second in which nobody else is served.
 *
 * The parts that are left out are not checked: they may be no JSON.
 */
export function* abridgedEvents(
  events: readonly ServerSentEvent[],
): Generator<void, ServerSentEvent[]> {
  const abridged: ServerSentEvent[] = [];
  for (const event of events) {
    const { data } = event;
    abridged.push(
      isLong(event)
        ? {
          ...event,
          data: (yield* abridge(data, OF_EVENT)) ?? data.slice(0, LONG),
        }
        : event,
    );
  }
  return abridged;
}

/** Returns the short JSON for a long one, in steps; `undefined` if the text is none. */
export function* abridge(
  text: string,
  { values, strings }: Shares,
): Generator<void, string | undefined> {
  const first = yield* skipSpace(text, 0);
  if (text[first] !== "{" && text[first] !== "[") return undefined;
  const kept: string[] = [];
  const open: Open[] = [];
  /** The depth within a value that is left out. */
  let skipped = 0;
  let seen = 0;
  const add = (part: string): void => {
    kept.push(part);
    const within = open.at(-1);
    if (within) within.room -= part.length;
  };
  /** Begins a value, if there is room for it. */
  const begin = (size: number): boolean => {
    const within = open.at(-1);
    if (!within) return true;
    const { name } = within;
    within.name = undefined;
    const before = name ? `${name}:` : "";
    if (name === null || size + before.length + 1 > within.room) return false;
    add(within.hasKept ? `,${before}` : before);
    within.hasKept = true;
    return true;
  };
  for (let at = first; at < text.length;) {
    if (at - seen >= TEXT_STEP) {
      seen = at;
      yield;
    }
    const within = open.at(-1);
    const character = text[at]!; // within the text
    switch (character) {
      case "{":
      case "[": {
        if (skipped > 0 || !begin("{}".length)) {
          skipped++;
          at++;
          break;
        }
        const share = Math.min(
          atDepth(values, open.length),
          within?.room ?? Infinity,
        );
        const close = character === "{" ? "}" : "]";
        kept.push(character);
        const room = share - "{}".length;
        open.push({ close, share, room, hasKept: false, name: undefined });
        at++;
        break;
      }
      case "}":
      case "]": {
        at++;
        if (skipped > 0) {
          skipped--;
          break;
        }
        if (within?.close !== character) return undefined;
        kept.push(character);
        open.pop();
        const outer = open.at(-1);
        if (!outer) return jsonOf(kept);
        outer.room -= within.share - within.room;
        break;
      }
      case '"': {
        const end = yield* endOfString(text, at);
        if (end < 0) return undefined;
        if (skipped === 0 && within) {
          if (within.close === "}" && within.name === undefined) {
            const colon = yield* skipSpace(text, end + 1);
            if (text[colon] !== ":") return undefined;
            within.name = end - at > MAX_NAME ? null : text.slice(at, end + 1);
            at = colon + 1;
            break;
          }
          const most = atDepth(strings, open.length - 1);
          const cut = end - at > most
            ? beforeEscape(text, at + 1, at + most)
            : end;
          const value = `${text.slice(at, cut)}"`;
          if (begin(value.length)) add(value);
        }
        at = end + 1;
        break;
      }
      case ",":
      case ":":
      case " ":
      case "\t":
      case "\r":
      case "\n":
        at++;
        break;
      default: {
        let end = at + 1;
        while (end < text.length && !WORD_END.test(text[end]!)) { // within the text
          end++;
          if ((end - at) % TEXT_STEP === 0) yield;
        }
        const isKept = end - at <= MAX_WORD && skipped === 0;
        if (isKept && begin(end - at)) add(text.slice(at, end));
        else if (within && skipped === 0) within.name = undefined;
        at = end;
      }
    }
  }
  return undefined;
}

function atDepth(
  shares: readonly [number, ...number[]],
  depth: number,
): number {
  return shares[depth] ?? shares.at(-1) ?? shares[0];
}

function jsonOf(parts: readonly string[]): string | undefined {
  const text = parts.join("");
  try {
    JSON.parse(text);
    return text;
  } catch {
    return undefined;
  }
}
