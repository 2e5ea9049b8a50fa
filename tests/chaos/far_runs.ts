/**
 * Runs through the gateways of relays in other processes, which are killed meanwhile: their
 * callers, those who join them, and those who follow their topics.
 *
 * @module
 */
import { z } from "zod";
import { subscribe, SubscriptionError } from "../../relay/client/mod.ts";
import { readEvents } from "../../src/sse/read_events.ts";
import {
  type Break,
  type End,
  ResponseContent,
  RunContent,
} from "../crash/contents.ts";
import type { Random } from "../support/random.ts";
import { LIMIT, until, within } from "../support/within.ts";
import type { Ground, Place } from "./grounds.ts";

/** The counts of all runs. */
export interface RunsTally {
  /** The runs that had a stream, by the ends of their topics; `lost` and `gone` if there is no topic. */
  readonly ends: Record<string, number>;
  /** The callers that were given the whole of a run, and those that were cut off. */
  whole: number;
  cut: number;
  /** The callers that joined a run at another relay. */
  joined: number;
}

/** Makes a tally of nothing. */
export function emptyRunsTally(): RunsTally {
  return { ends: {}, whole: 0, cut: 0, joined: 0 };
}

const FOLLOWERS = 3;

const described = z.object({
  state: z.enum(["pending", "open", "ended"]),
  epoch: z.string(),
  next: z.int(),
  end: z.object({ status: z.string(), reason: z.string().optional() })
    .optional(),
});

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Makes one run after the other, each at some relay. */
export class FarRunner {
  readonly #name: string;
  readonly #ground: Ground;
  readonly #random: Random;
  readonly #tally: RunsTally;

  constructor(name: string, ground: Ground, random: Random, tally: RunsTally) {
    this.#name = name;
    this.#ground = ground;
    this.#random = random;
    this.#tally = tally;
  }

  /** Makes runs until it is told to stop: the last one comes to its end. */
  async run(stop: AbortSignal): Promise<void> {
    for (let count = 0; !stop.aborted; count++) {
      const run = new FarRun(
        `${this.#name}.${count}`,
        this.#ground,
        this.#random,
        this.#tally,
      );
      try {
        await run.play();
      } catch (cause) {
        throw new Error(
          `${run}: ${cause instanceof Error ? cause.message : cause}`,
          {
            cause,
          },
        );
      }
      await pause(this.#random.integer(0, 500));
    }
  }
}

/** One run, and all who have to do with it. */
class FarRun {
  readonly #topic: string;
  readonly #ground: Ground;
  readonly #random: Random;
  readonly #tally: RunsTally;
  readonly #place: Place;
  readonly #isBackground: boolean;
  readonly #content: RunContent | ResponseContent;
  readonly #incarnation: number;
  readonly #forgotten: number;
  readonly #longAbsences: number;
  readonly #left = new AbortController();

  constructor(
    topic: string,
    ground: Ground,
    random: Random,
    tally: RunsTally,
  ) {
    this.#topic = topic;
    this.#ground = ground;
    this.#random = random;
    this.#tally = tally;
    this.#place = random.pick(ground.places);
    this.#isBackground = random.chance(0.4);
    const Content = this.#isBackground ? ResponseContent : RunContent;
    this.#content = new Content(topic, () => this.#broken);
    // One that is dying is another one soon.
    this.#incarnation = this.#place.isGoing ? NaN : this.#place.incarnation;
    this.#forgotten = ground.forgotten;
    this.#longAbsences = ground.longAbsences;
  }

  toString(): string {
    const kind = this.#isBackground ? "background response" : "run";
    return `The ${kind} ${this.#topic} of ${this.#place.name}`;
  }

  async play(): Promise<void> {
    const { changes } = this.#ground;
    const response = await this.#ask(this.#place);
    if (response?.status !== 200 || !response.body) {
      const told = response && `${response.status} ${await response.text()}`;
      if (this.#ground.isChanging || this.#ground.changes !== changes) return;
      throw new Error(`Expected a stream, got ${told}`);
    }
    const epoch = response.headers.get("rivulet-epoch");
    const parts: Promise<void>[] = [
      this.#read(this.#place, response.body, false),
      ...Array.from(
        { length: FOLLOWERS },
        () => this.#follow(this.#random.pick(this.#ground.places), epoch),
      ),
    ];
    if (this.#random.chance(0.5)) parts.push(this.#join());
    const all = Promise.all(parts);
    all.catch(() => {}); // it is waited for below
    const end = await Promise.race([
      this.#end(epoch),
      all.then(() => this.#end(epoch)),
    ]);
    const { ends } = this.#tally;
    ends[end] = (ends[end] ?? 0) + 1;
    // Where there is no topic any more, nobody is told of its end.
    if (end === "lost" || end === "gone") this.#left.abort();
    try {
      await within(all, LIMIT, "all to be told the end");
    } catch (error) {
      if (this.#isLost || await this.#end(epoch) === "gone") return;
      throw error;
    } finally {
      this.#left.abort();
      await all.catch(() => {});
    }
  }

  /** The cause that may have broken the run off. */
  get #broken(): Break | undefined {
    const isKilled = this.#place.incarnation !== this.#incarnation ||
      this.#place.isGoing || this.#ground.longAbsences > this.#longAbsences;
    return isKilled ? "SIGKILL" : undefined;
  }

  /** Whether its topic may have gone with the memory of a relay. */
  get #isLost(): boolean {
    return this.#ground.forgotten > this.#forgotten;
  }

  async #ask({ url }: Place): Promise<Response | undefined> {
    const [path, asked] = this.#isBackground
      ? ["responses", { background: true, input: this.#topic }]
      : ["chat/completions", {
        messages: [{ role: "user", content: this.#topic }],
      }];
    try {
      return await within(
        fetch(`${url}/v1/${path}`, {
          method: "POST",
          headers: {
            "Content-Type": "application/json",
            "Idempotency-Key": this.#topic,
            "Rivulet-Topic": this.#topic,
          },
          body: JSON.stringify({ model: "m", stream: true, ...asked }),
        }),
        LIMIT,
        "an answer",
      );
    } catch (error) {
      if (error instanceof TypeError) return undefined; // it is not there
      throw error;
    }
  }

  /** Makes the same request at another relay. */
  async #join(): Promise<void> {
    await pause(this.#random.integer(0, 1_000));
    const place = this.#random.pick(this.#ground.places);
    const response = await this.#ask(place);
    if (
      !response?.body || response.headers.get("idempotent-replayed") === null
    ) {
      // It is away, or the beginning of the run is: another test says when.
      return await response?.body?.cancel();
    }
    this.#tally.joined++;
    await this.#read(place, response.body, true);
  }

  /** Reads an answer: of one that is cut, what has come is right. */
  async #read(
    place: Place,
    body: ReadableStream<Uint8Array>,
    isJoined: boolean,
  ): Promise<void> {
    const { incarnation, isGoing } = place;
    const check = this.#content.check();
    let count = 0;
    try {
      for await (const event of readEvents(body)) check(++count, event);
      if (!this.#content.isWhole(count)) {
        throw new Error(`A whole answer has ${count} events`);
      }
      this.#tally.whole++;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.#tally.cut++;
      const isKilled = isGoing || place.isGoing ||
        place.incarnation !== incarnation;
      if (isKilled || isJoined) return;
      if (this.#isBackground && this.#broken) return;
      throw new Error(`Its caller was cut off by ${place.name}, which lives`);
    }
  }

  /** Follows the topic at a relay, which it comes back to. */
  async #follow(place: Place, epoch: string | null): Promise<void> {
    const { signal } = this.#left;
    const check = this.#content.check();
    // It begins with the first event that is retained.
    let seen: number | undefined;
    const take = (what: string, from: number, to: number): void => {
      if (from !== (seen ?? from - 1) + 1) {
        throw new Error(`At ${place.name}, ${what} ${from} came after ${seen}`);
      }
      seen = to;
    };
    const end = (told: End): void => {
      if (seen !== undefined) this.#checkEnd(told, seen);
    };
    try {
      await using subscription = subscribe(
        `${place.url}/topics/${this.#topic}`,
        { signal, reconnect: { minTimeout: 20, maxTimeout: 500 } },
      );
      for await (const message of subscription) {
        if (message.type === "event") {
          take("event", message.offset, message.offset);
          check(message.offset, message);
        } else if (message.type === "gap") {
          if (this.#isLost) return;
          const { from, to, reason } = message;
          if (reason === "epoch") {
            // It has ended while this one was away, and its time is over.
            const told = await this.#describe(place);
            const isOpen = told !== undefined && told !== "gone" &&
              told.epoch === epoch && told.state === "open";
            if (!isOpen) return;
            throw new Error(`At ${place.name}, another log came after ${seen}`);
          }
          take(reason, from, to);
        }
      }
      if (subscription.end) end(subscription.end);
    } catch (error) {
      if (signal.aborted || this.#isLost) return;
      if (!(error instanceof SubscriptionError)) throw error;
      const { code, reason } = error;
      // It has ended, and its time is over.
      if (code === "refused") return;
      if (code !== "truncated" && code !== "failed") throw error;
      end({ status: code, reason });
    }
  }

  #checkEnd(end: End, events: number): void {
    // Whoever was to go on had nothing to go on from.
    if (this.#broken && /are not retained any more$/.test(end.reason ?? "")) {
      return;
    }
    try {
      this.#content.checkEnd(end, events);
    } catch (cause) {
      const told = `${JSON.stringify(end)} after ${events} events`;
      throw new Error(
        `${told}: ${cause instanceof Error ? cause.message : cause}`,
        { cause },
      );
    }
  }

  /** Waits for the end of the topic; returns its status. */
  async #end(epoch: string | null): Promise<string> {
    const { end, next } = await until(
      async () => {
        if (this.#isLost) return { end: { status: "lost" }, next: 0 };
        const place = this.#random.pick(this.#ground.places);
        const told = await this.#describe(place);
        if (told === undefined) return undefined;
        // It has ended, and its time is over.
        const isGone = told === "gone" || told.epoch !== epoch;
        if (isGone) return { end: { status: "gone" }, next: 0 };
        await pause(told.end ? 0 : 50);
        return told.end ? { ...told, end: told.end as End } : undefined;
      },
      LIMIT,
      "its end",
    );
    const { status } = end;
    if (status !== "lost" && status !== "gone") {
      this.#checkEnd(end, next - 1);
    }
    return status;
  }

  async #describe(
    { url }: Place,
  ): Promise<z.output<typeof described> | "gone" | undefined> {
    try {
      const answer = await fetch(`${url}/topics/${this.#topic}/info`);
      const text = await answer.text();
      if (answer.status === 404) return "gone";
      return answer.ok ? described.parse(JSON.parse(text)) : undefined;
    } catch (error) {
      if (error instanceof TypeError) return undefined; // it is away
      throw error;
    }
  }
}
