import type { ServerResponse } from "node:http";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../../src/fetch/clock.ts";
import { messageOf } from "../../../../src/fetch/message_of.ts";
import type {
  SendAccount,
  SendBudget,
} from "../../../limits/memory/send_budget.ts";
import type { Access } from "../../../rights/access.ts";
import type { Expiries, Expiring } from "../../../rights/expiries.ts";
import type { TopicRegistry } from "../../../topics/registry.ts";
import { dropAnswer } from "../../../cut_answer.ts";
import type { Guest } from "../../guests.ts";
import { ShownWindow } from "./shown_window.ts";
import type { TopicListQuery } from "./topic_query.ts";
import { TopicRates } from "./topic_rates.ts";
import { findWindow, type TopicWindow } from "./topic_window.ts";

/** The time between two looks for changes, in milliseconds: a topic is told of twice a second at most. */
const INTERVAL = 500;

const logger = getLogger(["rivulet", "relay", "http"]);

/**
 * The part of the time that looking for changes may take, of all streams together.
 * With 10,000 topics and rights to be asked for, a look takes some milliseconds.
 */
const SHARE = 1 / 20;

/** A request for a list of topics and its changes. */
export interface TopicListRequest {
  /** The response to write to: it has not begun. */
  readonly response: ServerResponse;
  /** The topics of the list. */
  readonly query: TopicListQuery;
  /** The rights of the caller: the list has the topics that it may read. */
  readonly access: Access;
  /** The address of the caller. */
  readonly address: string;
  /** The name under which limits count the caller. */
  readonly client: string;
}

/** The context of the streams. */
export interface TopicListStreamsContext {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** Counts the bytes that wait for readers. */
  readonly budget: SendBudget;
  /** The time after which a reader gets a sign of life, in milliseconds. */
  readonly heartbeat: number;
  /** Ends streams whose tokens expire. */
  readonly expiries: Expiries;
  /** The source of time. */
  readonly clock: Clock;
}

/** The time for which a look is good enough for one more reader, in milliseconds. */
const FRESH = 50;

/** The lane of looks among the long work of the process. */
const LANE = "lists of topics";

/** Looks at topics for all readers of one list, who have the same rights. */
class TopicView {
  /** The window as it was at the last look. */
  shown: ShownWindow | undefined;
  readonly #closed = Promise.withResolvers<void>();
  #readers = 0;
  readonly #access: Access;
  readonly #query: TopicListQuery;
  readonly #context: TopicListStreamsContext;
  readonly #rates: TopicRates;
  /** The look that is under way. */
  #looking: Promise<void> | undefined;
  #lookedAt = -Infinity;
  #failure: unknown;

  constructor(
    { access, query }: Pick<TopicListRequest, "access" | "query">,
    context: TopicListStreamsContext,
    rates: TopicRates,
  ) {
    this.#access = access;
    this.#query = query;
    this.#context = context;
    this.#rates = rates;
  }

  /** Takes a reader. */
  join(): void {
    this.#readers++;
  }

  /**
   * Lets a reader go.
   *
   * @returns Whether it was the last one: the view is over then.
   */
  leave(): boolean {
    if (--this.#readers > 0) return false;
    // If nobody waits for the look, it may never be done.
    this.#closed.resolve();
    return true;
  }

  /** Whether its topics are sorted by their rates. */
  get needsRates(): boolean {
    return this.#query.sort.by === "rate";
  }

  /** Looks at what there is, unless that was done just now. */
  async first(): Promise<void> {
    const now = this.#context.clock.now();
    if (this.shown && now - this.#lookedAt < FRESH) return;
    await this.look(() => {});
    if (!this.shown) throw this.#failure;
  }

  /**
   * Looks at what there is; one that fails leaves what was shown before.
   *
   * @param onTime Is told how long each step of it took, in milliseconds.
   * @returns A promise if that takes a while, and not all of it is done at once.
   */
  look(onTime: (elapsed: number) => void): void | Promise<void> {
    if (this.#looking) return this.#looking;
    const { topics, clock } = this.#context;
    const found = findWindow({
      topics,
      access: this.#access,
      query: this.#query,
      isFresh: false,
      ...(this.needsRates && { rateOf: this.#rates.of }),
    }, { lane: LANE, onTime, isWaiting: () => this.#readers > 0 });
    const show = (window: TopicWindow): void => {
      const start = performance.now();
      this.#lookedAt = clock.now();
      const { by, isDescending } = this.#query.sort;
      const shown = new ShownWindow(
        window,
        by !== "name" || isDescending,
        this.needsRates ? this.#rates.of : () => undefined,
      );
      // A window without a change stays the same object for its readers.
      const before = this.shown;
      if (!before || shown.changesSince(before) !== undefined) {
        before?.clear();
        this.shown = shown;
      }
      onTime(performance.now() - start);
    };
    if (!(found instanceof Promise)) return show(found);
    const looked = found.then(show, (error) => {
      this.#failure = error;
      logger.warn("The store cannot list its topics: {reason}", {
        reason: messageOf(error),
      });
    }).finally(() => void (this.#looking = undefined));
    this.#looking = Promise.race([looked, this.#closed.promise]);
    return this.#looking;
  }
}

/** One reader of a list of topics (PROTOCOL.md, section 4). */
class TopicListSession implements Guest, Expiring {
  /** The view that looks at the topics for it. */
  readonly view: TopicView;
  readonly #request: TopicListRequest;
  readonly #context: TopicListStreamsContext;
  readonly #queued: SendAccount;
  /** The window that it was told of last. */
  #shown: ShownWindow | undefined;
  #wroteAt = 0;

  constructor(
    request: TopicListRequest,
    context: TopicListStreamsContext,
    view: TopicView,
  ) {
    const { response, client, address } = request;
    this.view = view;
    this.#request = request;
    this.#context = context;
    this.#queued = context.budget.open({
      client,
      address,
      drop: () => dropAnswer(response),
    });
    response.on("error", () => {}); // `close` follows
    const { expires } = request.access;
    context.expiries.add(expires, this);
    response.on("close", () => {
      context.expiries.delete(expires, this);
      this.#queued.close();
    });
    response.writeHead(200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-cache, no-transform",
      "X-Accel-Buffering": "no",
    });
    void this.#begin();
  }

  /** A list follows no topic. */
  get subscriptions(): readonly [] {
    return [];
  }

  /** Tells the reader what has changed; a reader that is behind gets all of it at once, later. */
  tell(): void {
    const { response } = this.#request;
    const { shown } = this.view;
    this.#queued.set(response.writableLength);
    if (response.writableNeedDrain || !this.#shown || !shown) return;
    const { clock, heartbeat } = this.#context;
    const changes = shown.changesSince(this.#shown);
    this.#shown = shown;
    if (changes !== undefined) this.#write(changes);
    else if (clock.now() - this.#wroteAt >= heartbeat) this.#write(":\n\n");
  }

  leave(_left: number, duration: number): void {
    this.#write(`retry: ${Math.ceil(duration)}\n\n`);
    this.stop();
  }

  finish(): void {
    this.stop();
  }

  stop(): void {
    this.#request.response.end();
  }

  /** The token has expired: a reader that comes back is asked for a new one. */
  onExpiry(): void {
    this.stop();
  }

  closed(): Promise<void> {
    const { response } = this.#request;
    return new Promise((resolve) => {
      if (response.closed) resolve();
      else response.once("close", () => resolve());
    });
  }

  async #begin(): Promise<void> {
    try {
      await this.view.first();
    } catch {
      return this.stop(); // it comes back
    }
    const { shown } = this.view;
    if (!shown) return;
    this.#shown = shown;
    this.#write(shown.snapshot);
  }

  #write(text: string): void {
    const { response } = this.#request;
    if (!response.writable) return;
    this.#wroteAt = this.#context.clock.now();
    response.write(text);
    this.#queued.set(response.writableLength);
  }
}

/**
 * The streams of lists of topics: a snapshot, and then what changes.
 *
 * They look for changes instead of being told, so that a stream costs the same
 * however fast its topics are, and nothing while nobody looks. Readers with the same
 * rights and the same list share a look, and what is written of it. Of a reader that is
 * behind, nothing is kept but the window that it was told of last.
 */
export class TopicListStreams implements Disposable {
  readonly #sessions = new Set<TopicListSession>();
  /** The views, by the rights of their readers and by their queries. */
  readonly #views = new Map<Access, Map<string, TopicView>>();
  readonly #context: TopicListStreamsContext;
  #rates: TopicRates;
  #cancel: (() => void) | undefined;

  /** Makes it without streams. */
  constructor(context: TopicListStreamsContext) {
    this.#context = context;
    this.#rates = new TopicRates(context.clock);
  }

  /** The number of readers. */
  get size(): number {
    return this.#sessions.size;
  }

  /** The readers. */
  get guests(): Iterable<Guest & { readonly subscriptions: readonly [] }> {
    return this.#sessions;
  }

  /** Answers a request with a list, and its changes. */
  open(request: TopicListRequest): void {
    // Its reader has left meanwhile, of which nothing would tell any more.
    if (request.response.destroyed) return;
    const view = this.#viewOf(request);
    view.join();
    const session = new TopicListSession(request, this.#context, view);
    this.#sessions.add(session);
    request.response.on("close", () => {
      this.#sessions.delete(session);
      if (view.leave()) this.#forget(request);
      if (this.#sessions.size === 0) this[Symbol.dispose]();
    });
    if (!this.#cancel) this.#schedule(INTERVAL);
  }

  /** Looks for changes no more. */
  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#rates = new TopicRates(this.#context.clock);
  }

  #viewOf({ access, query }: TopicListRequest): TopicView {
    let views = this.#views.get(access);
    if (!views) this.#views.set(access, views = new Map());
    const key = JSON.stringify(query);
    let view = views.get(key);
    if (!view) {
      view = new TopicView({ access, query }, this.#context, this.#rates);
      views.set(key, view);
    }
    return view;
  }

  #forget({ access, query }: TopicListRequest): void {
    const views = this.#views.get(access);
    views?.delete(JSON.stringify(query));
    if (views?.size === 0) this.#views.delete(access);
  }

  #schedule(delay: number): void {
    this.#cancel = this.#context.clock.setTimeout(() => {
      const took = this.#look();
      if (took instanceof Promise) void took.then((took) => this.#next(took));
      else this.#next(took);
    }, delay);
  }

  #next(took: number): void {
    if (this.#cancel) this.#schedule(Math.max(INTERVAL, took / SHARE));
  }

  /** Looks at all views, and tells their readers; returns how long that took, in milliseconds. */
  #look(): number | Promise<number> {
    let took = 0;
    const onTime = (elapsed: number): void => void (took += elapsed);
    this.#rates.turn();
    const tell = (): number => {
      const start = performance.now();
      for (const session of this.#sessions) session.tell();
      return took + performance.now() - start;
    };
    const looks: Promise<void>[] = [];
    for (const views of this.#views.values()) {
      for (const view of views.values()) {
        const look = view.look(onTime);
        if (look) looks.push(look);
      }
    }
    return looks.length > 0 ? Promise.all(looks).then(tell) : tell();
  }
}
