import { clearImmediate, setImmediate } from "node:timers";
import { getLogger } from "@logtape/logtape";
import { messageOf } from "../../src/fetch/message_of.ts";
import { EventLimitError, isTooLarge } from "../topics/event_limit.ts";
import { type Lease, LeaseLostError } from "../topics/lease.ts";
import {
  type Appended,
  type AppendedPublication,
  type Log,
  MAX_OFFSET,
} from "../topics/log.ts";
import { MAX_FORMER } from "../topics/former_topics.ts";
import {
  type ListQuery,
  StaleWriterError,
  type Store,
  StoreError,
} from "../topics/store.ts";
import { topicName } from "../topics/topic_name.ts";
import { endSchema, factsSchema } from "../topics/stored_schemas.ts";
import type { Channel } from "./channel.ts";
import type { HeldLeases } from "./held_leases.ts";
import type { OpenWrites } from "./open_writes.ts";
import { ServedLog } from "./served_log.ts";
import {
  arrayAt,
  changesAt,
  epochSchema,
  integerAt,
  LinkProtocolError,
  type LogState,
  maybeTextAt,
  numberAt,
  offsetAt,
  type Operation,
  packEntries,
  packError,
  textAt,
  unpackEvents,
  upstreamSchema,
  valueAt,
} from "./wire.ts";

/** The parts of the server that a link uses. */
export interface ServedLinkContext {
  readonly store: Store;
  readonly leases: HeldLeases;
  /** The writes that came over this link of the relay, and over those before. */
  readonly writes: OpenWrites;
  /** Whether what has ended long ago is deleted for the relays that ask for that. */
  readonly deletesEnded: boolean;
  /** The most bytes of an event. */
  readonly maxEvent: number;
  /** The number of the next lease. */
  nextLease(): number;
  /** The time that it takes from where the topics live to here, in milliseconds. */
  lag(): number;
  /** The time, in milliseconds since the epoch. */
  now(): number;
  /** Answers a call of the relay. */
  call(method: string, body: string): Promise<string>;
}

/** A name that a link has at hand. */
interface ServedName {
  readonly logs: Map<string, ServedLog>;
  readonly stop: () => void;
}

/** The holes and events of a read, at most. */
const MAX_READ = 1024 * 1024;

const logger = getLogger(["rivulet", "relay", "link"]);

/** The parent's end of a link: does what a relay asks of the store, and tells it what is new. */
export class ServedLink implements Disposable {
  readonly #channel: Channel;
  readonly #context: ServedLinkContext;
  readonly #store: Store;
  readonly #names = new Map<string, ServedName>();
  readonly #logs = new Map<number, ServedLog>();
  readonly #dirty = new Set<ServedLog>();
  readonly #changed = new Set<string>();
  readonly #watches = new Map<number, AbortController>();
  readonly #closing = new AbortController();
  #turn: ReturnType<typeof setImmediate> | undefined;
  #nextLog = 1;
  #room: PromiseWithResolvers<void> | undefined;
  /** The log that the link is appending to. */
  #appending: ServedLog | undefined;

  constructor(channel: Channel, context: ServedLinkContext) {
    this.#channel = channel;
    this.#context = context;
    this.#store = context.store;
  }

  /** The number of topics that the link has at hand. */
  get size(): number {
    return this.#names.size;
  }

  /**
   * Gives up what is too old of the logs that the link has at hand, and tells of the names
   * that could not be looked up.
   */
  trim(): void {
    for (const log of this.#logs.values()) log.trim();
    if (this.#changed.size > 0) this.#schedule();
  }

  /** There is room again. */
  onRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** Does what the relay asks for. */
  do(operation: Operation): void {
    const [name] = operation;
    switch (name) {
      case "a":
        if (!this.#isHeld(operation)) return this.#append(operation);
        return this.#later(operation, () => this.#append(operation));
      case "got":
        return this.#logs.get(integerAt(operation, 1))
          ?.taken(offsetAt(operation, 2));
      case "name":
        return this.#start(() => this.#open(operation));
      case "pubs":
        return this.#answer(operation, () => {
          const log = this.#logAt(operation);
          log.tell(this.#channel);
          return log.newPublications();
        });
      case "drop":
        return this.#drop(textAt(operation, 1));
      case "make":
        return this.#answer(operation, () => this.#make(operation));
      case "skip":
        return this.#answerInTurn(operation, () => {
          const reason = textAt(operation, 4);
          if (
            reason !== "evicted" && reason !== "epoch" && reason !== "slow" &&
            reason !== "skipped"
          ) throw new LinkProtocolError("Expected the reason of a hole");
          const { log } = this.#logAt(operation);
          const count = offsetAt(operation, 3);
          if (count === 0 || count > MAX_OFFSET - log.next) {
            throw new LinkProtocolError("Expected a hole that leaves offsets");
          }
          return log.skip?.(count, reason);
        });
      case "end":
        return this.#answerInTurn(operation, () => {
          const end = valueAt(endSchema, operation, 3);
          const { name, log } = this.#logAt(operation);
          return log.end(end, { lease: this.#lastLease(name, operation) });
        });
      case "facts":
        return this.#answerInTurn(operation, async () => {
          const facts = valueAt(factsSchema, operation, 3);
          const served = this.#logAt(operation);
          await served.log.update(facts, {
            lease: this.#lastLease(served.name, operation),
            changes: changesAt(operation, 5, facts),
          });
          served.factsTold(facts);
        });
      case "up": {
        const served = this.#logs.get(integerAt(operation, 1));
        served?.log.tellUpstream?.(valueAt(upstreamSchema, operation, 2));
        served?.upstreamTold();
        return;
      }
      case "read":
        return this.#answer(operation, () => this.#read(operation));
      case "trim":
        return this.#answer(operation, async () => {
          const { log } = this.#logAt(operation);
          log.trim();
          await log.settled();
          return [log.first, log.bytes];
        });
      case "i":
        return this.#channel.send(["o", operation[1], this.#context.lag()]);
      default:
        return this.#doMore(operation);
    }
  }

  /** Has a holder of the relay stop. Whether it has. */
  async stop(lease: number, reason: string | undefined): Promise<boolean> {
    const answer = await this.#channel.ask("stop", [lease, reason ?? null]);
    return textAt(answer, 2) === "stopped";
  }

  /** Lets go of all that the link has at hand. */
  [Symbol.dispose](): void {
    this.#closing.abort();
    if (this.#turn !== undefined) clearImmediate(this.#turn);
    this.#turn = undefined;
    for (const watch of this.#watches.values()) watch.abort();
    this.onRoom();
    for (const name of [...this.#names.keys()]) this.#drop(name);
  }

  /** Does what is asked for less often. */
  #doMore(operation: Operation): void {
    const [name] = operation;
    const store = this.#store;
    const { leases, deletesEnded } = this.#context;
    switch (name) {
      case "list":
        return this.#answer(operation, () => {
          const query = queryAt(operation);
          return operation[5] === 1
            ? store.listUnended(query)
            : store.list(query);
        });
      case "watch":
        return this.#start(() => this.#watch(operation));
      case "unwatch":
        return this.#watches.get(integerAt(operation, 1))?.abort();
      case "hold":
        return this.#answer(operation, async () => {
          const number = this.#context.nextLease();
          const [topic, epoch] = [textAt(operation, 2), textAt(operation, 3)];
          await leases.hold(
            {
              topic,
              epoch,
              part: maybeTextAt(operation, 4),
              holder: textAt(operation, 5),
              ttl: numberAt(operation, 6),
              // A relay of an older release does not say it.
              resumes: operation[7] === 1,
            },
            number,
            (number, reason) => this.#onCancel(number, reason),
          );
          // The holder goes on after all events of the holder before it.
          this.#names.get(topic)?.logs.get(epoch)?.tell(this.#channel);
          return number;
        });
      case "keeps": {
        const numbers = arrayAt(operation, 1).map(Number);
        return void leases.keepOnly(new Set(numbers));
      }
      case "free":
        return this.#answer(
          operation,
          () => leases.release(integerAt(operation, 2)),
        );
      case "lapse":
        return void leases.abandon(integerAt(operation, 1)).catch(() => {});
      case "cancel":
        return this.#answer(operation, () => {
          const topic = textAt(operation, 2);
          const epoch = textAt(operation, 3);
          // It has looked there first: its own lease is over.
          if (leases.has(topic, epoch)) return "unheld";
          return store.cancel(topic, epoch, maybeTextAt(operation, 4));
        });
      case "delete":
        return this.#answer(
          operation,
          () => store.delete(textAt(operation, 2), textAt(operation, 3)),
        );
      case "letgo":
        return this.#answer(
          operation,
          () => store.letGo?.(textAt(operation, 2), textAt(operation, 3)),
        );
      case "ended":
        return this.#answer(
          operation,
          () =>
            deletesEnded
              ? store.deleteEnded(numberAt(operation, 2))
              : undefined,
        );
      case "get":
        return this.#answer(
          operation,
          () => store.get(textAt(operation, 2), textAt(operation, 3)),
        );
      case "put":
      case "claim":
        return this.#answer(operation, () => {
          const value = [
            textAt(operation, 2),
            textAt(operation, 3),
            textAt(operation, 4),
            numberAt(operation, 5),
          ] as const;
          if (name === "put") return store.put(...value);
          const instead = operation.length > 6
            ? textAt(operation, 6)
            : undefined;
          return store.claim?.(...value, instead);
        });
      case "orphans":
        return this.#start(() => this.#tellOrphans());
      case "call":
        return this.#answer(
          operation,
          () => this.#context.call(textAt(operation, 2), textAt(operation, 3)),
        );
      default:
        // A later version may say more: what has no answer can be left out.
        return;
    }
  }

  /** Begins work that answers by itself; an error of the peer's closes its link alone. */
  #start(work: () => Promise<void>): void {
    work().catch((error: unknown) => this.#channel.fail(error));
  }

  /** Answers what writes to the log at place 2. */
  #answerWrite(operation: Operation, act: () => unknown): void {
    this.#answer(operation, async () => {
      const { name } = this.#logAt(operation);
      const { writes } = this.#context;
      writes.begin(name);
      try {
        return await act();
      } finally {
        writes.end(name);
      }
    });
  }

  #answer(operation: Operation, act: () => unknown): void {
    void this.#channel.answerWith(integerAt(operation, 1), act);
  }

  #answerInTurn(operation: Operation, act: () => unknown): void {
    const answer = (): void => this.#answerWrite(operation, act);
    if (this.#isHeld(operation)) this.#later(operation, answer);
    else answer();
  }

  /** Whether the log at place 2 must not outrun its readers, or more waits for them. */
  #isHeld(operation: Operation): boolean {
    return this.#logs.get(integerAt(operation, 2))?.isHeld === true;
  }

  /** Does something to the log at place 2, after all that waits for its readers. */
  #later(operation: Operation, act: () => void): void {
    this.#logs.get(integerAt(operation, 2))?.later(() => {
      try {
        act();
      } catch (error) {
        this.#channel.fail(error);
      }
    });
  }

  /** Returns the log that an operation is about, by its number at place 2. */
  #logAt(operation: Operation): ServedLog {
    const log = this.#logs.get(integerAt(operation, 2));
    // Its topic is gone, or another relay was first to make it.
    if (!log) throw new StaleWriterError("", 0, undefined);
    return log;
  }

  #append(operation: Operation): void {
    const request = integerAt(operation, 1);
    try {
      const served = this.#logAt(operation);
      const number = integerAt(operation, 3);
      const lease = this.#leaseOf(served.name, number);
      const expected = offsetAt(operation, 4);
      const events = unpackEvents(operation, 5);
      const { maxEvent } = this.#context;
      if (events.some((event) => isTooLarge(event, maxEvent))) {
        throw new EventLimitError(maxEvent);
      }
      const publication = operation.length > 6
        ? publicationAt(operation)
        : undefined;
      const options = {
        lease,
        expected: expected > 0 ? expected : undefined,
        publication,
      };
      const done = (appended: Appended): void => {
        if (publication) served.published(publication.key, publication.value);
        this.#appended(request, served, appended);
      };
      // A handle that was refused is refused for good: this one has other writers.
      const writer = expected > 0
        ? this.#store.find(served.name, served.log.epoch)
        : served.log;
      if (!writer) throw new StaleWriterError(served.name, expected, undefined);
      // The link's own append is in its answer: it is not reported again.
      this.#appending = served;
      const appended = writer.append(events, options);
      this.#appending = undefined;
      if (appended instanceof Promise) {
        const { writes } = this.#context;
        const { name } = served;
        writes.begin(name);
        appended.then((appended) => {
          writes.end(name);
          done(appended);
        }, (error) => {
          writes.end(name);
          this.#channel.refuse(request, error);
        });
      } else done(appended);
      if (writer !== served.log) writer[Symbol.dispose]();
    } catch (error) {
      this.#appending = undefined;
      if (error instanceof LinkProtocolError) throw error;
      this.#channel.refuse(request, error);
    }
  }

  /**
   * Returns the lease under a number, which is 0 for none.
   *
   * @throws {LeaseLostError} If the relay does not have it any more.
   */
  #leaseOf(topic: string, number: number): Lease | undefined {
    if (number === 0) return undefined;
    const lease = this.#context.leases.get(number);
    if (!lease) throw new LeaseLostError(topic);
    return lease;
  }

  /** Returns the lease with which an end or facts come: a relay of an older release does not say it. */
  #lastLease(topic: string, operation: Operation): Lease | undefined {
    const number = operation.length > 4 ? integerAt(operation, 4) : 0;
    return this.#leaseOf(topic, number);
  }

  #appended(
    request: number,
    served: ServedLog,
    { first, count }: Appended,
  ): void {
    const { log } = served;
    // Events that others have appended before come first.
    served.tellUpTo(this.#channel, first);
    served.appended(first, count);
    // Where nothing came behind them, which is nearly always, no read is needed.
    const time = log.next === first + count ? log.lastAt : timeAt(log, first);
    this.#channel.answerAppend(
      request,
      first,
      time ?? this.#context.now(),
      log.first,
      log.bytes,
    );
  }

  async #open(operation: Operation): Promise<void> {
    const request = integerAt(operation, 1);
    try {
      const owner = operation.length > 4 ? textAt(operation, 4) : undefined;
      const name = textAt(operation, 2);
      await this.#getReady(name, operation[3] === 1, owner);
      // The relay looks for what it has sent over a link before.
      if (this.#names.get(name)?.logs.size === 0) {
        await this.#context.writes.settled(name);
      }
      // At once: what is told of a log has to come after the number that it has.
      this.#channel.answer(request, this.#record(name));
    } catch (error) {
      this.#channel.refuse(request, error);
    }
  }

  async #getReady(
    name: string,
    makes: boolean,
    owner: string | undefined,
  ): Promise<void> {
    if (!topicName.safeParse(name).success) {
      throw new StoreError("foreign", "Expected the name of a topic");
    }
    const store = this.#store;
    this.#touch(name);
    if (store.prepare) {
      await store.prepare(name, { makes, owner, isFresh: true });
    } else if (makes && !this.#has(name)) {
      using made = store.create(name, {
        isOpen: false,
        isAwaited: true,
        ...(owner && { owner }),
      });
      await made.settled();
    }
    this.#changed.delete(name);
  }

  #has(name: string): boolean {
    using found = this.#store.find(name);
    return found !== undefined;
  }

  async #make(operation: Operation): Promise<number> {
    const h = integerAt(operation, 2);
    const name = textAt(operation, 3);
    const epoch = valueAt(epochSchema, operation, 4);
    const facts = valueAt(factsSchema, operation, 5);
    if (!topicName.safeParse(name).success) {
      throw new LinkProtocolError("Expected the name of a topic");
    }
    const served = this.#touch(name);
    // It was made with the link before, and not answered.
    const log = this.#store.find(name, epoch) ??
      this.#store.create(name, facts, epoch);
    if (log.epoch !== epoch) {
      await this.#store.delete(name, log.epoch);
      throw new StoreError(
        "foreign",
        "The store of the parent cannot be shared with relays: it gives logs other epochs than theirs",
      );
    }
    const made = this.#serve(served, h, name, log);
    made.describe();
    const { writes } = this.#context;
    writes.begin(name);
    try {
      await log.settled();
    } catch (error) {
      this.#forget(made);
      throw error;
    } finally {
      writes.end(name);
    }
    return log.createdAt;
  }

  /** Returns a name, which the link hears of from now on. */
  #touch(name: string): ServedName {
    const known = this.#names.get(name);
    if (known) return known;
    const stop = this.#store.hear?.(name, () => {
      this.#changed.add(name);
      this.#schedule();
    });
    const made = { logs: new Map(), stop: stop ?? (() => {}) };
    this.#names.set(name, made);
    return made;
  }

  /** Describes what a name stands for, and has stood for. */
  #record(name: string): LogState[] {
    const named = this.#touch(name);
    const states: LogState[] = [];
    let epoch: string | undefined;
    for (let count = 0; count <= MAX_FORMER; count++) {
      const log = this.#store.find(name, epoch);
      if (!log) break;
      let served = named.logs.get(log.epoch);
      if (served) {
        log[Symbol.dispose]();
        served.tell(this.#channel);
      } else served = this.#serve(named, this.#nextLog++, name, log);
      states.push(served.describe());
      epoch = served.log.facts.follows;
      if (epoch === undefined) break;
    }
    for (const [epoch, log] of named.logs) {
      if (states.some((state) => state.epoch === epoch)) continue;
      // A log that was lost was not deleted: the relay has to hear of that before.
      log.tell(this.#channel);
      this.#forget(log);
    }
    return states;
  }

  #serve(named: ServedName, h: number, name: string, log: Log): ServedLog {
    const served = new ServedLog(h, name, log, (dirty) => {
      if (dirty === this.#appending) return;
      this.#dirty.add(dirty);
      this.#schedule();
    });
    named.logs.set(log.epoch, served);
    this.#logs.set(h, served);
    return served;
  }

  #forget(served: ServedLog): void {
    const { h, name, log } = served;
    this.#names.get(name)?.logs.delete(log.epoch);
    this.#logs.delete(h);
    this.#dirty.delete(served);
    served[Symbol.dispose]();
    log[Symbol.dispose]();
  }

  #drop(name: string): void {
    const named = this.#names.get(name);
    if (!named) return;
    named.stop();
    for (const log of named.logs.values()) this.#forget(log);
    this.#names.delete(name);
    this.#changed.delete(name);
  }

  async #read(operation: Operation): Promise<unknown[]> {
    const { log } = this.#logAt(operation);
    const from = Math.max(offsetAt(operation, 3), log.first);
    const bytes = Math.min(numberAt(operation, 4), MAX_READ);
    const standing = [log.first, log.next];
    if (from >= log.next || log.holeAt?.(from)) {
      return [...standing, from, 0, []];
    }
    try {
      const range = await log.read(from, { events: 4_096, bytes });
      return [...standing, range.offset, ...packEntries(range.entries)];
    } catch (error) {
      // Where the topic lives, retention has passed them: the relay is told what is left.
      if (log.first > from) return await this.#read(operation);
      throw error;
    }
  }

  async #onCancel(
    number: number,
    reason: string | undefined,
  ): Promise<boolean> {
    // Over a link that is gone, nobody is asked: the lease ends by itself.
    try {
      return await this.stop(number, reason);
    } catch {
      return false;
    }
  }

  async #watch(operation: Operation): Promise<void> {
    const watch = integerAt(operation, 1);
    const query = {
      prefix: textAt(operation, 2),
      limit: offsetAt(operation, 3),
    };
    const abort = new AbortController();
    this.#watches.set(watch, abort);
    try {
      for await (const news of this.#store.watch(query, abort.signal)) {
        this.#channel.send(["w", watch, news], 512);
        if (!this.#channel.hasRoom) await this.#waitForRoom();
      }
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#channel.send(["nw", watch, packError(error)]);
    } finally {
      this.#watches.delete(watch);
    }
  }

  async #tellOrphans(): Promise<void> {
    const { signal } = this.#closing;
    const orphans = this.#store.orphans?.(signal);
    if (!orphans) return;
    try {
      for await (const { name, epoch } of orphans) {
        this.#channel.send(["orphan", name, epoch]);
      }
    } catch (error) {
      if (signal.aborted) return;
      logger.warn(
        "Cannot tell a linked relay of topics whose relay is gone: {reason}",
        {
          reason: messageOf(error),
        },
      );
    }
  }

  #waitForRoom(): Promise<void> {
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  #schedule(): void {
    this.#turn ??= setImmediate(() => this.#tellAll());
  }

  /** Tells what is new in this turn of the event loop, of all topics. */
  #tellAll(): void {
    this.#turn = undefined;
    for (const log of this.#dirty) log.tell(this.#channel);
    this.#dirty.clear();
    for (const name of this.#changed) void this.#tellName(name);
    this.#changed.clear();
    this.#channel.flush();
  }

  async #tellName(name: string): Promise<void> {
    try {
      const { store } = this.#context;
      if (store.prepare) await store.prepare(name, {});
      if (!this.#names.has(name)) return;
      this.#channel.send(["n", name, this.#record(name)], 256);
    } catch (error) {
      if (!this.#names.has(name)) return;
      this.#changed.add(name);
      logger.warn("Cannot look up topic {topic}, trying again: {reason}", {
        topic: name,
        reason: messageOf(error),
      });
    }
  }
}

/** Returns the publication of an append: it may have a condition. */
function publicationAt(operation: Operation): AppendedPublication {
  const publication = {
    key: textAt(operation, 6),
    value: textAt(operation, 7),
  };
  return operation.length > 8
    ? { ...publication, before: { value: maybeTextAt(operation, 8) } }
    : publication;
}

/** Returns the time of an event, if it is at hand. */
function timeAt(log: Log, offset: number): number | undefined {
  if (offset < log.first) return undefined;
  const range = log.read(offset, { events: 1, bytes: 1 });
  if (!(range instanceof Promise)) return range.entries[0]?.time;
  range.catch(() => {});
  return undefined;
}

function queryAt(operation: Operation): ListQuery {
  return {
    after: textAt(operation, 2),
    prefix: textAt(operation, 3),
    limit: offsetAt(operation, 4),
  };
}
