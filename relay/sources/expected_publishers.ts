import type { Clock } from "../../src/fetch/clock.ts";
import { readFilling, writeFilling } from "../topics/filling.ts";
import type { Topic } from "../topics/topic.ts";

/** The longest time that a publisher may ask for, in milliseconds. */
export const MAX_WITHIN = 600_000;

interface Expectation {
  within: number;
  underWay: number;
  cancel: (() => void) | undefined;
}

/** Topics whose publishers have said in which time they go on. */
export class ExpectedPublishers {
  readonly #clock: Clock;
  readonly #expected = new Map<Topic, Expectation>();
  readonly #stopped: AbortSignal | undefined;

  /**
   * Expects nobody.
   *
   * @param clock The source of time.
   * @param stopped Aborted when this relay ends no more topics: the next one does.
   */
  constructor(clock: Clock, stopped: AbortSignal | undefined) {
    this.#clock = clock;
    this.#stopped = stopped;
    stopped?.addEventListener("abort", () => {
      for (const { cancel } of this.#expected.values()) cancel?.();
    }, { once: true });
  }

  /**
   * Takes note of a publication.
   *
   * @param topic The topic.
   * @param within The time in which another publication begins after this one, in
   * milliseconds. Default: what an earlier publication has said.
   * @returns Has to be disposed of when the publication is over: unless another one begins
   * in time, the topic ends as truncated.
   */
  begin(topic: Topic, within: number | undefined): Disposable | undefined {
    if (topic.verdict) return undefined;
    const before = this.#expected.get(topic);
    const expectation = before ??
      (within === undefined ? undefined : this.#expect(topic, within));
    if (!expectation) return undefined;
    if (within !== undefined) expectation.within = within;
    expectation.cancel?.();
    expectation.underWay += 1;
    return {
      [Symbol.dispose]: () => {
        expectation.underWay -= 1;
        if (expectation.underWay > 0) return;
        // It was refused, and so was what it has said.
        if (!before && topic.state.kind === "pending") this.#forget(topic);
        else this.#wait(topic, expectation);
      },
    };
  }

  /** Goes on with what a relay before this one expected of a topic. */
  resume(topic: Topic, within: number): void {
    this.#wait(topic, this.#expect(topic, within));
  }

  #expect(topic: Topic, within: number): Expectation {
    const expectation = { within, underWay: 0, cancel: undefined };
    this.#expected.set(topic, expectation);
    void topic.ended.then(() => this.#forget(topic));
    topic.filling ??= writeFilling({ kind: "publisher", within });
    return expectation;
  }

  #wait(topic: Topic, expectation: Expectation): void {
    if (this.#stopped?.aborted || topic.verdict) return;
    const { within } = expectation;
    expectation.cancel = this.#clock.setTimeout(() => {
      topic.end(
        "truncated",
        `Its publisher has not gone on within ${within} ms`,
      );
    }, within);
  }

  #forget(topic: Topic): void {
    this.#expected.get(topic)?.cancel?.();
    this.#expected.delete(topic);
    const { filling } = topic;
    if (topic.verdict || filling === undefined) return;
    if (readFilling(filling)?.kind === "publisher") topic.filling = undefined;
  }
}
