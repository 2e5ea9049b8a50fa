import { getLogger } from "@logtape/logtape";
import { abortable } from "../../../src/fetch/abortable.ts";
import type { Clock } from "../../../src/fetch/clock.ts";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { type Channel, LinkLostError } from "../../links/channel.ts";
import type { UpwardLink } from "../../links/upward_link.ts";
import {
  arrayAt,
  maybeTextAt,
  newsSchema,
  numberAt,
  type Operation,
  recordSchema,
  textAt,
  topicsSchema,
  valueAt,
} from "../../links/wire.ts";
import type { CancelAnswer, Lease, LeaseRequest } from "../../topics/lease.ts";
import type { Log, TopicFacts } from "../../topics/log.ts";
import { createEpoch } from "../../topics/position.ts";
import {
  type ListQuery,
  type LogName,
  type PrepareOptions,
  type Store,
  type StoredTopic,
  StoreError,
  type TopicNews,
  type WatchQuery,
} from "../../topics/store.ts";
import type { z } from "zod";
import { Wakes } from "../follow_log.ts";
import { History } from "../history.ts";
import { Windows } from "../window.ts";
import type { ParentAddress } from "./parent_address.ts";
import { ParentLeases } from "./parent_leases.ts";
import { ParentLink } from "./parent_link.ts";
import { ParentLog, type ParentLogStore } from "./parent_log.ts";
import { ParentLogHandle } from "./parent_log_handle.ts";
import { ParentName } from "./parent_name.ts";
import { spreadReturn } from "./spread_return.ts";

/** The address and the settings of a store in another relay. */
export interface ParentStoreOptions {
  readonly address: ParentAddress;
  /** The token that the parent asks for. Default: none. */
  readonly token?: string | undefined;
  /**
   * The name that this relay gives itself, for the parent's logs. Default:
   * `relay`.
   */
  readonly name?: string | undefined;
  readonly clock: Clock;
  /** Answers a call of a parent that has started this relay. Default: refuses it. */
  readonly onCall?:
    | ((method: string, body: string) => Promise<string>)
    | undefined;
}

/** The time for which an unused name stays at hand, in milliseconds. */
const IDLE = 31_000;

/** The time between two looks at the names at hand, in milliseconds. */
const LOOK_INTERVAL = 500;

/** The time for which work waits for a parent that is away, in milliseconds. */
const PATIENCE = 2_000;

/** The bytes of the newest events of all logs, and of one: what a log may be ahead fits in. */
const WINDOW_BYTES = 64 * 1024 * 1024;
const LOG_BYTES = 1024 * 1024;

/** The news that a watcher has not taken, beyond which it gets the list anew. */
const MAX_NEWS = 10_000;

/** One who watches the topics of the parent. */
interface Watching {
  readonly news: TopicNews[];
  readonly wakes: Wakes;
  error: unknown;
}

const logger = getLogger(["rivulet", "relay", "store"]);

/** A {@linkcode Store} whose topics live in another relay, the parent. */
export class ParentStore implements Store {
  readonly isLasting = true;
  readonly isShared = true;
  readonly #clock: Clock;
  readonly #onCall: ParentStoreOptions["onCall"];
  readonly #link: ParentLink;
  readonly #leases: ParentLeases;
  readonly #names = new Map<string, ParentName>();
  readonly #watching = new Map<number, Watching>();
  readonly #orphaned = new Set<{ logs: LogName[]; wakes: Wakes }>();
  readonly #history: History<ParentLog>;
  readonly #logStore: ParentLogStore;
  /** The logs by the numbers under which the link has them. */
  readonly #numbers = new Map<number, ParentLog>();
  #lastOwn = 0;
  #lastWatch = 0;
  /** The process that the topics have come from. */
  #parent: string | undefined;
  #cancelLook: () => void = () => {};
  /** Ends the return to a parent that is gone again. */
  #returning = new AbortController();

  /** Makes a store that is not linked yet. */
  constructor(
    { address, token, name = "relay", clock, onCall }: ParentStoreOptions,
  ) {
    this.#clock = clock;
    this.#onCall = onCall;
    const link = this.#link = new ParentLink({ address, token, name }, {
      onUp: (channel) => void this.#onUp(channel),
      onDown: () => this.#onDown(),
      onOperation: (...told) => this.#onOperation(...told),
    });
    this.#leases = new ParentLeases({
      clock,
      channel: () => this.#channel,
      link: () => link.channel,
    });
    this.#history = new History({
      name: address.text,
      load: (log, from, bytes) => log.load(from, bytes),
      errorOf: (error) =>
        error instanceof StoreError
          ? error
          : new StoreError("io", messageOf(error), { cause: error }),
    });
    this.#logStore = {
      clock,
      numbers: this.#numbers,
      windows: new Windows(WINDOW_BYTES, LOG_BYTES),
      link: () => link.channel,
      linked: (name) => this.#linked(name),
      refusal: () => link.downFor < PATIENCE ? undefined : link.failure,
      nextOwn: () => --this.#lastOwn,
      onIdle: (log) => {
        if (!log.isGone) return;
        this.#history.forget(log);
        this.#names.get(log.name)?.buried(log);
      },
    };
  }

  /** The way to where the topics live. */
  get upward(): UpwardLink {
    return this.#link;
  }

  /** This relay, among all relays. */
  get id(): string {
    return this.#link.id;
  }

  get failure(): StoreError | undefined {
    return this.#link.failure;
  }

  async open(): Promise<void> {
    await this.#link.open();
    this.#scheduleLook();
  }

  /** Asks the parent, which has started this relay, for something. */
  async call(method: string, body: string): Promise<string> {
    return textAt(await this.#channel.ask("call", [method, body]), 2);
  }

  prepare(name: string, options: PrepareOptions): Promise<void> | undefined {
    const known = this.#touch(name);
    const { current } = known;
    const { makes = false, publications, isFresh } = options;
    const isKnown = known.isOpen && (current !== undefined || !makes);
    // The parent reports changes of what the name stands for.
    if (isKnown && !publications && !isFresh) return undefined;
    // Without a link, what is at hand is better than nothing.
    if (!this.#link.channel && current && !publications && !isFresh) {
      return undefined;
    }
    return this.#prepare(known, makes, publications);
  }

  hear(name: string, listener: () => void): () => void {
    const known = this.#touch(name);
    known.listeners.add(listener);
    if (!known.isOpen && this.#link.channel) {
      this.#refresh(known, false).catch(() => {});
    }
    return () => void known.listeners.delete(listener);
  }

  create(name: string, facts: TopicFacts, epoch: string = createEpoch()): Log {
    const known = this.#touch(name);
    const createdAt = this.#clock.now();
    const log = new ParentLog(this.#logStore, name, {
      epoch,
      createdAt,
      facts,
    });
    known.add(log);
    log.make();
    return this.#handle(known, log);
  }

  find(name: string, epoch?: string): Log | undefined {
    const known = this.#names.get(name);
    const log = known?.find(epoch);
    if (!known || !log) return undefined;
    known.usedAt = this.#clock.now();
    return this.#handle(known, log);
  }

  list(query: ListQuery): Promise<readonly StoredTopic[]> {
    return this.#list(query, 0);
  }

  listUnended(query: ListQuery): Promise<readonly StoredTopic[]> {
    return this.#list(query, 1);
  }

  async *watch(
    { prefix, limit }: WatchQuery,
    signal: AbortSignal,
  ): AsyncGenerator<TopicNews, void> {
    for (;;) {
      signal.throwIfAborted();
      const channel = await abortable(this.#link.up, signal);
      const number = ++this.#lastWatch;
      const watching: Watching = {
        news: [],
        wakes: new Wakes(),
        error: undefined,
      };
      this.#watching.set(number, watching);
      channel.send(["watch", number, prefix, limit]);
      try {
        while (!watching.error && watching.news.length <= MAX_NEWS) {
          const news = watching.news.shift();
          if (news) yield news;
          else await abortable(watching.wakes.next, signal);
        }
      } finally {
        this.#watching.delete(number);
        channel.send(["unwatch", number]);
      }
      const { error } = watching;
      if (error && !(error instanceof LinkLostError)) throw error;
    }
  }

  async *orphans(signal: AbortSignal): AsyncGenerator<LogName, void> {
    const told = { logs: [] as LogName[], wakes: new Wakes() };
    this.#orphaned.add(told);
    if (this.#orphaned.size === 1) this.#link.channel?.send(["orphans"]);
    try {
      for (;;) {
        signal.throwIfAborted();
        const log = told.logs.shift();
        if (log) yield log;
        else await abortable(told.wakes.next, signal);
      }
    } finally {
      this.#orphaned.delete(told);
    }
  }

  hold(request: LeaseRequest): Promise<Lease> {
    return this.#leases.hold(request);
  }

  cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): Promise<CancelAnswer> {
    return this.#leases.cancel(name, epoch, reason);
  }

  async delete(name: string, epoch: string): Promise<void> {
    const known = this.#touch(name);
    known.deleting(epoch);
    try {
      for (;;) {
        // Whoever is told that it is gone must not find it when the parent is back.
        const channel = await this.#link.up;
        try {
          await channel.ask("delete", [name, epoch]);
          return;
        } catch (error) {
          if (!(error instanceof LinkLostError)) throw error;
        }
      }
    } finally {
      known.deleted(epoch);
    }
  }

  async letGo(name: string, epoch: string): Promise<void> {
    const known = this.#names.get(name);
    if (known?.isUsed) return;
    this.#forget(name);
    await this.#channel.ask("letgo", [name, epoch]);
  }

  async deleteEnded(before: number): Promise<void> {
    // Away, it does so by itself.
    await this.#link.channel?.ask("ended", [before]);
  }

  async get(bucket: string, key: string): Promise<string | undefined> {
    return maybeTextAt(await this.#channel.ask("get", [bucket, key]), 2);
  }

  async put(
    bucket: string,
    key: string,
    value: string,
    expires: number,
  ): Promise<void> {
    await this.#channel.ask("put", [bucket, key, value, expires]);
  }

  async claim(
    bucket: string,
    key: string,
    value: string,
    expires: number,
  ): Promise<string | undefined> {
    const asked = [bucket, key, value, expires];
    return maybeTextAt(await this.#channel.ask("claim", asked), 2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelLook();
    await this.#settled();
    this.#link[Symbol.dispose]();
    const closed = new StoreError("closed", "The store was closed");
    for (const { logs } of this.#names.values()) {
      for (const log of logs.values()) log.close(closed);
    }
    this.#names.clear();
  }

  /** The link. */
  get #channel(): Channel {
    const { channel, failure } = this.#link;
    if (channel) return channel;
    throw failure ?? new LinkLostError();
  }

  /** Waits a moment for what is under way. */
  async #settled(): Promise<void> {
    if (!this.#link.channel) return;
    const busy = [...this.#names.values()]
      .flatMap(({ logs }) => [...logs.values()])
      .filter(({ isBusy }) => isBusy);
    if (busy.length === 0) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, 1_000);
    });
    await Promise.race([
      Promise.allSettled(busy.map((log) => log.settled())),
      late,
    ]);
    clearTimeout(timer);
  }

  #touch(name: string): ParentName {
    const now = this.#clock.now();
    let known = this.#names.get(name);
    if (known) known.usedAt = now;
    else {
      known = new ParentName(this.#logStore, name, now);
      this.#names.set(name, known);
    }
    return known;
  }

  #handle(known: ParentName, log: ParentLog): Log {
    return new ParentLogHandle(log, this.#history, () => {
      known.usedAt = this.#clock.now();
    });
  }

  async #prepare(
    known: ParentName,
    makes: boolean,
    publications: boolean | undefined,
  ): Promise<void> {
    await this.#refresh(known, makes);
    if (!publications) return;
    await Promise.all([...known.logs.values()].map(async (log) => {
      if (log.h === undefined || log.isMaking) return;
      const answer = await this.#channel.ask("pubs", [log.h]);
      const told = arrayAt(answer, 2).map((pair): [string, string] => {
        const values = Array.isArray(pair) ? pair : [];
        return [textAt(values, 0), textAt(values, 1)];
      });
      log.remember(told);
    }));
  }

  /** Has a name at hand as the parent has it now. */
  #refresh(known: ParentName, makes: boolean): Promise<void> {
    let channel: Channel;
    try {
      channel = this.#channel;
    } catch (error) {
      return Promise.reject(error);
    }
    const { refresh } = known;
    // A request that has not left yet serves all callers.
    if (
      refresh && refresh.channel === channel &&
      refresh.message === channel.sent && (refresh.makes || !makes)
    ) return refresh.done;
    const done = this.#ask(known, makes, channel);
    const own = { done, makes, channel, message: channel.sent };
    known.refresh = own;
    const over = (): void => {
      if (known.refresh === own) known.refresh = undefined;
    };
    done.then(over, over);
    return done;
  }

  #ask(known: ParentName, makes: boolean, channel: Channel): Promise<void> {
    const { name } = known;
    return new Promise((resolve, reject) => {
      channel.request("name", [name, makes ? 1 : 0], {
        resolve: (answer) => {
          // It may have been let go of meanwhile.
          if (this.#names.get(name) === known) {
            known.took(valueAt(recordSchema, answer, 2), channel);
          }
          resolve();
        },
        reject,
      });
    });
  }

  /** Resolves with the link, once a name is at hand there. */
  async #linked(name: string): Promise<Channel> {
    const channel = await this.#link.up;
    const known = this.#names.get(name);
    if (known && !known.isOpen) await this.#refresh(known, false);
    return channel;
  }

  async #list(
    { after, prefix, limit }: ListQuery,
    unended: 0 | 1,
  ): Promise<readonly StoredTopic[]> {
    const asked = [after, prefix, limit, unended];
    const answer = await this.#channel.ask("list", asked);
    return valueAt(topicsSchema, answer, 2).map(withEnd);
  }

  #onOperation(operation: Operation, channel: Channel): void {
    switch (operation[0]) {
      case "p":
      case "j":
      case "t":
      case "f":
      case "u":
      case "e":
      case "x":
        return this.#logAt(operation)?.told(operation);
      case "n": {
        const known = this.#names.get(textAt(operation, 1));
        known?.took(valueAt(recordSchema, operation, 2), channel);
        return;
      }
      case "w": {
        const watching = this.#watching.get(numberAt(operation, 1));
        const news = valueAt(newsSchema, operation, 2);
        watching?.news.push(
          news.kind === "made" || news.kind === "ended"
            ? { ...news, topic: withEnd(news.topic) }
            : news.kind === "listed"
            ? { ...news, topics: news.topics.map(withEnd) }
            : news,
        );
        watching?.wakes.wake();
        return;
      }
      case "orphan": {
        const log = { name: textAt(operation, 1), epoch: textAt(operation, 2) };
        for (const { logs, wakes } of this.#orphaned) {
          logs.push(log);
          wakes.wake();
        }
        return;
      }
      case "stop":
        return void channel.answerWith(
          numberAt(operation, 1),
          () =>
            this.#leases.stop(
              numberAt(operation, 2),
              maybeTextAt(operation, 3),
            ),
        );
      case "call":
        return void channel.answerWith(numberAt(operation, 1), () => {
          const [method, body] = [textAt(operation, 2), textAt(operation, 3)];
          if (this.#onCall) return this.#onCall(method, body);
          throw new StoreError("denied", "Expected no calls of the parent");
        });
      default:
        // A later version may say more: what has no answer can be left out.
        return;
    }
  }

  #logAt(operation: Operation): ParentLog | undefined {
    return this.#numbers.get(numberAt(operation, 1));
  }

  async #onUp(channel: Channel): Promise<void> {
    const [parent] = this.#link.path;
    const isOther = this.#parent !== undefined && this.#parent !== parent;
    this.#parent = parent;
    if (isOther) {
      for (const known of this.#names.values()) known.mayBeLost = true;
    }
    if (this.#orphaned.size > 0) channel.send(["orphans"]);
    // Whoever fills a topic has to have its lease before it writes.
    await this.#leases.resume(channel);
    await this.#return(channel);
  }

  /** Has names at hand again, some at a time. */
  async #return(channel: Channel): Promise<void> {
    const { signal } = this.#returning = new AbortController();
    const comeBack = (known: ParentName): void => {
      if (this.#names.get(known.name) !== known || known.isOpen) return;
      for (const log of known.logs.values()) {
        if (log.isMaking) log.resumeMaking();
      }
      this.#refresh(known, false).catch((error) => {
        if (!channel.isOpen) return;
        logger.warn("Cannot reopen topic {topic} at the parent: {reason}", {
          topic: known.name,
          reason: messageOf(error),
        });
      });
    };
    if (!channel.isOpen) return;
    const names = this.#names.values();
    try {
      await spreadReturn(names, comeBack, this.#clock, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #onDown(): void {
    this.#returning.abort();
    this.#numbers.clear();
    for (const known of this.#names.values()) known.onDown();
    for (const watching of this.#watching.values()) {
      watching.error = new LinkLostError();
      watching.wakes.wake();
    }
  }

  #forget(name: string): void {
    const known = this.#names.get(name);
    if (!known) return;
    this.#names.delete(name);
    for (const log of known.logs.values()) {
      log.window.clear();
      this.#history.forget(log);
      if (log.h !== undefined) this.#numbers.delete(log.h);
    }
    this.#link.channel?.send(["drop", name]);
  }

  #scheduleLook(): void {
    this.#cancelLook = this.#clock.setTimeout(() => {
      this.#look();
      this.#scheduleLook();
    }, LOOK_INTERVAL);
  }

  #look(): void {
    const now = this.#clock.now();
    this.#leases.look();
    const refusal = this.#logStore.refusal();
    for (const [name, known] of this.#names) {
      if (refusal) {
        for (const log of known.logs.values()) log.giveUp(refusal);
      }
      if (known.isUsed || now - known.usedAt < IDLE) continue;
      this.#forget(name);
    }
  }
}

/** Returns a topic with its end, which JSON leaves out where there is none. */
function withEnd(topic: z.output<typeof topicsSchema>[number]): StoredTopic {
  return { ...topic, end: topic.end };
}
