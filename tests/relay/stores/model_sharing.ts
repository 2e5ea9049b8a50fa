/**
 * The part of the store's model for followers, watchers and fillers of topics.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import {
  type Lease,
  LeaseHeldError,
  LeaseLostError,
} from "../../../relay/topics/lease.ts";
import type { Log, LogProgress } from "../../../relay/topics/log.ts";
import type { Store } from "../../../relay/topics/store.ts";
import {
  assertRejects,
  type StoreContractWorld,
  until,
} from "../../../relay/testing/contract_world.ts";
import type { ReferenceStore, ReferenceTopic } from "./reference_store.ts";

/** Runs in the background until it is stopped. */
abstract class Listener implements AsyncDisposable {
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #error: unknown;

  /** Listens, from the next call of {@linkcode Listener.start} on. */
  protected abstract run(signal: AbortSignal): Promise<void>;

  /** Begins. */
  start(): void {
    const { signal } = this.#abort;
    this.#running = this.run(signal).catch((error) => {
      if (!signal.aborted) this.#error = error;
    });
  }

  /** Waits until it was told what it has to know. */
  protected async expect(isSo: () => boolean, what: string): Promise<void> {
    await until(() => this.#error !== undefined || isSo(), what);
    if (this.#error !== undefined) throw this.#error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error("enough"));
    await this.#running;
    if (this.#error !== undefined) throw this.#error;
  }
}

/** One who follows a log. */
export class ModelFollower extends Listener {
  readonly #log: Log;
  readonly #topic: ReferenceTopic;
  readonly #from: number;
  readonly #facts: unknown;
  #last: LogProgress | undefined;
  #isOver = false;

  /** Follows a log that has settled, from an offset on. */
  constructor(log: Log, topic: ReferenceTopic, from: number) {
    super();
    this.#log = log;
    this.#topic = topic;
    this.#from = from;
    this.#facts = topic.facts;
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    for await (const progress of this.#log.follow(this.#from, signal)) {
      assert(!this.#isOver, "nothing is told after the end");
      if (progress.kind === "open") {
        const before = this.#last?.kind === "open" ? this.#last.next : 0;
        assert(progress.next >= before, "a log does not become shorter");
        assert(this.#log.next >= progress.next, "what was told can be read");
      } else this.#isOver = true;
      this.#last = progress;
    }
    assert(this.#isOver, "an iteration is over with the end alone");
  }

  /** Compares what was told with the reference. */
  async check({ topics, former }: ReferenceStore): Promise<void> {
    const topic = this.#topic;
    const { end, facts, offsets } = topic;
    const next = offsets.length + 1;
    const isThere = [...topics.values(), ...former.values()].includes(topic);
    const told = (): LogProgress | undefined => this.#last;
    if (end) {
      await this.expect(() => told()?.kind === "ended", "an end to be told");
      assertEquals(told(), { kind: "ended", next, end });
    } else if (!isThere) {
      await this.expect(() => told()?.kind === "deleted", "a deletion");
    } else if (next > this.#from || facts !== this.#facts) {
      const isTold = (): boolean => {
        const last = told();
        return last?.kind === "open" && last.next === next &&
          last.facts.filling === facts.filling;
      };
      await this.expect(isTold, `${next} and the facts to be told`);
    } else assertEquals(told(), undefined);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    this.#log[Symbol.dispose]();
  }
}

/** One who watches topics. */
export class ModelWatcher extends Listener {
  readonly #store: Store;
  readonly #prefix: string;
  readonly #limit: number;
  /** By name: the epoch, and whether it has ended. */
  #topics = new Map<string, string>();
  #isCurrent = false;

  /** Watches the topics whose names begin so. */
  constructor(store: Store, prefix: string, limit: number) {
    super();
    this.#store = store;
    this.#prefix = prefix;
    this.#limit = limit;
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    const query = { prefix: this.#prefix, limit: this.#limit };
    for await (const news of this.#store.watch(query, signal)) {
      switch (news.kind) {
        case "reset":
          this.#topics = new Map();
          this.#isCurrent = false;
          break;
        case "listed":
          assert(news.topics.length <= this.#limit);
          for (const { name, epoch, end } of news.topics) {
            this.#topics.set(name, stateOf(epoch, end));
          }
          break;
        case "current":
          this.#isCurrent = true;
          break;
        case "made":
        case "ended": {
          const { name, epoch, end } = news.topic;
          assertEquals(news.kind === "ended", end !== undefined);
          this.#topics.set(name, stateOf(epoch, end));
          break;
        }
        case "deleted":
          this.#topics.delete(news.name);
      }
    }
  }

  /** Compares what was told with the reference. */
  async check({ topics }: ReferenceStore): Promise<void> {
    const expected = [...topics].filter(([name]) =>
      name.startsWith(this.#prefix)
    ).map(([name, { epoch, end }]) => `${name} ${stateOf(epoch, end)}`).sort()
      .join();
    const told = () =>
      [...this.#topics].map(([name, state]) => `${name} ${state}`).sort()
        .join();
    await this.expect(
      () => this.#isCurrent && told() === expected,
      `'${expected}' to be told`,
    );
  }
}

function stateOf(epoch: string, end: unknown): string {
  return `${epoch} ${end === undefined ? "goes on" : "has ended"}`;
}

/** A store, which may be another one each time, and its clock. */
type LeaseWorld = Pick<StoreContractWorld, "store" | "clock">;

interface ModelLease {
  readonly lease: Lease;
  readonly log: string;
  expires: number;
}

/** The time for which leases of the model are held, in milliseconds. */
const TTL = 60;

/** The leases on logs, beside those that the store has to give. */
export class ModelLeases {
  readonly #world: LeaseWorld;
  readonly #all: ModelLease[] = [];
  /** By name and epoch. */
  readonly #current = new Map<string, ModelLease>();
  #cancelled: string[] = [];

  /** Begins without leases. */
  constructor(world: LeaseWorld) {
    this.#world = world;
  }

  get #now(): number {
    return this.#world.clock.now();
  }

  /** Asks for the lease on a log. */
  async hold(name: string, epoch: string): Promise<void> {
    const log = `${name} ${epoch}`;
    const before = this.#current.get(log);
    const hold = async () =>
      await this.#world.store.hold({
        topic: name,
        epoch,
        holder: `holder ${this.#all.length}`,
        ttl: TTL,
        onCancel: (reason) => {
          this.#cancelled.push(`${log} ${reason}`);
          return Promise.resolve();
        },
      });
    if (before && before.expires > this.#now) {
      const { topic } = await assertRejects(hold, LeaseHeldError);
      assertEquals(topic, name);
      return;
    }
    const lease = await hold();
    assertEquals(lease.expires, this.#now + TTL);
    const made = { lease, log, expires: lease.expires };
    this.#all.push(made);
    this.#current.set(log, made);
  }

  /** The lease on a log that was given last, and whether it may still append. */
  last(name: string, epoch: string): { lease: Lease; isHeld: boolean } | null {
    const log = `${name} ${epoch}`;
    const last = this.#all.findLast((each) => each.log === log);
    if (!last) return null;
    return { lease: last.lease, isHeld: this.#current.get(log) === last };
  }

  /** Renews a lease that was given once. */
  async renew(index: number): Promise<void> {
    const one = this.#all[index % Math.max(this.#all.length, 1)];
    if (!one) return;
    const { lease, log, expires } = one;
    if (this.#current.get(log) !== one) {
      await assertRejects(async () => await lease.renew(), LeaseLostError);
      return;
    }
    // After its time has gone by twice, a store may have forgotten it.
    if (expires + TTL <= this.#now) return await this.release(index);
    await lease.renew();
    one.expires = this.#now + TTL;
    assertEquals(lease.expires, one.expires);
  }

  /** Gives up a lease that was given once. */
  async release(index: number): Promise<void> {
    const one = this.#all[index % Math.max(this.#all.length, 1)];
    if (!one) return;
    await one.lease.release();
    if (this.#current.get(one.log) === one) this.#current.delete(one.log);
  }

  /** Tells the holder of the lease on a log to stop. */
  async cancel(name: string, epoch: string): Promise<void> {
    const log = `${name} ${epoch}`;
    const held = this.#current.get(log);
    const isHeld = held !== undefined && held.expires > this.#now;
    this.#cancelled = [];
    const answer = await this.#world.store.cancel(name, epoch, "reason");
    assertEquals(answer, isHeld ? "stopped" : "unheld");
    assertEquals(this.#cancelled, isHeld ? [`${log} reason`] : []);
  }

  /** Gives up all leases: the store is about to be closed. */
  async forget(): Promise<void> {
    for (const { lease } of this.#all.splice(0)) await lease.release();
    this.#current.clear();
  }
}
