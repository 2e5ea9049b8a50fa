/**
 * A subscriber that comes, stalls and goes, and checks everything that it is told.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { z } from "zod";
import type { LedgerAfter } from "../support/subscribers/delivery_ledger.ts";
import type { Random } from "../support/random.ts";
import { readReference } from "../support/recordings/reference_events.ts";
import type { Closing, Line } from "./line.ts";
import { Reading, type ReadingOptions } from "./reading.ts";
import { EventStreamLine, WebSocketLine } from "./socket_line.ts";
import { count, type Door, type Settings, type World } from "./world.ts";

/** The ways of a subscriber. */
export interface SubscriberOptions extends ReadingOptions {
  readonly door: "one" | "many" | "sse";
  /** One, but for the door to many. */
  readonly topics: readonly string[];
  /** The probability of a stall, a departure or a change in a step. */
  readonly restlessness: number;
}

/** Somebody who hears nothing for so long though there is something is stuck. */
const STUCK = { ticks: 500, time: 15_000 };

/** A message, of a topic or not. */
const anyMessage = z.looseObject({
  type: z.string(),
  topic: z.string().optional(),
});

function textOf(after: LedgerAfter): string {
  return typeof after === "string" ? after : `${after.epoch}:${after.offset}`;
}

/** A subscriber, by turns there and away. */
export class Subscriber {
  readonly #who: string;
  readonly #options: SubscriberOptions;
  readonly #random: Random;
  readonly #world: World;
  readonly #readings: ReadonlyMap<string, Reading>;
  /** The topics that it follows over the door to many. */
  readonly #present = new Set<Reading>();
  readonly #gone: Promise<void>[] = [];
  #line: Line | undefined;
  #isOpen = false;
  #backAt = 0;
  #stalledUntil = 0;
  #withholdsUntil = 0;
  /** The relay that it is connected to, or was last. */
  #at: Door;
  #incarnation = 0;
  #absences = 0;
  /** Of the relay that it is connected to. */
  #settings: Settings;
  /** Since the connection was opened: what can make the relay cut it. */
  #hasStalled = false;
  #hasWithheld = false;
  #hasGoodbye = false;
  #isDone = false;
  #messages = 0;
  #epoch = "";
  #heard = { tick: 0, time: 0 };

  constructor(
    who: string,
    options: SubscriberOptions,
    random: Random,
    world: World,
  ) {
    this.#who = `${who} (${options.door})`;
    this.#options = options;
    this.#random = random;
    this.#world = world;
    this.#settings = world.settings;
    [this.#at] = world.doors;
    this.#readings = new Map(
      options.topics.map((topic) => [
        topic,
        new Reading(this.#who, topic, options, world),
      ]),
    );
    this.#backAt = random.integer(0, 60);
  }

  /** Whether everything was read to its end, in the calm at the end of a run. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** The missing events, for the message of a wait that failed. */
  get state(): string {
    return `${this.#who} ${this.#line ? "present" : "away"}: ${
      [...this.#readings.values()].map(({ state }) => state).join("; ")
    }`;
  }

  /** Makes a step. */
  step(): void {
    const { tick, isCalm } = this.#world;
    // As many draws whatever the network does, so that a seed is a schedule.
    const [what, how, long] = [
      this.#random.next(),
      this.#random.next(),
      this.#random.integer(1, 60),
    ];
    if (!this.#line) {
      if (isCalm && this.#isDone) return;
      if (tick >= this.#backAt || isCalm) this.#open();
      return;
    }
    this.#checkHeard();
    if (this.#stalledUntil > tick && !isCalm) return;
    if (this.#stalledUntil > 0) {
      this.#stalledUntil = 0;
      this.#line.resume();
      this.#hear();
    }
    if (isCalm || this.#withholdsUntil <= tick) this.#acknowledge(isCalm, how);
    if (isCalm) return this.#subscribeToAll();
    const { restlessness, door } = this.#options;
    const share = what / restlessness;
    const isMany = door === "many";
    if (share >= 1) return;
    if (isMany && share < 0.5) {
      this.#change(how);
    } else if (share < 0.7) {
      this.#world.tally.stalls++;
      this.#line.pause();
      this.#hasStalled = true;
      this.#stalledUntil = tick + long * (how < 0.2 ? 5 : 1);
    } else if (share < 0.9) {
      this.#leave(how < 0.5 ? "reset" : how < 0.75 ? "fin" : "close", long);
    } else if (this.#options.window !== undefined) {
      this.#hasWithheld = true;
      this.#withholdsUntil = tick + long;
    }
  }

  /** Leaves for good, and resolves when nothing is left. */
  async dispose(): Promise<void> {
    this.#line?.leave("reset");
    this.#line = undefined;
    await Promise.all(this.#gone);
  }

  get #only(): Reading {
    const [reading] = this.#readings.values();
    return reading!; // there is one at least
  }

  #open(): void {
    const { tally, doors } = this.#world;
    if (doors.length > 1) this.#at = this.#random.pick(doors);
    const { port } = this.#at;
    const { door, mode, window, snapshot } = this.#options;
    let path = "/ws";
    if (door !== "many") {
      const reading = this.#only;
      const after = reading.choose(this.#random);
      reading.begin(after);
      const query = new URLSearchParams({ after: textOf(after) });
      if (mode !== "all") query.set("mode", mode);
      if (window !== undefined) query.set("window", String(window));
      if (snapshot) query.set("snapshot", "true");
      path = `/topics/${reading.topic}?${query}`;
    }
    this.#incarnation = this.#at.incarnation;
    this.#absences = this.#at.absences;
    this.#settings = this.#world.settings;
    this.#isOpen = false;
    this.#hasStalled = false;
    this.#hasWithheld = false;
    this.#hasGoodbye = false;
    this.#stalledUntil = 0;
    this.#withholdsUntil = 0;
    this.#messages = 0;
    this.#epoch = "";
    this.#hear();
    const events = {
      onOpen: (headers: Headers) => {
        // A request before `welcome` would be made again then.
        this.#isOpen = door !== "many";
        // It may be the next relay that has answered.
        if (this.#mayRestart) this.#settings = this.#world.settings;
        this.#epoch = headers.get("rivulet-epoch") ?? "";
        this.#hear();
      },
      onMessage: (payload: Uint8Array, bytes: number) => {
        this.#hear();
        if (door === "sse") this.#onBlocks(payload);
        else this.#onPayload(payload, bytes);
        if (this.#world.isCalm) this.#acknowledge(true, 0);
      },
      onClose: (closing: Closing) => {
        this.#line = undefined;
        const kind = closing.kind === "code"
          ? closing.code
          : closing.kind === "refused"
          ? closing.status
          : closing.kind;
        count(tally.closings, String(kind));
        if (!this.#mayClose(closing)) {
          this.#world.fail(
            new Error(`closed (${JSON.stringify(closing)}): ${this.state}`),
          );
        }
        this.#afterClose();
      },
      onError: (error: unknown) => {
        this.#line = undefined;
        this.#world.fail(error);
      },
    };
    const line = door === "sse"
      ? new EventStreamLine(port, path, events)
      : new WebSocketLine(port, path, events);
    this.#line = line;
    const gone = line.gone.then(() => {
      this.#gone.splice(this.#gone.indexOf(gone), 1);
    });
    this.#gone.push(gone);
  }

  #hear(): void {
    this.#heard = { tick: this.#world.tick, time: performance.now() };
  }

  /** That the relay says nothing though it could is also wrong. */
  #checkHeard(): void {
    const { tick } = this.#world;
    const { isGoing, isAlone } = this.#at;
    const isWaiting = !this.#isOpen ||
      [...this.#followed].some((reading) => reading.isWaiting);
    const mayWait = isGoing || isAlone || this.#stalledUntil > 0 ||
      this.#withholdsUntil > 0 && this.#options.window !== undefined;
    if (!isWaiting || mayWait) return this.#hear();
    if (
      tick - this.#heard.tick > STUCK.ticks &&
      performance.now() - this.#heard.time > STUCK.time
    ) this.#world.fail(new Error(`${this.state}: nothing came for too long`));
  }

  get #followed(): Iterable<Reading> {
    return this.#options.door === "many"
      ? this.#present
      : this.#readings.values();
  }

  #acknowledge(isAll: boolean, how: number): void {
    if (this.#options.window === undefined || !this.#isOpen) return;
    if (!isAll && how < 0.3) return;
    this.#withholdsUntil = 0;
    for (const reading of this.#followed) {
      const range = reading.unacknowledged;
      if (!range) continue;
      const offset = isAll || how < 0.8
        ? range.last
        : Math.floor((range.first + range.last) / 2);
      reading.ack(offset);
      this.#line?.say({ type: "ack", topic: reading.topic, offset });
    }
  }

  #leave(how: "reset" | "fin" | "close", long: number): void {
    count(this.#world.tally.departures, how);
    this.#line?.leave(how);
    this.#line = undefined;
    this.#present.clear();
    this.#backAt = this.#world.tick + long;
  }

  /** Follows one topic more, or less. */
  #change(how: number): void {
    if (!this.#isOpen) return;
    const all = [...this.#readings.values()];
    const reading = all[Math.floor(how * all.length)]!; // one of them
    if (!this.#present.has(reading) || reading.hasEnded) {
      return this.#subscribe(reading);
    }
    // Without an answer, nothing that comes later can be told apart from it.
    if (!reading.isSubscribed) return;
    count(this.#world.tally.departures, "unsubscribe");
    this.#present.delete(reading);
    this.#line?.say({ type: "unsubscribe", topic: reading.topic });
  }

  #subscribe(reading: Reading): void {
    const { mode, window, snapshot } = this.#options;
    const after = reading.choose(this.#random);
    reading.begin(after);
    this.#present.add(reading);
    this.#line?.say({
      type: "subscribe",
      topic: reading.topic,
      after: textOf(after),
      mode,
      ...(window !== undefined && { window }),
      ...(snapshot && { snapshot }),
    });
  }

  /** In the calm, what was left is taken up again. */
  #subscribeToAll(): void {
    if (this.#options.door !== "many" || !this.#isOpen) return;
    const all = [...this.#readings.values()];
    for (const reading of all) {
      if (!this.#present.has(reading)) this.#subscribe(reading);
    }
    if (all.every(({ hasEnded }) => hasEnded)) {
      this.#isDone = true;
      this.#line?.leave("close");
      this.#line = undefined;
    }
  }

  #onPayload(payload: Uint8Array, bytes: number): void {
    const { door } = this.#options;
    if (door === "one" && this.#only.takeFrame(payload, bytes)) return;
    const value = JSON.parse(
      Buffer.from(payload.buffer, payload.byteOffset, payload.length)
        .toString(),
    );
    const message = anyMessage.parse(value);
    const { type, topic } = message;
    if ((type === "welcome") !== (this.#messages++ === 0)) {
      throw new Error(`${this.#who}: ${type} as message ${this.#messages}`);
    }
    if (this.#hasGoodbye) {
      throw new Error(`${this.#who}: ${type} after goodbye`);
    }
    switch (type) {
      case "welcome":
        if (door === "one") return;
        this.#isOpen = true;
        for (const reading of this.#readings.values()) {
          if (this.#world.isCalm || this.#random.chance(0.7)) {
            this.#subscribe(reading);
          }
        }
        return;
      case "heartbeat":
        this.#world.tally.heartbeats++;
        return;
      case "goodbye":
        this.#hasGoodbye = true;
        if (this.#mayRestart) return;
        break;
      case "error":
        if (this.#onRefused(message)) return;
        break;
      default: {
        const reading = this.#readings.get(topic ?? "");
        if (!reading) break;
        if (!this.#present.has(reading) && door === "many") return; // it has left
        // The rest of the subscription before.
        if (!reading.isSubscribed && type !== "subscribed") {
          if (door === "many") return;
          break;
        }
        return reading.take(message, bytes);
      }
    }
    throw new Error(`did not expect ${JSON.stringify(message)}: ${this.state}`);
  }

  /** An error came; returns whether it may. */
  #onRefused(message: Record<string, unknown>): boolean {
    const reading = this.#readings.get(String(message["topic"]));
    if (!reading) return false;
    switch (message["code"]) {
      case "not_subscribed":
        // The end, and this side's leaving, have crossed.
        return this.#options.door === "many";
      case "unknown_topic":
        this.#present.delete(reading);
        return !this.#settings.awaitTopics;
      case "store_failed":
        this.#present.delete(reading);
        return this.#mayBeAlone || this.#mayRestart;
      default:
        return false;
    }
  }

  #onBlocks(text: Uint8Array): void {
    for (const block of readReference(Buffer.from(text).toString())) {
      const { event, data, id, unknown } = block;
      const [epoch, digits] = id.split(":");
      if (id !== "" && epoch !== this.#epoch) {
        throw new Error(`${this.state}: ${id} is not of ${this.#epoch}`);
      }
      const offset = Number(digits);
      const isOwn = event.startsWith("rivulet.");
      const message = isOwn ? JSON.parse(data) : {
        type: "events",
        offset,
        events: [{ event, data, id: unknown["upstream-id"] ?? "" }],
      };
      if (isOwn && event !== `rivulet.${message.type}`) {
        throw new Error(`${this.state}: ${event} is ${data}`);
      }
      const last = message.type === "end" ? message.offset : message.to;
      if (isOwn && last > 0 && offset !== last) {
        throw new Error(`${this.state}: ${data} has the id ${id}`);
      }
      const reading = this.#only;
      if (!reading.isSubscribed) {
        // It says nothing of where the reader stands.
        if (message.type === "upstream") continue;
        reading.take(subscribedOf(reading.after, this.#epoch, message), 0);
      }
      reading.take(message, text.length);
    }
  }

  /** Whether the relay that it is connected to goes, or has gone. */
  get #mayRestart(): boolean {
    const { isGoing, incarnation } = this.#at;
    return isGoing || this.#incarnation !== incarnation;
  }

  /** Whether the relay where the topics live was away since this side connected. */
  get #mayBeAlone(): boolean {
    return this.#at.isAlone || this.#absences !== this.#at.absences;
  }

  /** Whether this side may have stood still: beside processes, it may get no time for long. */
  get #mayStall(): boolean {
    return this.#hasStalled || this.#world.isBehind;
  }

  #mayClose(closing: Closing): boolean {
    const settings = this.#settings;
    const isRestart = this.#mayRestart;
    const { door } = this.#options;
    const isAtEnd = door !== "many" && this.#only.hasEnded;
    const isSlow = settings.onSlow === "close" &&
      settings.slowTimeout < Infinity &&
      (this.#mayStall || this.#hasWithheld);
    switch (closing.kind) {
      case "code":
        if (closing.code === 1000) return isAtEnd;
        if (closing.code === 4408) return isSlow || isRestart;
        if (closing.code === 1011) return this.#mayLackLog(isRestart);
        if (closing.code === 4412) return this.#mayStall || isRestart;
        return closing.code === 1012 && isRestart && this.#hasGoodbye;
      case "end":
        return isAtEnd || isRestart;
      case "cut":
        return this.#mayStall || isSlow || this.#mayLackLog(isRestart) ||
          // The log may be gone before anything of it was told.
          this.#mayBeAlone && door === "sse" && !this.#only.isSubscribed ||
          isRestart;
      case "refused":
        if (closing.status === 204) return this.#wasAtEnd();
        if (closing.status === 404) {
          return !settings.awaitTopics ||
            isRestart && !this.#world.settings.awaitTopics;
        }
        return isRestart || closing.status === 503 && this.#mayBeAlone;
    }
  }

  /**
   * Whether a log may be unreadable that lives in another relay: that one was killed, or the
   * log was deleted or has expired, and the rest is read by those alone who have got it.
   */
  #mayLackLog(isRestart: boolean): boolean {
    const isGone = [...this.#readings.values()].some(({ mayBeGone }) =>
      mayBeGone
    );
    return this.#world.isBehind && (isRestart || isGone);
  }

  /** Whether the position that was asked for is the end of a log, or behind it. */
  #wasAtEnd(): boolean {
    const { after, topic } = this.#only;
    if (typeof after === "string") return false;
    const generation = this.#world.truth.at(after.epoch);
    return generation?.name === topic &&
      generation.verdict !== undefined &&
      after.offset > generation.count;
  }

  #afterClose(): void {
    const { isCalm, tick } = this.#world;
    this.#present.clear();
    this.#backAt = tick + this.#random.integer(0, 40);
    const { door } = this.#options;
    this.#isDone = isCalm && door !== "many" &&
      (this.#only.hasEnded || door === "sse" && this.#wasAtEnd());
  }
}

/** The first message on an event stream. */
interface First {
  readonly type: string;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  readonly offset: number;
  readonly next: number;
}

/**
 * Returns the `subscribed` that a WebSocket would have received before that: an
 * event stream begins at once.
 */
function subscribedOf(after: LedgerAfter, epoch: string, first: First) {
  const subscribed = { type: "subscribed", epoch, state: "open" };
  const isGap = first.type === "gap";
  const next = first.to + 1;
  if (isGap && first.reason === "epoch") {
    return {
      ...subscribed,
      first: next,
      next,
      after: first.to,
      recovered: false,
    };
  }
  const begin = isGap
    ? first.from
    : first.type === "live"
    ? first.next
    : first.offset;
  const here = { ...subscribed, after: begin - 1 };
  if (after === "start") {
    return { ...here, first: begin, next: begin, recovered: true };
  }
  if (after === "now") {
    return { ...here, first: 1, next: begin, recovered: true };
  }
  return isGap && first.reason === "evicted"
    ? { ...here, first: next, next, recovered: false }
    : { ...here, first: 1, next: after.offset + 1, recovered: true };
}
