/**
 * Those who read topics through every door, one topic after the other, and who come
 * back with their position.
 *
 * @module
 */
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { readEvents } from "../../src/sse/read_events.ts";
import { openSocket } from "../support/client/client_socket.ts";
import { DeliveryLedger } from "../support/subscribers/delivery_ledger.ts";
import type { Random } from "../support/random.ts";
import { describe, readPage } from "./pages.ts";
import { Reading } from "./reading.ts";
import { followByClient, followByEventSource } from "./resuming.ts";
import type { Told, TopicRecord } from "./topic_record.ts";
import type { World } from "./world.ts";

/** The doors at which a follower reads. */
export const DOORS = [
  "one",
  "many",
  "sse",
  "raw",
  "page",
  "client",
  "EventSource",
] as const;

type Door = typeof DOORS[number];

/** Gives a follower the topics that it reads, one after the other. */
export type Itinerary = () => Promise<TopicRecord>;

/**
 * The codes with which a relay that is stopped closes, and a connection that is cut, or is
 * given up by a relay that was paused itself.
 */
const AWAY = [1006, 1012, 4412];

/** A subscriber that stays for as long as there are topics. */
export class Follower {
  readonly who: string;
  readonly #door: Door;
  readonly #world: World;
  readonly #random: Random;
  readonly #itinerary: Itinerary;
  #reading: Reading | undefined;
  /** The number of the relay that it has reached last. */
  #reached = 0;

  constructor(
    index: number,
    door: Door,
    itinerary: Itinerary,
    world: World,
    random: Random,
  ) {
    this.who = `follower ${index} (${door})`;
    this.#door = door;
    this.#itinerary = itinerary;
    this.#world = world;
    this.#random = random;
  }

  /** The topic that it reads, and how far it has come. */
  get state(): string {
    const reading = this.#reading;
    return `${this.who} at ${reading?.record.name} ${reading?.seen}/${reading?.record.known}`;
  }

  /** Whether the relay that there is has given it all events that were told. */
  hasCaughtUp(targets: ReadonlyMap<TopicRecord, Told>): boolean {
    const reading = this.#reading;
    return reading !== undefined && this.#reached === this.#world.starts &&
      (reading.hasEnded ||
        reading.seen >= (targets.get(reading.record)?.events ?? 0));
  }

  /** Whether it has all events that were told, from whichever relay. */
  hasRead(targets: ReadonlyMap<TopicRecord, Told>): boolean {
    const reading = this.#reading;
    return reading !== undefined &&
      (reading.hasEnded ||
        reading.seen >= (targets.get(reading.record)?.events ?? 0));
  }

  /** Follows. */
  async run(): Promise<void> {
    for (;;) {
      const record = await this.#itinerary();
      const reading = new Reading(record, this.who, this.#world);
      this.#reading = reading;
      const visit = this.#visitorOf(reading);
      while (!reading.hasEnded) {
        await this.#world.back();
        if (reading.seen > 0) this.#world.tally.resumed++;
        await visit();
      }
    }
  }

  readonly #onReached = (start: number): void => {
    this.#reached = Math.max(this.#reached, start);
  };

  #visitorOf(reading: Reading): () => Promise<void> {
    switch (this.#door) {
      case "one":
      case "many": {
        const ledger = this.#ledger();
        return () => this.#overWebSocket(reading, ledger);
      }
      case "sse":
        return () => this.#overSse(reading, "");
      case "raw":
        return () => this.#overSse(reading, "raw");
      case "page":
        return () => this.#page(reading);
      case "client":
        return () => followByClient(reading, this.#world, this.#onReached);
      case "EventSource":
        return () => followByEventSource(reading, this.#world, this.#onReached);
    }
  }

  /** Makes a ledger of positions: what the events have to be is the record's matter. */
  #ledger(): DeliveryLedger {
    return new DeliveryLedger({
      who: this.who,
      eventAt: () => this.#event,
    });
  }

  /** The event that is being taken. */
  #event: ServerSentEvent | undefined;

  async #overWebSocket(
    reading: Reading,
    ledger: DeliveryLedger,
  ): Promise<void> {
    const world = this.#world;
    const { ends, starts } = world;
    const { record, position } = reading;
    const isOne = this.#door === "one";
    const query = `after=${position}`;
    const { promise, resolve } = Promise.withResolvers<number>();
    let failure: unknown;
    this.#isRefused = false;
    ledger.resume();
    const socket = openSocket(
      "ws",
      world.url.replace("http", "ws") +
        (isOne ? `/topics/${record.name}?${query}` : "/ws"),
      {
        onOpen: () => {
          if (isOne) return;
          const topic = record.name;
          socket.send(
            JSON.stringify({ type: "subscribe", topic, after: position }),
          );
        },
        onText: (text) => {
          try {
            if (failure === undefined && this.#take(reading, ledger, text)) {
              this.#reached = starts;
            }
            if (reading.hasEnded || this.#isRefused) socket.close();
          } catch (error) {
            failure ??= error;
            socket.destroy();
          }
        },
        onClose: resolve,
      },
    );
    const leave = () => socket.destroy();
    world.over.addEventListener("abort", leave);
    const code = await promise;
    world.over.removeEventListener("abort", leave);
    if (failure !== undefined) throw failure;
    if (reading.hasEnded || this.#isRefused) return;
    // Others may have forgotten what nobody had filled while its relay was cut off.
    const isForgotten = code === 1011 && reading.seen === 0 && world.isShared;
    if (!AWAY.includes(code) && !isForgotten) {
      record.fail(this.who, `closed with ${code}`);
    }
    world.excuse(ends, `${this.state} was closed with ${code}`);
  }

  /** Takes a message; returns whether it is of the subscription. */
  #take(reading: Reading, ledger: DeliveryLedger, text: string): boolean {
    const message = JSON.parse(text);
    const { record } = reading;
    switch (message.type) {
      case "welcome":
      case "heartbeat":
      case "goodbye":
        return false;
      case "gap":
        return record.fail(this.who, text);
      case "error":
        if (message.code === "draining") return false;
        if (message.code === "store_failed" && this.#world.mayRefuse) {
          this.#isRefused = true;
          return false;
        }
        return record.fail(this.who, text);
      case "subscribed":
        // A topic that nobody has filled is another one each time.
        if (reading.seen > 0 && message.epoch !== record.epoch) {
          record.fail(this.who, `${text}, which was ${record.epoch}`);
        }
        this.#epoch = message.epoch;
        ledger.take(message);
        return true;
      case "events":
        // The ledger holds its position to that of the record, one event at a time.
        for (const [index, sent] of message.events.entries()) {
          const { event = "message", data, id = "" } = sent;
          const offset = message.offset + index;
          this.#event = { event, data, id };
          reading.event(this.#epoch, offset, this.#event);
          ledger.take({ ...message, offset, events: [sent] });
        }
        return true;
      case "end":
        ledger.take(message);
        reading.end(this.#epoch, message.status, message.reason);
        return true;
      default:
        ledger.take(message);
        return true;
    }
  }

  /** Whether the store could not say what it is asked for. */
  #isRefused = false;

  /** The epoch of the subscription. */
  #epoch = "";

  async #overSse(reading: Reading, raw: "" | "raw"): Promise<void> {
    const world = this.#world;
    const { ends, starts } = world;
    const { record, position } = reading;
    const response = await this.#request(
      `/topics/${record.name}?${raw === "raw" ? "raw&" : ""}after=start`,
      position,
      ends,
    );
    if (!response) return;
    const { status, headers, body } = response;
    const epoch = headers.get("rivulet-epoch") ?? "";
    if (status === 204) {
      this.#reached = starts;
      const verdict = headers.get("rivulet-end") ?? "";
      return reading.end(record.epoch ?? "", verdict, undefined);
    }
    if (status === 503) {
      await body?.cancel();
      return world.excuse(ends, `${this.state} was sent away`);
    }
    if (status !== 200 || !body) {
      const text = await response.text();
      return record.fail(this.who, `${position}: ${status} ${text}`);
    }
    this.#reached = starts;
    try {
      for await (const event of readEvents(body, { signal: world.over })) {
        if (raw === "raw") reading.event(epoch, reading.seen + 1, event);
        else reading.ofStream(epoch, event);
      }
    } catch (error) {
      world.over.throwIfAborted();
      if (!(error instanceof TypeError)) throw error;
      if (raw === "raw") return await this.#afterRaw(reading, ends, "cut");
      return world.excuse(ends, `${this.state} was cut`, error);
    }
    if (raw === "raw") return await this.#afterRaw(reading, ends, "whole");
    if (!reading.hasEnded) world.excuse(ends, `${this.state} has ended`);
  }

  /** A reader of `raw` was told of the end by that of the body alone. */
  async #afterRaw(
    reading: Reading,
    ends: number,
    body: "cut" | "whole",
  ): Promise<void> {
    const told = await describe(this.#world, reading.record.name);
    // The list is that of the file, which has no topic that was begun meanwhile.
    if (!told && this.#world.isFull) return;
    if (!told?.end) {
      return this.#world.excuse(ends, `${this.state}: the body is ${body}`);
    }
    const { epoch, next, end: { status, reason } } = told;
    if (
      body === "whole" && (status !== "complete" || reading.seen < next - 1)
    ) {
      reading.record.fail(
        this.who,
        `${status} at ${next}, but the body is whole`,
      );
    }
    if (reading.seen === next - 1) return reading.end(epoch, status, reason);
    if (status === "complete") {
      this.#world.excuse(ends, `${this.state}: the body is ${body}`);
    }
  }

  async #request(
    path: string,
    position: string,
    ends: number,
  ): Promise<Response | undefined> {
    try {
      return await this.#world.fetch(path, {
        headers: {
          Accept: "text/event-stream",
          ...position !== "start" && { "Last-Event-ID": position },
        },
      });
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.#world.excuse(ends, `${path} has failed`, error);
      return undefined;
    }
  }

  async #page(reading: Reading): Promise<void> {
    const { record } = reading;
    const { starts } = this.#world;
    const page = await readPage(this.#world, record, reading.seen, this.who);
    if (!page) return;
    this.#reached = starts;
    for (const [index, event] of page.events.entries()) {
      reading.event(record.epoch ?? "", page.offset + index, event);
    }
    if (page.isLast) {
      const told = await describe(this.#world, record.name);
      if (told?.end) reading.end(told.epoch, told.end.status, told.end.reason);
    } else await this.#world.pause(this.#random.pick([10, 50, 150]));
  }
}
