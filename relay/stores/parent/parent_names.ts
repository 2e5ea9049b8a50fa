import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../src/fetch/clock.ts";
import { messageOf } from "../../../src/fetch/message_of.ts";
import type { Channel } from "../../links/channel.ts";
import {
  arrayAt,
  numberAt,
  type Operation,
  recordSchema,
  textAt,
  valueAt,
} from "../../links/wire.ts";
import type { Log, TopicFacts } from "../../topics/log.ts";
import { StoreError } from "../../topics/store.ts";
import { History } from "../history.ts";
import { Windows } from "../window.ts";
import type { ParentLink } from "./parent_link.ts";
import { ParentLog, type ParentLogStore } from "./parent_log.ts";
import { ParentLogHandle } from "./parent_log_handle.ts";
import { ParentName } from "./parent_name.ts";
import { spreadReturn } from "./spread_return.ts";

/** The time for which an unused name stays at hand, in milliseconds. */
const IDLE = 31_000;

/** The time for which work waits for a parent that is away, in milliseconds. */
const PATIENCE = 2_000;

/** The bytes of the newest events of all logs, and of one: what a log may be ahead fits in. */
const WINDOW_BYTES = 64 * 1024 * 1024;
const LOG_BYTES = 1024 * 1024;

/** The time for which a store that is closed waits for what is under way, in milliseconds. */
const LAST = 1_000;

/** The reason why a name is asked for. */
interface NameNeed {
  /** Whether the topic is made if there is none. */
  readonly makes: boolean;
  /** The client whom it then belongs to. */
  readonly owner?: string | undefined;
}

const KNOWN_ONLY: NameNeed = { makes: false };

const logger = getLogger(["rivulet", "relay", "store"]);

/** The names of topics that are at hand: asked for at the parent, told of by it, and let go of. */
export class ParentNames {
  readonly #link: ParentLink;
  readonly #clock: Clock;
  readonly #names = new Map<string, ParentName>();
  /** The logs by the numbers under which the link has them. */
  readonly #numbers = new Map<number, ParentLog>();
  readonly #history: History<ParentLog>;
  readonly #logStore: ParentLogStore;
  #lastOwn = 0;
  /** Ends the return to the parent that is under way. */
  #returning: AbortController | undefined;

  /**
   * Begins with no name.
   *
   * @param parent The address of the parent, for messages.
   */
  constructor(link: ParentLink, clock: Clock, parent: string) {
    this.#link = link;
    this.#clock = clock;
    this.#history = new History({
      name: parent,
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

  /** Finds a name that is at hand. */
  get(name: string): ParentName | undefined {
    return this.#names.get(name);
  }

  /** Returns a name, which is at hand for a while from now on. */
  touch(name: string): ParentName {
    const now = this.#clock.now();
    let known = this.#names.get(name);
    if (known) known.usedAt = now;
    else {
      known = new ParentName(this.#logStore, name, now);
      this.#names.set(name, known);
    }
    return known;
  }

  /** Makes a log. */
  create(name: string, facts: TopicFacts, epoch: string): Log {
    const known = this.touch(name);
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

  /** Finds a log that is at hand. */
  find(name: string, epoch: string | undefined): Log | undefined {
    const known = this.#names.get(name);
    const log = known?.find(epoch);
    if (!known || !log) return undefined;
    known.usedAt = this.#clock.now();
    return this.#handle(known, log);
  }

  /** Has a name at hand as the parent has it now, with its publications if asked for. */
  async prepare(
    known: ParentName,
    need: NameNeed,
    publications: boolean | undefined,
  ): Promise<void> {
    await this.refresh(known, need);
    if (!publications) return;
    await Promise.all([...known.logs.values()].map(async (log) => {
      if (log.h === undefined || log.isMaking) return;
      const answer = await this.#link.required.ask("pubs", [log.h]);
      const told = arrayAt(answer, 2).map((pair): [string, string] => {
        const values = Array.isArray(pair) ? pair : [];
        return [textAt(values, 0), textAt(values, 1)];
      });
      log.remember(told);
    }));
  }

  /** Has a name at hand as the parent has it now. */
  refresh(known: ParentName, need: NameNeed = KNOWN_ONLY): Promise<void> {
    const { makes } = need;
    let channel: Channel;
    try {
      channel = this.#link.required;
    } catch (error) {
      return Promise.reject(error);
    }
    const { refresh } = known;
    // A request that has not left yet serves all callers.
    if (
      refresh && refresh.channel === channel &&
      refresh.message === channel.sent && (refresh.makes || !makes)
    ) return refresh.done;
    const done = this.#ask(known, need, channel);
    const own = { done, makes, channel, message: channel.sent };
    known.refresh = own;
    const over = (): void => {
      if (known.refresh === own) known.refresh = undefined;
    };
    done.then(over, over);
    return done;
  }

  #ask(
    known: ParentName,
    { makes, owner }: NameNeed,
    channel: Channel,
  ): Promise<void> {
    const { name } = known;
    const values = [name, makes ? 1 : 0, ...(makes && owner ? [owner] : [])];
    return new Promise((resolve, reject) => {
      channel.request("name", values, {
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
    for (;;) {
      const channel = await this.#link.up;
      const known = this.#names.get(name);
      if (!known || known.isOpen) return channel;
      try {
        await this.refresh(known);
      } catch (error) {
        // The next link is waited for in the same way.
        if (this.#link.channel === channel) throw error;
      }
    }
  }

  /** Lets go of a name. */
  forget(name: string): void {
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

  /** Takes what the parent tells of a log, or of a name. */
  told(operation: Operation, channel: Channel): void {
    if (operation[0] !== "n") {
      return this.#numbers.get(numberAt(operation, 1))?.told(operation);
    }
    const known = this.#names.get(textAt(operation, 1));
    known?.took(valueAt(recordSchema, operation, 2), channel);
  }

  /** The parent is another process than before: it may have lost its memory. */
  mayBeLost(): void {
    for (const known of this.#names.values()) known.mayBeLost = true;
  }

  /** Has names at hand again, some at a time. */
  async comeBack(channel: Channel): Promise<void> {
    await this.#comeBack(channel, this.#names.values(), (known, error) => {
      if (!channel.isOpen) return;
      logger.warn(
        "Cannot reopen topic {topic} at the parent, trying again: {reason}",
        { topic: known.name, reason: messageOf(error) },
      );
    });
  }

  async #comeBack(
    channel: Channel,
    names: Iterable<ParentName>,
    onRefused: (known: ParentName, error: unknown) => void,
  ): Promise<void> {
    if (!channel.isOpen) return;
    const returning = this.#returning = new AbortController();
    const { signal } = returning;
    const comeBack = (known: ParentName): void => {
      if (this.#names.get(known.name) !== known || known.isOpen) return;
      this.refresh(known).catch((error) => onRefused(known, error));
    };
    try {
      await spreadReturn(names, comeBack, this.#clock, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      if (this.#returning === returning) this.#returning = undefined;
    }
  }

  /** Asks the parent again for the names that it refused, as its own parent was away. */
  #askAgain(): void {
    const { channel } = this.#link;
    if (!channel || this.#returning) return;
    const refused = [...this.#names.values()].filter((known) =>
      !known.isOpen && !known.refresh && known.isUsed
    );
    if (refused.length === 0) return;
    // The first refusal was logged: one line for each look would fill the log.
    void this.#comeBack(channel, refused, () => {});
  }

  /** Goes on with what waited for a lease on a topic. */
  onLease(name: string): void {
    for (const log of this.#names.get(name)?.logs.values() ?? []) log.onLease();
  }

  /** There is no link any more. */
  onDown(): void {
    this.#returning?.abort();
    this.#numbers.clear();
    for (const known of this.#names.values()) known.onDown();
  }

  /** Refuses what waits in vain, asks again, and lets go of what nobody uses. */
  look(): void {
    this.#askAgain();
    const now = this.#clock.now();
    const refusal = this.#logStore.refusal();
    for (const [name, known] of this.#names) {
      if (refusal) {
        for (const log of known.logs.values()) log.giveUp(refusal);
      }
      if (known.isUsed || now - known.usedAt < IDLE) continue;
      this.forget(name);
    }
  }

  /** Waits a moment for what is under way. */
  async settled(): Promise<void> {
    if (!this.#link.channel) return;
    const busy = [...this.#names.values()]
      .flatMap(({ logs }) => [...logs.values()])
      .filter(({ isBusy }) => isBusy);
    if (busy.length === 0) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST);
    });
    await Promise.race([
      Promise.allSettled(busy.map((log) => log.settled())),
      late,
    ]);
    clearTimeout(timer);
  }

  /** Closes all logs. */
  close(): void {
    const closed = new StoreError("closed", "The store was closed");
    for (const { logs } of this.#names.values()) {
      for (const log of logs.values()) log.close(closed);
    }
    this.#names.clear();
  }

  #handle(known: ParentName, log: ParentLog): Log {
    return new ParentLogHandle(log, this.#history, () => {
      known.usedAt = this.#clock.now();
    });
  }
}
