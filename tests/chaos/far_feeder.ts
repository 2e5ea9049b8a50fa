/**
 * Fills one topic of relays in other processes, and ends it, again and again.
 *
 * @module
 */
import { z } from "zod";
import type { EndStatus } from "../../relay/topics/end.ts";
import type { Random } from "../support/random.ts";
import type { ContentKind } from "./content.ts";
import type { PublishedLine } from "./far_truth.ts";
import type { Ground, Place } from "./grounds.ts";
import { DELETED, STATUSES } from "./plan.ts";

/** The numbers of events of a publication: one of these, for a while. */
const RATES: Record<ContentKind, readonly number[]> = {
  plain: [1, 1, 3, 20, 100],
  responses: [1, 5, 50, 200],
  chat: [1, 5, 50, 200],
  large: [1, 2, 8],
  fixed: [20, 200, 500],
};

/** The largest number of events in a log. */
const MOST = 20_000;

/** The longest time without an answer that is not an excuse, in milliseconds. */
const PATIENCE = 90_000;

const JSON_BODY = { "Content-Type": "application/json" };

const placed = z.object({ epoch: z.string(), first: z.int(), next: z.int() });
const ended = z.object({ epoch: z.string(), next: z.int() });
const problem = z.object({
  code: z.string(),
  end: z.object({ reason: z.string().optional() }).optional(),
});

/** An answer that was not an excuse. */
interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A publisher of one topic, which makes a publication again until it is answered. */
export class FarFeeder {
  readonly #line: PublishedLine;
  readonly #ground: Ground;
  readonly #random: Random;
  readonly #client: Deno.HttpClient;
  /** The number of events that a log keeps. */
  readonly #kept: number;
  #rate = 1;
  #left = 0;
  #keys = 0;
  /** The number of memories that were lost before the present log was made. */
  #forgotten = 0;
  /** The answers that came last, for messages. */
  readonly #told: string[] = [];
  /** The number of publications that were made again. */
  repeated = 0;

  constructor(
    line: PublishedLine,
    ground: Ground,
    random: Random,
    kept: number,
    client: Deno.HttpClient,
  ) {
    this.#line = line;
    this.#ground = ground;
    this.#random = random;
    this.#kept = kept;
    this.#client = client;
  }

  /** Publishes until it is told to stop. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#explained(this.#step());
      const pause = this.#random.integer(5, 120);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** Has the topic begin anew, get some events, and end, as often as it is forgotten. */
  async calm(stop: AbortSignal): Promise<void> {
    await this.#explained(this.#delete());
    while (!stop.aborted) {
      const { current } = this.#line;
      if (current && !await this.#isGone(current.epoch)) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      this.#line.gone();
      await this.#explained(this.#publish(5));
      await this.#explained(this.#end("complete", "calm"));
    }
  }

  /** Adds what was answered before it, to a failure. */
  async #explained(step: Promise<void>): Promise<void> {
    try {
      await step;
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : `${cause}`;
      throw new Error(`${message}\n${this.#told.join("\n")}`, { cause });
    }
  }

  async #step(): Promise<void> {
    const { current, content } = this.#line;
    const [what, share] = [this.#random.next(), this.#random.next()];
    if (current?.isEnded) {
      if (what < 0.02) await this.#delete();
      // Otherwise it expires.
      else if (await this.#isGone(current.epoch)) this.#line.gone();
      return;
    }
    if (this.#left-- <= 0) {
      this.#rate = this.#random.pick(RATES[content.kind]);
      this.#left = this.#random.integer(1, 40);
    }
    if (current && (what < 0.008 || current.known > MOST)) {
      const status = this.#random.pick(STATUSES);
      return await this.#end(status, share < 0.5 ? "because" : undefined);
    }
    if (current && what < 0.01) return await this.#delete();
    // A little less than what is kept, so that who reads can follow, mostly.
    const most = share < 0.02 ? Infinity : Math.max(1, this.#kept);
    const count = Math.min(this.#rate * (0.5 + share), most);
    await this.#publish(Math.ceil(count));
  }

  async #publish(count: number): Promise<void> {
    const events = this.#line.begin(count).map(({ event, data, id }) => ({
      data,
      ...event !== "message" && { event },
      ...id !== "" && { id },
    }));
    const { forgotten } = this.#ground;
    const key = `${this.#line.name}-${this.#keys++}`;
    const { status, text } = await this.#ask("POST", "", {
      headers: { ...JSON_BODY, "Idempotency-Key": key },
      body: JSON.stringify(events),
    });
    if (status !== 200) {
      throw new Error(`Publishing to '${this.#line.name}': ${status} ${text}`);
    }
    this.#note(
      forgotten,
      (mayForget) =>
        this.#line.placed(placed.parse(JSON.parse(text)), mayForget),
    );
  }

  async #end(status: EndStatus, reason?: string): Promise<void> {
    const end = { status, ...reason !== undefined && { reason } };
    this.#line.end(end);
    const { forgotten } = this.#ground;
    const { status: code, text } = await this.#ask("POST", "/end", {
      headers: JSON_BODY,
      body: JSON.stringify(end),
    });
    this.#note(forgotten, (mayForget) => {
      if (code === 404 && mayForget) return this.#line.gone();
      if (code !== 200) {
        throw new Error(`Ending '${this.#line.name}': ${code} ${text}`);
      }
      const { epoch, next } = ended.parse(JSON.parse(text));
      this.#line.ended(epoch, next, mayForget);
    });
  }

  async #delete(): Promise<void> {
    this.#line.wasDeleted = true;
    if (!this.#line.current?.isEnded) {
      this.#line.end({ status: "cancelled", reason: DELETED });
    }
    const { status, text } = await this.#ask("DELETE", "");
    if (status !== 204 && status !== 404) {
      throw new Error(`Deleting '${this.#line.name}': ${status} ${text}`);
    }
    this.#line.gone();
  }

  /** Whether a log that has ended is forgotten. */
  async #isGone(epoch: string): Promise<boolean> {
    const { status, text } = await this.#ask("GET", "?after=now&wait=false", {
      headers: { Accept: "application/json" },
    });
    if (status === 404) return true;
    return status === 200 && JSON.parse(text).epoch !== epoch;
  }

  /**
   * Takes note of an answer, and of whether the log before may have been lost with the
   * memory of the relay that it was in.
   *
   * @param forgotten The number of times that this had happened when it was asked for.
   */
  #note(forgotten: number, take: (mayForget: boolean) => void): void {
    const before = this.#line.current;
    take(this.#ground.forgotten > this.#forgotten);
    if (this.#line.current !== before) this.#forgotten = forgotten;
  }

  /** Asks one relay after the other, until one answers that is not dying. */
  async #ask(
    method: string,
    path: string,
    init: RequestInit = {},
  ): Promise<Answer> {
    const end = performance.now() + PATIENCE;
    for (let attempt = 1;; attempt++) {
      const place = this.#random.pick(this.#ground.places);
      const { incarnation } = place;
      const what = `${method} '${this.#line.name}'${path} at ${place.name}`;
      let answer: Answer | undefined;
      let failure: unknown;
      try {
        const response = await fetch(
          `${place.url}/topics/${this.#line.name}${path}`,
          { ...init, method, client: this.#client },
        );
        answer = { status: response.status, text: await response.text() };
      } catch (error) {
        failure = error;
      }
      const told = answer ? `${answer.status} ${answer.text}` : `${failure}`;
      this.#told.push(`${what}: ${told}`);
      if (this.#told.length > 12) this.#told.shift();
      if (answer && !this.#isExcuse(answer)) return answer;
      if (attempt === 1) this.repeated++;
      if (performance.now() > end) throw new Error(`${what}: ${told}`);
      if (!this.#mayFail(place, incarnation, answer)) {
        throw new Error(`${what}, which was not killed: ${told}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /**
   * Whether it may be asked again: the store is away, this process had no time to ask, or
   * another relay has not heard yet that this request was cut, or that the log before is gone.
   */
  #isExcuse({ status, text }: Answer): boolean {
    if (status === 503 || status === 408) return true;
    if (status !== 409) return false;
    const { code, end } = problem.parse(JSON.parse(text));
    return code === "key_in_use" ||
      code === "topic_ended" && end?.reason === DELETED;
  }

  #mayFail(
    place: Place,
    incarnation: number,
    answer: Answer | undefined,
  ): boolean {
    if (place.isGoing || place.incarnation !== incarnation) return true;
    return answer !== undefined &&
      (answer.status !== 503 || place.isAlone);
  }
}
