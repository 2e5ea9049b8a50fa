/**
 * Accounts for what one reader of one topic is sent, in every mode.
 *
 * @module
 */
import { z } from "zod";
import type { ServerSentEvent } from "../../../src/sse/event.ts";

const sent = z.object({
  event: z.string().default("message"),
  data: z.string(),
  id: z.string().default(""),
});

const offset = z.int().nonnegative();

const delivered = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("subscribed"),
    epoch: z.string().regex(/^[A-Za-z0-9_-]{8,22}$/),
    first: offset,
    next: offset,
    after: offset,
    recovered: z.boolean(),
    state: z.enum(["pending", "open", "ended"]),
  }),
  z.object({
    type: z.literal("snapshot"),
    offset,
    value: z.object({ first: offset, events: z.array(sent).min(1) }),
  }),
  z.object({
    type: z.literal("events"),
    offset,
    events: z.array(sent).min(1),
  }),
  z.object({
    type: z.literal("merged"),
    offset,
    to: offset,
    event: z.string().default("message"),
    data: z.string(),
  }),
  z.object({
    type: z.literal("gap"),
    from: offset,
    to: offset,
    reason: z.enum(["evicted", "epoch", "slow", "skipped"]),
  }),
  z.object({ type: z.literal("live"), next: offset }),
  z.object({ type: z.literal("upstream"), state: z.string() }),
  z.object({
    type: z.literal("end"),
    offset,
    status: z.string(),
    reason: z.string().optional(),
  }),
]);

type Delivered = z.infer<typeof delivered>;
type Of<Type extends Delivered["type"]> = Extract<Delivered, { type: Type }>;

/** Consecutive offsets, and how they were accounted for. */
export interface Piece {
  readonly kind: "event" | "merged" | "snapshot" | Of<"gap">["reason"];
  readonly from: number;
  readonly to: number;
}

/** A place in a topic: a position, or either end. */
export type LedgerAfter =
  | { readonly epoch: string; readonly offset: number }
  | "start"
  | "now";

/** The request of the reader, and the content of the topic. */
export interface LedgerOptions {
  /** The name of the reader, for messages. */
  readonly who: string;
  /** Default: `all`. */
  readonly mode?: "all" | "merge" | "latest" | undefined;
  /** Default: `false`. */
  readonly snapshot?: boolean | undefined;
  /** Default: `start`. */
  readonly after?: LedgerAfter | undefined;
  /** The event that was published at an offset; `undefined` if none was. */
  eventAt(epoch: string, offset: number): ServerSentEvent | undefined;
}

/**
 * Takes every message of a subscription, and throws at the first that is wrong:
 * every offset is to be accounted for once, in order, by the event that was
 * published there, a merged range that has all of its deltas, a snapshot or a gap.
 *
 * It goes on over any number of subscriptions, each of which resumes the last.
 */
export class DeliveryLedger {
  readonly #options: LedgerOptions;
  /** The account of every offset, since the reader came first. */
  readonly pieces: Piece[] = [];
  #mode: "all" | "merge" | "latest";
  #wantsSnapshot = false;
  #after: LedgerAfter;
  #subscribed: Of<"subscribed"> | undefined;
  #epoch: string | undefined;
  #seen = 0;
  #stream: ServerSentEvent[] = [];
  #isWhole = true;
  #isLive = false;
  #end: Of<"end"> | undefined;
  /** The reason of the gap that has to come next. */
  #dueGap: Of<"gap">["reason"] | undefined;
  #snapshots = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#mode = options.mode ?? "all";
    this.#after = options.after ?? "start";
    this.#wantsSnapshot = options.snapshot ?? false;
  }

  /** The last offset that was accounted for. */
  get seen(): number {
    return this.#seen;
  }

  /** The position to continue from; `undefined` as long as none was given. */
  get position(): { epoch: string; offset: number } | undefined {
    return this.#epoch === undefined || this.#seen === 0
      ? undefined
      : { epoch: this.#epoch, offset: this.#seen };
  }

  /**
   * The events to be folded: those since the last snapshot, which is the first
   * of them.
   */
  get stream(): readonly ServerSentEvent[] {
    return this.#stream;
  }

  /** Whether {@linkcode stream} has everything from the first event on, or is a snapshot's. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Whether replay has reached the end, in the last subscription. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** The end of the topic, if it has ended. */
  get end():
    | { readonly status: string; readonly reason?: string | undefined }
    | undefined {
    return this.#end;
  }

  /** The number of snapshots received. */
  get snapshots(): number {
    return this.#snapshots;
  }

  /**
   * Another subscription is asked for.
   *
   * @param after Where it begins. Default: where the last has come to.
   * @param request How it differs from the last.
   */
  resume(
    after: LedgerAfter = this.position ?? "start",
    { mode = this.#mode, snapshot = false }: Pick<
      LedgerOptions,
      "mode" | "snapshot"
    > = {},
  ): void {
    this.#after = after;
    this.#mode = mode;
    this.#wantsSnapshot = snapshot;
    this.#subscribed = undefined;
    this.#isLive = false;
    this.#dueGap = undefined;
    this.#end = undefined;
  }

  /** Takes a message of this topic, as it came. */
  take(message: unknown): void {
    const parsed = delivered.safeParse(message);
    if (!parsed.success) return this.#fail("is no message", message);
    const { data } = parsed;
    if (data.type === "subscribed") return this.#onSubscribed(data);
    if (!this.#subscribed) return this.#fail("came before subscribed", message);
    if (this.#end) return this.#fail("came after the end", message);
    if (this.#dueGap && data.type !== "gap") {
      return this.#fail(`came before the gap of ${this.#dueGap}`, message);
    }
    switch (data.type) {
      case "snapshot":
        return this.#onSnapshot(data);
      case "events":
        return this.#onEvents(data);
      case "merged":
        return this.#onMerged(data);
      case "gap":
        return this.#onGap(data);
      case "live":
        this.#expect(!this.#isLive, "came twice", data);
        this.#expect(data.next === this.#seen + 1, "came too early", data);
        this.#isLive = true;
        return;
      case "end":
        this.#expect(data.offset === this.#seen + 1, "came too early", data);
        this.#end = data;
        return;
      case "upstream":
        return;
    }
  }

  #onSubscribed(message: Of<"subscribed">): void {
    this.#expect(!this.#subscribed, "came twice", message);
    this.#subscribed = message;
    const { epoch, first, next, after, recovered, state } = message;
    this.#expect(first >= 1 && first <= next, "is no range", message);
    const asked = this.#after;
    if (asked === "start" || asked === "now") {
      const expected = asked === "start" ? first - 1 : next - 1;
      this.#expect(recovered && after === expected, `is not ${asked}`, message);
      if (after > this.#seen || epoch !== this.#epoch) {
        this.#isWhole = after === 0;
      }
      if (after === 0) this.#stream = [];
    } else if (
      asked.epoch !== epoch ||
      // Behind the end of a log there is nothing but that end.
      asked.offset > next - 1 && state !== "ended"
    ) {
      this.#expect(!recovered && after === first - 1, "recovered", message);
      this.#dueGap = "epoch";
    } else {
      this.#expect(
        after === Math.min(asked.offset, next - 1) &&
          recovered === (asked.offset + 1 >= first),
        "is another position",
        message,
      );
      if (!recovered) this.#dueGap = "evicted";
    }
    this.#epoch = epoch;
    this.#seen = after;
  }

  #onSnapshot(message: Of<"snapshot">): void {
    this.#expect(this.#wantsSnapshot, "was not asked for", message);
    this.#wantsSnapshot = false;
    const { offset, value: { first, events } } = message;
    this.#expect(
      first >= (this.#subscribed?.first ?? 1) && offset >= first,
      "is no range",
      message,
    );
    // With empty deltas there is more than one way to read it.
    let places = new Set([first]);
    for (const event of events) {
      const after = new Set(
        [...places].flatMap((at) => this.#placesAfter(event, at, offset)),
      );
      if (after.size === 0) {
        this.#fail(`has something else at ${[...places]}`, event);
      }
      places = after;
    }
    this.#expect(
      places.has(offset + 1),
      `ends before ${[...places]}`,
      message,
    );
    this.pieces.push({ kind: "snapshot", from: first, to: offset });
    this.#seen = offset;
    this.#stream = [...events];
    this.#isWhole = first === 1;
    this.#snapshots++;
  }

  /**
   * Returns the places at which an event of a snapshot may end that begins
   * here: it can be of many that were published.
   */
  #placesAfter(event: ServerSentEvent, at: number, last: number): number[] {
    const places = isSame(event, this.#eventAt(at)) ? [at + 1] : [];
    const originals: ServerSentEvent[] = [];
    for (let to = at; to <= last; to++) {
      const original = this.#eventAt(to);
      if (!original || original.event !== event.event) break;
      originals.push(original);
      if (originals.length === 1) continue;
      const fit = compare(originals, event.data);
      if (fit === "other") break;
      if (fit === "all" && original.id === event.id) places.push(to + 1);
    }
    return places;
  }

  #onEvents(message: Of<"events">): void {
    for (const [index, event] of message.events.entries()) {
      const at = message.offset + index;
      this.#account("event", at, at, message);
      if (!isSame(event, this.#eventAt(at))) {
        this.#fail(
          `expected ${JSON.stringify(this.#eventAt(at))} at ${at}`,
          event,
        );
      }
      this.#stream.push(event);
    }
  }

  #onMerged(message: Of<"merged">): void {
    const { offset, to, event, data } = message;
    this.#expect(this.#mode === "merge", "is of another mode", message);
    this.#expect(to > offset, "has one event", message);
    this.#account("merged", offset, to, message);
    const originals: ServerSentEvent[] = [];
    for (let at = offset; at <= to; at++) {
      const original = this.#eventAt(at);
      if (!original || original.event !== event) {
        return this.#fail(`has something else at ${at}`, message);
      }
      originals.push(original);
    }
    this.#expect(compare(originals, data) === "all", "is not exact", message);
    this.#stream.push({ event, data, id: originals.at(-1)?.id ?? "" });
  }

  #onGap(message: Of<"gap">): void {
    const { from, to, reason } = message;
    const due = this.#dueGap;
    this.#dueGap = undefined;
    if (due) this.#expect(reason === due, `is not ${due}`, message);
    if (reason === "epoch") {
      this.#expect(due === "epoch", "is of the same log", message);
      this.#expect(from === 1 && to >= this.#seen, "is no beginning", message);
      if (to > 0) this.pieces.push({ kind: reason, from, to });
      this.#seen = to;
      this.#stream = [];
      this.#isWhole = to === 0;
      return;
    }
    this.#expect(
      reason !== "skipped" || this.#mode === "latest",
      "is of another mode",
      message,
    );
    this.#account(reason, from, to, message);
    this.#isWhole = false;
  }

  #account(kind: Piece["kind"], from: number, to: number, why: unknown): void {
    this.#expect(
      from === this.#seen + 1 && to >= from,
      `does not follow ${this.#seen}`,
      why,
    );
    this.#seen = to;
    this.pieces.push({ kind, from, to });
  }

  #eventAt(offset: number): ServerSentEvent | undefined {
    return this.#options.eventAt(this.#epoch ?? "", offset);
  }

  #expect(condition: boolean, what: string, message: unknown): void {
    if (!condition) this.#fail(what, message);
  }

  #fail(what: string, message: unknown): never {
    const text = JSON.stringify(message) ?? "";
    throw new Error(
      `${this.#options.who} (${this.#mode}), at ${this.#epoch}:${this.#seen}: ${what}: ${
        text.slice(0, 500)
      }`,
    );
  }
}

function isSame(a: ServerSentEvent, b: ServerSentEvent | undefined): boolean {
  return b !== undefined && a.event === b.event && a.data === b.data &&
    a.id === b.id;
}

type Json = Record<string, unknown>;

/** A delta of the wire, read the simplest way that can be, without anything of `src/`. */
interface Read {
  readonly text: string;
  readonly logprobs: readonly unknown[];
  readonly number: unknown;
  /** The rest, without what may differ. */
  readonly rest: string;
}

function readAt(data: string, field: string): Read {
  const json: Json = JSON.parse(data);
  const { sequence_number: number } = json;
  for (const left of ["sequence_number", "obfuscation", "created", "p"]) {
    delete json[left];
  }
  const holder = holderOf(json, field);
  const text = holder[field];
  if (typeof text !== "string") throw new TypeError(`no text at ${field}`);
  delete holder[field];
  const owner = field === "delta" ? json : firstOf(json["choices"]);
  const { logprobs } = owner;
  const tokens = Array.isArray(logprobs)
    ? logprobs
    : objectOf(logprobs)["content"];
  delete owner["logprobs"];
  return {
    text,
    logprobs: Array.isArray(tokens) ? tokens : [],
    number,
    rest: JSON.stringify(json),
  };
}

/**
 * The parts read of published events: a snapshot tries one event with more and
 * more others.
 */
const parts = new WeakMap<ServerSentEvent, Map<string, Read>>();

function readPart(original: ServerSentEvent, field: string): Read {
  let known = parts.get(original);
  if (!known) parts.set(original, known = new Map());
  let part = known.get(field);
  if (!part) known.set(field, part = readAt(original.data, field));
  return part;
}

function objectOf(value: unknown): Json {
  // Whatever else an object is, its fields can be looked at.
  return typeof value === "object" && value !== null ? value as Json : {};
}

function firstOf(value: unknown): Json {
  return objectOf(Array.isArray(value) ? value[0] : undefined);
}

/** Returns the object that has the field. */
function holderOf(json: Json, field: string): Json {
  if (field === "delta") return json;
  if (json["type"] === "content_block_delta") return objectOf(json["delta"]);
  const delta = objectOf(firstOf(json["choices"])["delta"]);
  return field === "arguments"
    ? objectOf(firstOf(delta["tool_calls"])["function"])
    : delta;
}

const FIELDS = [
  "delta",
  "content",
  "reasoning",
  "reasoning_content",
  "refusal",
  "arguments",
  "text",
  "thinking",
  "partial_json",
];

/** Whether data is what deltas come to: `more` if it is what they and others could. */
function compare(
  originals: readonly ServerSentEvent[],
  data: string,
): "all" | "more" | "other" {
  let best: "more" | "other" = "other";
  for (const field of FIELDS) {
    try {
      const whole = readAt(data, field);
      const parts = originals.map((original) => readPart(original, field));
      if (parts.some(({ rest }) => rest !== whole.rest)) continue;
      const text = parts.map((part) => part.text).join("");
      const logprobs = parts.flatMap((part) => part.logprobs);
      if (
        text === whole.text && parts.at(-1)?.number === whole.number &&
        JSON.stringify(logprobs) === JSON.stringify(whole.logprobs)
      ) return "all";
      if (whole.text.startsWith(text)) best = "more";
    } catch {
      // It has no such field, or is no JSON.
    }
  }
  return best;
}
