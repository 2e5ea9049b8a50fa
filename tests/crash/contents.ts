/**
 * The contents of topics: everything that may stand at an offset, and every way
 * in which a topic may end.
 *
 * @module
 */
import type { ServerSentEvent } from "../../src/sse/event.ts";

/** The end of a topic. */
export interface End {
  readonly status: string;
  readonly reason?: string | undefined;
}

/** Takes the events of a topic from the first on, and throws at the first that is wrong. */
export type EventCheck = (offset: number, event: ServerSentEvent) => void;

/** The possible contents of a topic. */
export interface Content {
  /** The kind of filler. */
  readonly kind: "published" | "source" | "run";
  /** Makes a check for one reader, who reads everything once. */
  check(): EventCheck;
  /** Throws if the topic may not end so after this number of events. */
  checkEnd(end: End, events: number): void;
}

/**
 * The words of an end that a relay gives to what it fills no longer: one that was
 * killed leaves that to the next one, and one that was told to stop does it itself. A
 * full disk breaks off what cannot be asked for again.
 */
const WORDS = {
  SIGKILL: /^The relay was restarted/,
  SIGTERM: /^The relay was (restarted|closed)/,
  full: /^The relay (was (restarted|closed)|could not store the rest)/,
};

/**
 * The causes that may break a topic off: `full` for a full disk, and `SIGTERM`.
 */
export type Break = keyof typeof WORDS;

/** Makes numbers of a name that look random. */
function hashOf(text: string): number {
  let hash = 2_166_136_261;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 16_777_619);
  }
  return hash >>> 0;
}

/** A padding between 0 and 300 characters that belongs to a name and a number. */
function paddingOf(name: string, n: number): string {
  const hash = hashOf(`${name} ${n}`);
  return hash.toString(36).repeat(5).repeat(hash % 10);
}

/** Returns the data of the event with which a publisher counts. */
export function publishedData(
  topic: string,
  publisher: number,
  n: number,
): string {
  const x = paddingOf(`${topic} ${publisher}`, n);
  return JSON.stringify({ p: publisher, n, x });
}

/** Returns the publisher and the number of an event, as they stand in it. */
export function readPublished(data: string): { p: number; n: number } {
  const { p, n } = JSON.parse(data);
  return { p: Number(p), n: Number(n) };
}

/** The reason that is given where a topic of publishers is ended. */
export const TURNED_OVER = "turned over";

/** A topic of publishers: each of them counts from 1, leaving nothing out. */
export class PublishedContent implements Content {
  readonly kind = "published";
  readonly #topic: string;
  /** Whether somebody has asked for the end. */
  isEnding = false;

  constructor(topic: string) {
    this.#topic = topic;
  }

  check(): EventCheck {
    const counts = new Map<number, number>();
    return (offset, { event, data }) => {
      const { p, n } = readPublished(data);
      const expected = (counts.get(p) ?? 0) + 1;
      counts.set(p, n);
      const whole = publishedData(this.#topic, p, n);
      if (n !== expected || event !== "message" || data !== whole) {
        throw new Error(
          `expected ${expected} of publisher ${p} at ${offset}: got ${event} ${data}`,
        );
      }
    };
  }

  checkEnd({ status, reason }: End): void {
    if (
      !this.isEnding || status !== "complete" ||
      (reason !== undefined && reason !== TURNED_OVER)
    ) throw new Error("nobody has ended it so");
  }
}

/** Returns an event of a source. */
export function sourceEvent(source: string, n: number): ServerSentEvent {
  const data = JSON.stringify({ s: source, n, x: paddingOf(source, n) });
  return { event: n % 3 === 0 ? "third" : "message", data, id: String(n) };
}

function checkEqual(
  offset: number,
  event: ServerSentEvent,
  expected: ServerSentEvent | undefined,
): void {
  if (event.event !== expected?.event || event.data !== expected.data) {
    throw new Error(
      `expected ${JSON.stringify(expected)} at ${offset}: got ${
        JSON.stringify(event)
      }`,
    );
  }
}

/** Whether a topic has ended because of the end of a relay. */
function isBroken({ status, reason }: End, by: Break | undefined): boolean {
  return status === "truncated" && by !== undefined &&
    (reason === undefined || WORDS[by].test(reason));
}

/** A topic of a source: its events in their order, up to its length. */
export class SourceContent implements Content {
  readonly kind = "source";
  readonly #source: string;
  readonly length: number;
  /** Returns the cause that may have broken it off. */
  readonly #broken: () => Break | undefined;

  constructor(
    source: string,
    length: number,
    broken: () => Break | undefined = () => undefined,
  ) {
    this.#source = source;
    this.length = length;
    this.#broken = broken;
  }

  check(): EventCheck {
    return (offset, event) =>
      checkEqual(
        offset,
        event,
        offset <= this.length ? sourceEvent(this.#source, offset) : undefined,
      );
  }

  checkEnd(end: End, events: number): void {
    if (end.status === "complete" && events === this.length) return;
    if (isBroken(end, this.#broken())) return;
    throw new Error(
      `the source has ${this.length} events, and ${
        this.#broken() ? "may break off" : "was not broken off"
      }`,
    );
  }
}

/** Returns all events of a run: a provider answers with as many to each name. */
export function runEvents(name: string): readonly ServerSentEvent[] {
  const count = 5 + hashOf(name) % 40;
  const chunk = (delta: unknown, reason: string | null) => ({
    event: "message",
    data: JSON.stringify({
      id: `chatcmpl-${name}`,
      object: "chat.completion.chunk",
      created: 1,
      model: "m",
      choices: [{ index: 0, delta, finish_reason: reason }],
    }),
    id: "",
  });
  return [
    ...Array.from(
      { length: count },
      (_, n) => chunk({ content: `${n} of ${name}, ` }, null),
    ),
    chunk({}, "stop"),
    { event: "message", data: "[DONE]", id: "" },
  ];
}

/** Returns all events of a background response, each with its number. */
export function responseEvents(name: string): readonly ServerSentEvent[] {
  const count = 10 + hashOf(name) % 60;
  const numbered = (
    type: string,
    sequence_number: number,
    more: Readonly<Record<string, unknown>>,
  ) => ({
    event: type,
    data: JSON.stringify({ type, sequence_number, ...more }),
    id: "",
  });
  const response = (status: string) => ({
    response: { id: responseId(name), background: true, status },
  });
  return [
    numbered("response.created", 0, response("queued")),
    ...Array.from(
      { length: count },
      (_, n) =>
        numbered("response.output_text.delta", n + 1, {
          delta: `${n} of ${name}, `,
        }),
    ),
    numbered("response.completed", count + 1, response("completed")),
  ];
}

/** Returns the id of the response that a run gets. */
export function responseId(name: string): string {
  return `resp_${name}`;
}

/** Whether the provider forgets a response that it is asked for again. */
export function isForgotten(name: string): boolean {
  return hashOf(name) % 6 === 0;
}

/** The words of an end that a relay gives to a response which its provider has forgotten. */
const FORGOTTEN = /The provider has answered 404/;

/** A topic of a background response: whole, whatever becomes of relays. */
export class ResponseContent implements Content {
  readonly kind = "run";
  readonly events: readonly ServerSentEvent[];
  readonly #isForgotten: boolean;
  /**
   * Returns the cause that may have broken the run off, since it was asked for.
   */
  readonly #broken: () => Break | undefined;

  constructor(name: string, broken: () => Break | undefined) {
    this.events = responseEvents(name);
    this.#isForgotten = isForgotten(name);
    this.#broken = broken;
  }

  check(): EventCheck {
    return (offset, event) =>
      checkEqual(offset, event, this.events[offset - 1]);
  }

  isWhole(events: number): boolean {
    return events === this.events.length;
  }

  checkEnd(end: End, events: number): void {
    if (end.status === "complete" && this.isWhole(events)) return;
    const broken = this.#broken();
    // Without an event, a relay does not know that the response is one in the background.
    if (events === 0 && isBroken(end, broken)) return;
    if (broken === "full" && isBroken(end, broken)) return;
    if (
      this.#isForgotten && broken !== undefined &&
      end.status === "truncated" &&
      (end.reason === undefined || FORGOTTEN.test(end.reason))
    ) return;
    throw new Error(
      `the response has ${this.events.length} events, and goes on without a relay`,
    );
  }
}

/** A topic of a run: whole, or broken off by the end of a relay. */
export class RunContent implements Content {
  readonly kind = "run";
  readonly events: readonly ServerSentEvent[];
  /**
   * Returns the cause that may have broken the run off, since it was asked for.
   */
  readonly #broken: () => Break | undefined;

  constructor(name: string, broken: () => Break | undefined) {
    this.events = runEvents(name);
    this.#broken = broken;
  }

  check(): EventCheck {
    return (offset, event) =>
      checkEqual(offset, event, this.events[offset - 1]);
  }

  /**
   * Whether so many events are all of them. A relay that stops does not wait for the
   * last one, which says nothing that the one before it has not said.
   */
  isWhole(events: number): boolean {
    const { length } = this.events;
    return events === length ||
      events === length - 1 && this.#broken() === "SIGTERM";
  }

  checkEnd(end: End, events: number): void {
    const { length } = this.events;
    if (end.status === "complete" && this.isWhole(events)) return;
    if (isBroken(end, this.#broken())) return;
    throw new Error(
      `the run has ${length} events, and ${
        this.#broken() ? "may break off" : "was not broken off"
      }`,
    );
  }
}
