import { readFile } from "node:fs/promises";
import type { Clock } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import {
  type PacedEvents,
  parsePacedEvents,
} from "../../src/sse/paced_events.ts";
import { LeaseLostError } from "../topics/lease.ts";
import type { Hold } from "../topics/leases.ts";
import { type Topic, TopicEndedError } from "../topics/topic.ts";
import { TopicWriter } from "../topics/topic_writer.ts";
import type { Source } from "./source.ts";

/** The file of a recorded stream, and the pace at which it is played. */
export interface FixtureSourceOptions {
  /** Whether to begin anew at its end. Default: `false`, the topic ends as `complete`. */
  readonly loop?: boolean;
  /** The clock to use. */
  readonly clock: Clock;
  /** The lease on the topic. Default: none is needed. */
  readonly hold?: Hold;
}

/** A file that was to be played cannot be. */
export class FixtureError extends Error {
  /** The error's code, for programs. */
  readonly code = "invalid_fixture";

  /** Says which file, and what is wrong with it. */
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`Cannot play the fixture '${path}': ${reason}`, options);
    this.name = "FixtureError";
  }
}

/** Fills a topic from a file, at the pace that it was recorded in. */
export class FixtureSource implements Source {
  readonly opened: Promise<void>;
  readonly finished: Promise<void>;
  readonly #clock: Clock;
  readonly #hold: Hold | undefined;
  readonly #stopped: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #abort = new AbortController();

  /** Begins to play a file. */
  constructor(
    topic: Topic,
    path: string,
    { loop = false, clock, hold }: FixtureSourceOptions,
  ) {
    this.#clock = clock;
    this.#hold = hold;
    void topic.ended.then(() => this.stop());
    const steps = this.#load(topic, path, loop);
    this.opened = steps.then(() => {});
    this.finished = this.#play(topic, steps, loop);
  }

  stop(): void {
    this.#abort.abort();
    this.#stopped.resolve();
  }

  async #load(
    topic: Topic,
    path: string,
    loop: boolean,
  ): Promise<PacedEvents[]> {
    if (this.#hold?.ready) await this.#hold.ready;
    try {
      let text: string;
      try {
        text = await readFile(path, "utf8");
      } catch (cause) {
        const reason = messageOf(cause);
        throw new FixtureError(path, reason, { cause });
      }
      const steps = parsePacedEvents(text.replace(/^\uFEFF/, ""));
      if (steps.length === 0) {
        throw new FixtureError(path, "expected a stream with events, got none");
      }
      if (loop && steps.every(({ delay }) => delay === 0)) {
        throw new FixtureError(
          path,
          "expected a pace to loop at, such as the comment ': +37ms' before an event",
        );
      }
      topic.open();
      return steps;
    } catch (error) {
      const reason = error instanceof Error ? error.message : undefined;
      topic.end("failed", reason, false, this.#hold);
      throw error;
    }
  }

  async #play(
    topic: Topic,
    loaded: Promise<PacedEvents[]>,
    loop: boolean,
  ): Promise<void> {
    let steps: PacedEvents[];
    try {
      steps = await loaded;
    } catch {
      return; // told by `opened`, and by the topic's end
    }
    const { signal } = this.#abort;
    const writer = new TopicWriter(topic, {
      hold: this.#hold,
      retry: { clock: this.#clock, signal },
    });
    try {
      do {
        for (const { delay, events } of steps) {
          if (delay > 0) await this.#wait(delay);
          if (signal.aborted || topic.verdict) return;
          await writer.write(events);
        }
      } while (loop);
      if (!writer.isSettled) await writer.settled();
    } catch (error) {
      // Another relay fills the topic, or has ended it.
      const isOver = error instanceof LeaseLostError ||
        error instanceof TopicEndedError || signal.aborted;
      if (isOver) return;
      return void topic.end("failed", messageOf(error), false, this.#hold);
    }
    topic.end("complete", undefined, true, this.#hold);
  }

  async #wait(delay: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.setTimeout(resolve, delay);
    await Promise.race([promise, this.#stopped.promise]);
    cancel();
  }
}
