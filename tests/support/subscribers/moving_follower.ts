/**
 * A subscriber that notes all that it is told of a topic.
 *
 * @module
 */
import { subscribe, SubscriptionError } from "../../../relay/client/mod.ts";
import { LIMIT, until, within } from "../within.ts";

/** A relay that subscribers come to. */
interface SubscribedRelay {
  readonly url: string;
}

/** A subscriber of a topic, which can move to another relay. */
export class MovingFollower {
  /** The events, gaps and the end that it was told of, in their order. */
  readonly told: string[] = [];
  readonly #topic: string;
  #position: string | undefined;
  #stop = new AbortController();
  #over: Promise<void>;

  /** Subscribes at a relay. */
  constructor(relay: SubscribedRelay, topic: string) {
    this.#topic = topic;
    this.#over = this.#follow(relay);
  }

  /** Goes on at another relay, after the last event that it has. */
  async move(relay: SubscribedRelay): Promise<void> {
    this.#stop.abort();
    await this.#over;
    this.#stop = new AbortController();
    this.#over = this.#follow(relay);
  }

  /** Waits until it has been told of so much. */
  async has(count: number): Promise<void> {
    await until(
      () => this.told.length >= count || undefined,
      LIMIT,
      () => `${count} at a subscriber of ${this.#topic}: ${this.told}`,
    );
  }

  /** Waits for the end; returns all that it was told. */
  async end(): Promise<readonly string[]> {
    const what = () => `the end of ${this.#topic} after ${this.told}`;
    await within(this.#over, LIMIT, what);
    return this.told;
  }

  /** Leaves. */
  async leave(): Promise<void> {
    this.#stop.abort();
    await this.#over;
  }

  async #follow({ url }: SubscribedRelay): Promise<void> {
    const { signal } = this.#stop;
    const options = {
      signal,
      reconnect: { minTimeout: 20, maxTimeout: 200 },
      ...this.#position !== undefined && { after: this.#position },
    };
    try {
      await using subscription = subscribe(
        `${url}/topics/${this.#topic}`,
        options,
      );
      for await (const message of subscription) {
        if (message.type === "gap") {
          this.told.push(`gap ${message.from} ${message.to} ${message.reason}`);
        } else if (message.type === "event") {
          this.#position = message.position;
          this.told.push(`${message.offset} ${message.data}`);
        }
      }
      const { end } = subscription;
      if (end) this.told.push(`end ${JSON.stringify(end)}`);
    } catch (error) {
      if (signal.aborted) return;
      this.told.push(
        error instanceof SubscriptionError
          ? `${error.code}: ${error.message}`
          : `${error}`,
      );
    }
  }
}
