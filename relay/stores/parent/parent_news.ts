import { abortable } from "../../../src/fetch/abortable.ts";
import { type Channel, LinkLostError } from "../../links/channel.ts";
import {
  newsSchema,
  numberAt,
  type Operation,
  textAt,
  unpackError,
  valueAt,
} from "../../links/wire.ts";
import type { LogName, TopicNews, WatchQuery } from "../../topics/store.ts";
import { Wakes } from "../follow_log.ts";
import { withEnd } from "./listed_topics.ts";
import type { ParentLink } from "./parent_link.ts";

/** The news that a watcher has not taken, beyond which it gets the list anew. */
const MAX_NEWS = 10_000;

/** One who watches the topics of the parent. */
interface Watching {
  readonly news: TopicNews[];
  readonly wakes: Wakes;
  error: unknown;
}

/** The news that a parent tells of its topics, for those who watch them, and for whoever takes over orphans. */
export class ParentNews {
  readonly #link: ParentLink;
  readonly #watching = new Map<number, Watching>();
  readonly #orphaned = new Set<{ logs: LogName[]; wakes: Wakes }>();
  #lastWatch = 0;

  /** Watches nothing yet. */
  constructor(link: ParentLink) {
    this.#link = link;
  }

  /** Yields news of topics, as `Store.watch` has it. */
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

  /** Yields logs whose filler is gone, as `Store.orphans` has it. */
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

  /** There is a link. */
  onUp(channel: Channel): void {
    if (this.#orphaned.size > 0) channel.send(["orphans"]);
  }

  /** There is none any more. */
  onDown(): void {
    for (const watching of this.#watching.values()) {
      watching.error = new LinkLostError();
      watching.wakes.wake();
    }
  }

  /** Takes what the parent tells. */
  told(operation: Operation): void {
    switch (operation[0]) {
      case "w":
        return this.#told(operation);
      case "nw": {
        const watching = this.#watching.get(numberAt(operation, 1));
        if (!watching) return;
        watching.error = unpackError(operation, 2);
        return watching.wakes.wake();
      }
      case "orphan": {
        const log = { name: textAt(operation, 1), epoch: textAt(operation, 2) };
        for (const { logs, wakes } of this.#orphaned) {
          logs.push(log);
          wakes.wake();
        }
      }
    }
  }

  #told(operation: Operation): void {
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
  }
}
