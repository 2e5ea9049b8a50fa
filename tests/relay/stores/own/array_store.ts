// A store as an embedder would write one: of the relay, it imports the public API alone.
import { Buffer } from "node:buffer";
import {
  type Appended,
  type CancelAnswer,
  type Clock,
  type Lease,
  LeaseHeldError,
  LeaseLostError,
  type LeaseRequest,
  type ListQuery,
  type Log,
  type LogAppendOptions,
  type LogEndOptions,
  type LogEntry,
  type LogProgress,
  type LogRange,
  type LogUpdateOptions,
  type ReadBudget,
  type Retention,
  type ServerSentEvent,
  StaleWriterError,
  type Store,
  type StoredEnd,
  type StoredTopic,
  type TopicFacts,
  type TopicNews,
  type WatchQuery,
} from "../../../../relay/mod.ts";

/** Resolves with the next change. */
class Changes {
  #next = Promise.withResolvers<void>();

  tell(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  async next(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      await Promise.race([this.#next.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

/** The events of a topic in an array. */
class ArrayLog implements Log {
  readonly epoch: string = crypto.randomUUID().replaceAll("-", "").slice(0, 12);
  readonly createdAt: number;
  facts: TopicFacts;
  ended: StoredEnd | undefined;
  lastId = "";
  isGone = false;
  readonly changes = new Changes();
  readonly #store: ArrayStore;
  readonly name: string;
  readonly #publications = new Map<string, string>();
  #entries: LogEntry[] = [];
  #first = 1;

  constructor(store: ArrayStore, name: string, facts: TopicFacts) {
    this.#store = store;
    this.name = name;
    this.facts = facts;
    this.createdAt = store.clock.now();
  }

  get first(): number {
    return this.#first;
  }

  get next(): number {
    return this.#first + this.#entries.length;
  }

  get bytes(): number {
    return this.#entries.reduce((sum, { size }) => sum + size, 0);
  }

  append(
    events: readonly ServerSentEvent[],
    { expected, publication, lease }: LogAppendOptions = {},
  ): Appended {
    if (lease && !lease.isHeld) throw new LeaseLostError(this.name);
    const first = this.next;
    if (this.ended || this.isGone || (expected ?? first) !== first) {
      const next = this.ended || this.isGone ? undefined : first;
      throw new StaleWriterError(this.name, expected ?? first, next);
    }
    const { key, before } = publication ?? {};
    if (key !== undefined && before) {
      if (before.value !== this.publication(key)) {
        throw new StaleWriterError(this.name, first, first);
      }
    }
    const time = this.#store.clock.now();
    let bytes = 0;
    for (const event of events) {
      const texts = [event.event, event.data, event.id];
      const size = texts.reduce(
        (sum, text) => sum + Buffer.byteLength(text),
        0,
      );
      this.#entries.push({ event, size, time });
      bytes += size;
      this.lastId = event.id;
    }
    if (publication) this.#publications.set(publication.key, publication.value);
    this.trim();
    this.changes.tell();
    return { first, count: events.length, bytes };
  }

  end(end: StoredEnd, { lease }: LogEndOptions = {}): void {
    if (this.ended) return;
    if (lease && !lease.isHeld) throw new LeaseLostError(this.name);
    this.ended = end;
    this.changes.tell();
    this.#store.tell("ended", this.name, this);
  }

  update(facts: TopicFacts, { lease }: LogUpdateOptions = {}): void {
    if (lease && !lease.isHeld) throw new LeaseLostError(this.name);
    this.facts = facts;
    this.changes.tell();
  }

  settled(): void {}

  publication(key: string): string | undefined {
    return this.#publications.get(key);
  }

  read(from: number, budget: ReadBudget): LogRange {
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (const entry of this.#entries.slice(from - this.#first)) {
      bytes += entry.size;
      const isTooMuch = entries.length >= budget.events || bytes > budget.bytes;
      if (isTooMuch && entries.length > 0) break;
      entries.push(entry);
    }
    return { offset: from, entries };
  }

  async *follow(
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<LogProgress, void> {
    let told = { next: from, facts: this.facts };
    for (;;) {
      signal.throwIfAborted();
      const { next, facts, ended: end } = this;
      if (end) return yield { kind: "ended", next, end };
      if (this.isGone) return yield { kind: "deleted" };
      if (next > told.next || facts !== told.facts) {
        told = { next: Math.max(next, from), facts };
        yield { kind: "open", next, facts };
      } else await this.changes.next(signal);
    }
  }

  trim(): void {
    const { maxEvents, maxBytes, maxAge } = this.#store.retention;
    const oldest = this.#store.clock.now() - maxAge;
    for (;;) {
      const [entry, second] = this.#entries;
      if (!entry) return;
      const isTooMuch = second !== undefined &&
        (this.#entries.length > maxEvents || this.bytes > maxBytes);
      if (!isTooMuch && entry.time >= oldest) return;
      this.#entries.shift();
      this.#first++;
    }
  }

  bury(): void {
    this.isGone = true;
    this.changes.tell();
  }

  describe(): StoredTopic {
    const { epoch, createdAt, facts, first, next, bytes, ended: end } = this;
    return {
      name: this.name,
      epoch,
      createdAt,
      facts,
      first,
      next,
      bytes,
      end,
    };
  }

  [Symbol.dispose](): void {}
}

/** Topics in the arrays of a process, for as many relays of that process as like. */
export class ArrayStore implements Store {
  readonly failure = undefined;
  readonly isLasting: boolean = false;
  readonly retention: Retention;
  readonly clock: Clock;
  readonly #logs = new Map<string, ArrayLog>();
  /** Logs whose names stand for newer ones, by their epochs. */
  readonly #former = new Map<string, ArrayLog>();
  readonly #values = new Map<string, { value: string; expires: number }>();
  readonly #leases = new Map<
    string,
    { request: LeaseRequest; expires: number }
  >();
  readonly #watchers = new Set<(news: TopicNews) => void>();

  constructor(retention: Retention, clock: Clock) {
    this.retention = retention;
    this.clock = clock;
  }

  async open(): Promise<void> {}

  create(name: string, facts: TopicFacts): Log {
    const log = new ArrayLog(this, name, facts);
    const before = this.#logs.get(name);
    if (before && before.epoch === facts.follows) {
      this.#former.set(before.epoch, before);
    }
    this.#logs.set(name, log);
    this.tell("made", name, log);
    return log;
  }

  find(name: string, epoch?: string): Log | undefined {
    const log = this.#logs.get(name);
    return epoch === undefined || log?.epoch === epoch
      ? log
      : this.#former.get(epoch);
  }

  list({ after, prefix, limit }: ListQuery): StoredTopic[] {
    return [...this.#logs.keys()].sort()
      .filter((name) => name > after && name.startsWith(prefix))
      .slice(0, limit)
      .flatMap((name) => this.#logs.get(name)?.describe() ?? []);
  }

  listUnended({ limit, ...query }: ListQuery): StoredTopic[] {
    return this.list({ ...query, limit: Infinity })
      .filter(({ end }) => !end).slice(0, limit);
  }

  async *watch(
    { prefix, limit }: WatchQuery,
    signal: AbortSignal,
  ): AsyncGenerator<TopicNews, void> {
    const queue: TopicNews[] = [];
    const changes = new Changes();
    const watcher = (news: TopicNews): void => {
      const name = news.kind === "deleted"
        ? news.name
        : news.kind === "made" || news.kind === "ended"
        ? news.topic.name
        : "";
      if (!name.startsWith(prefix)) return;
      queue.push(news);
      changes.tell();
    };
    this.#watchers.add(watcher);
    try {
      yield { kind: "reset" };
      for (let after = "";;) {
        const topics = this.list({ after, prefix, limit });
        const last = topics.at(-1);
        if (!last) break;
        yield { kind: "listed", topics };
        after = last.name;
      }
      yield { kind: "current" };
      for (;;) {
        const news = queue.shift();
        if (news) yield news;
        else await changes.next(signal);
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  tell(kind: "made" | "ended", name: string, log: ArrayLog): void {
    if (this.#logs.get(name) !== log) return;
    this.#tell({ kind, topic: log.describe() });
  }

  #tell(news: TopicNews): void {
    for (const watcher of this.#watchers) watcher(news);
  }

  hold(request: LeaseRequest): Lease {
    const { topic, epoch, part, holder, ttl } = request;
    const key = [topic, epoch, part].join(" ");
    const now = () => this.clock.now();
    const before = this.#leases.get(key);
    if (before && before.expires > now()) {
      throw new LeaseHeldError(topic, before.request.holder);
    }
    const leases = this.#leases;
    const own = { request, holder, expires: now() + ttl };
    leases.set(key, own);
    return {
      get isHeld() {
        return leases.get(key) === own;
      },
      get expires() {
        return own.expires;
      },
      renew(): void {
        if (!this.isHeld) throw new LeaseLostError(topic);
        own.expires = now() + ttl;
      },
      release(): void {
        if (this.isHeld) leases.delete(key);
      },
    };
  }

  async cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): Promise<CancelAnswer> {
    const lease = this.#leases.get([name, epoch, undefined].join(" "));
    const isOver = () => !lease || lease.expires <= this.clock.now();
    if (!lease || isOver()) return "unheld";
    const over = Promise.withResolvers<CancelAnswer>();
    let stop = (): void => {};
    const look = (): void => {
      if (isOver()) return over.resolve("unheld");
      stop = this.clock.setTimeout(look, lease.expires - this.clock.now());
    };
    look();
    const stopped = lease.request.onCancel(reason)
      .then((): CancelAnswer => "stopped");
    try {
      return await Promise.race([stopped, over.promise]);
    } finally {
      stop();
    }
  }

  delete(name: string, epoch: string): void {
    const log = this.#logs.get(name);
    if (log?.epoch !== epoch) {
      this.#former.get(epoch)?.bury();
      return void this.#former.delete(epoch);
    }
    log.bury();
    const { follows = "" } = log.facts;
    const before = this.#former.get(follows);
    if (before) {
      // The name is that of the log before again.
      this.#former.delete(follows);
      this.#logs.set(name, before);
      this.tell("ended", name, before);
    } else {
      this.#logs.delete(name);
      this.#tell({ kind: "deleted", name });
    }
  }

  deleteEnded(before: number): void {
    for (const logs of [this.#former, this.#logs]) {
      for (const { name, epoch, ended } of logs.values()) {
        if (ended && ended.at <= before) this.delete(name, epoch);
      }
    }
  }

  get(bucket: string, key: string): string | undefined {
    const known = this.#values.get(`${bucket} ${key}`);
    return known && known.expires > this.clock.now() ? known.value : undefined;
  }

  put(bucket: string, key: string, value: string, expires: number): void {
    this.#values.set(`${bucket} ${key}`, { value, expires });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
