import { parseParentAddress } from "../../relay/stores/parent/parent_address.ts";
import { ParentStore } from "../../relay/stores/parent/parent_store.ts";
import type { Log } from "../../relay/topics/log.ts";
import { systemClock } from "../../src/fetch/clock.ts";
import { sleep } from "../sleep.ts";

/** An event as a provider's, of 210 bytes. */
const EVENT = { event: "response.delta", data: "x".repeat(196), id: "" };

/** Topics of a parent that one relay fills, and others follow. */
export class LinkedTopics implements AsyncDisposable {
  readonly #stores: readonly ParentStore[];
  readonly #logs: readonly Log[];
  /** The same logs, as those have them who follow. */
  readonly #followed: readonly Log[];
  #isStopped = false;
  /** The number of events that the parent has acknowledged. */
  acknowledged = 0;

  private constructor(
    stores: readonly ParentStore[],
    logs: readonly Log[],
    followed: readonly Log[],
  ) {
    this.#stores = stores;
    this.#logs = logs;
    this.#followed = followed;
  }

  /** The number of events that those who follow were told of. */
  get told(): number {
    return this.#followed.reduce((sum, { next }) => sum + next - 1, 0);
  }

  /** Makes topics, and has other stores follow all of them. */
  static async open(
    url: string,
    topics: number,
    others: number,
  ): Promise<LinkedTopics> {
    const address = parseParentAddress(url);
    if (!address) throw new TypeError(`Expected the URL of a relay: ${url}`);
    const stores = Array.from(
      { length: 1 + others },
      () => new ParentStore({ address, clock: systemClock }),
    );
    await Promise.all(stores.map((store) => store.open()));
    const names = Array.from({ length: topics }, (_, index) => `run-${index}`);
    const [own, ...following] = stores;
    const logs = names.map((name) => own!.create(name, { isOpen: true })); // one at least
    await Promise.all(logs.map((log) => log.settled()));
    const followed: Log[] = [];
    for (const store of following) {
      await Promise.all(names.map(async (name) => {
        await store.prepare(name, {});
        const log = store.find(name);
        if (log) followed.push(log);
      }));
    }
    return new LinkedTopics(stores, logs, followed);
  }

  /** Appends events to each topic, one at a time, at a rate, until it is stopped. */
  run(rate: number): void {
    for (const log of this.#logs) void this.#fill(log, rate);
  }

  /** Appends no more. */
  stop(): void {
    this.#isStopped = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await sleep(100);
    for (const store of this.#stores) await store[Symbol.asyncDispose]();
  }

  async #fill(log: Log, rate: number): Promise<void> {
    await sleep(Math.random() * 1_000 / rate);
    const start = performance.now();
    for (let sent = 0; !this.#isStopped;) {
      const due = (performance.now() - start) * rate / 1_000;
      for (; sent < due; sent++) {
        Promise.resolve(log.append([EVENT])).then(
          () => void this.acknowledged++,
          () => {},
        );
      }
      await sleep(1_000 / rate);
    }
  }
}
