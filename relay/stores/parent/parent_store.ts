import type { Clock } from "../../../src/fetch/clock.ts";
import { type Channel, LinkLostError } from "../../links/channel.ts";
import {
  maybeTextAt,
  numberAt,
  type Operation,
  textAt,
  topicsSchema,
  valueAt,
} from "../../links/wire.ts";
import type { UpwardLink } from "../../links/upward_link.ts";
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
import { withEnd } from "./listed_topics.ts";
import type { ParentAddress } from "./parent_address.ts";
import { ParentLeases } from "./parent_leases.ts";
import { ParentLink } from "./parent_link.ts";
import { ParentNames } from "./parent_names.ts";
import { ParentNews } from "./parent_news.ts";

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

/** The time between two looks at the names at hand, in milliseconds. */
const LOOK_INTERVAL = 500;

/** A {@linkcode Store} whose topics live in another relay, the parent. */
export class ParentStore implements Store {
  readonly isLasting = true;
  readonly isShared = true;
  readonly #clock: Clock;
  readonly #onCall: ParentStoreOptions["onCall"];
  readonly #link: ParentLink;
  readonly #leases: ParentLeases;
  readonly #names: ParentNames;
  readonly #news: ParentNews;
  /** The process that the topics have come from. */
  #parent: string | undefined;
  #cancelLook: () => void = () => {};

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
      channel: () => link.required,
      link: () => link.channel,
      onSettled: ({ request: { topic } }) => this.#names.onLease(topic),
    });
    this.#names = new ParentNames(link, clock, address.text);
    this.#news = new ParentNews(link);
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
    return textAt(await this.#link.required.ask("call", [method, body]), 2);
  }

  prepare(name: string, options: PrepareOptions): Promise<void> | undefined {
    const known = this.#names.touch(name);
    const { current } = known;
    const { makes = false, owner, publications, isFresh } = options;
    const isKnown = known.isOpen && (current !== undefined || !makes);
    // The parent reports changes of what the name stands for.
    if (isKnown && !publications && !isFresh) return undefined;
    // Without a link, what is at hand is better than nothing.
    if (!this.#link.channel && current && !publications && !isFresh) {
      return undefined;
    }
    return this.#names.prepare(known, { makes, owner }, publications);
  }

  hear(name: string, listener: () => void): () => void {
    const known = this.#names.touch(name);
    known.listeners.add(listener);
    if (!known.isOpen && this.#link.channel) {
      this.#names.refresh(known).catch(() => {});
    }
    return () => void known.listeners.delete(listener);
  }

  create(name: string, facts: TopicFacts, epoch: string = createEpoch()): Log {
    return this.#names.create(name, facts, epoch);
  }

  find(name: string, epoch?: string): Log | undefined {
    return this.#names.find(name, epoch);
  }

  list(query: ListQuery): Promise<readonly StoredTopic[]> {
    return this.#list(query, 0);
  }

  listUnended(query: ListQuery): Promise<readonly StoredTopic[]> {
    return this.#list(query, 1);
  }

  watch(
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncGenerator<TopicNews, void> {
    return this.#news.watch(query, signal);
  }

  orphans(signal: AbortSignal): AsyncGenerator<LogName, void> {
    return this.#news.orphans(signal);
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
    const known = this.#names.touch(name);
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
    // The parent must know first that the topic was only asked for.
    await this.#names.get(name)?.logs.get(epoch)?.settled();
    for (;;) {
      const channel = await this.#link.up;
      if (this.#names.get(name)?.isUsed) return;
      this.#names.forget(name);
      try {
        await channel.ask("letgo", [name, epoch]);
        return;
      } catch (error) {
        if (!(error instanceof LinkLostError)) throw error;
      }
    }
  }

  async deleteEnded(before: number): Promise<void> {
    // Away, it does so by itself.
    await this.#link.channel?.askWhileOpen("ended", [before]);
  }

  async get(bucket: string, key: string): Promise<string | undefined> {
    return maybeTextAt(await this.#link.required.ask("get", [bucket, key]), 2);
  }

  async put(
    bucket: string,
    key: string,
    value: string,
    expires: number,
  ): Promise<void> {
    await this.#link.required.ask("put", [bucket, key, value, expires]);
  }

  async claim(
    bucket: string,
    key: string,
    value: string,
    expires: number,
    instead?: string,
  ): Promise<string | undefined> {
    const asked: (string | number)[] = [bucket, key, value, expires];
    if (instead !== undefined) asked.push(instead);
    return maybeTextAt(await this.#link.required.ask("claim", asked), 2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelLook();
    await this.#names.settled();
    this.#link[Symbol.dispose]();
    this.#names.close();
  }

  async #list(
    { after, prefix, limit }: ListQuery,
    unended: 0 | 1,
  ): Promise<readonly StoredTopic[]> {
    const asked = [after, prefix, limit, unended];
    const answer = await this.#link.required.ask("list", asked);
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
      case "n":
        return this.#names.told(operation, channel);
      case "w":
      case "nw":
      case "orphan":
        return this.#news.told(operation);
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

  async #onUp(channel: Channel): Promise<void> {
    const [parent] = this.#link.path;
    const isOther = this.#parent !== undefined && this.#parent !== parent;
    this.#parent = parent;
    if (isOther) this.#names.mayBeLost();
    this.#news.onUp(channel);
    // Whoever fills a topic has to have its lease before it writes.
    await this.#leases.resume(channel);
    await this.#names.comeBack(channel);
  }

  #onDown(): void {
    this.#leases.onDown();
    this.#names.onDown();
    this.#news.onDown();
  }

  #scheduleLook(): void {
    this.#cancelLook = this.#clock.setTimeout(() => {
      this.#leases.look();
      this.#names.look();
      this.#scheduleLook();
    }, LOOK_INTERVAL);
  }
}
