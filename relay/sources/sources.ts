import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
import type { Clock } from "../../src/fetch/clock.ts";
import { UnexpectedResponseError } from "../../src/fetch/errors.ts";
import { redactUrl } from "../../src/fetch/secrets/urls.ts";
import { EventRoom } from "../limits/memory/event_room.ts";
import type { ReceiveBudget } from "../limits/memory/receive_budget.ts";
import type { UpstreamSlots } from "../limits/upstream_slots.ts";
import type { Hold, Leases } from "../topics/leases.ts";
import { LeaseHeldError } from "../topics/lease.ts";
import type { TopicFacts } from "../topics/log.ts";
import type { Topic } from "../topics/topic.ts";
import { Problem } from "../problem.ts";
import { failureOf } from "./failure.ts";
import {
  endRestarted,
  type Filling,
  isKeepable,
  readFilling,
  type SourceFilling,
  writeFilling,
} from "../topics/filling.ts";
import { FixtureSource } from "./fixture.ts";
import type { SourcePolicy } from "./guard/source_policy.ts";
import type { RepeatsPolicy } from "./repeats.ts";
import type { Source, SourceCounts } from "./source.ts";
import type { SourceFetch } from "./source_fetch.ts";
import type { SourceReconnect } from "./source_reconnect.ts";
import { SseSource } from "./sse.ts";

/**
 * The settings for reading an SSE upstream, whether an operator or a request
 * named it.
 */
interface SseSpec {
  /** The upstream. */
  readonly url: string;
  /** The policy for reconnection. */
  readonly reconnect: boolean | SourceReconnect;
  /** The treatment of events whose id has occurred before. */
  readonly repeats: RepeatsPolicy;
}

/**
 * The source of a topic: an SSE upstream of the operator's, one that a request
 * has named and that only a guarded fetch reaches, or a file.
 */
export type SourceSpec =
  | SseSpec & {
    readonly kind: "sse";
    /** Whether the first connection has to come about, or is retried like every other. */
    readonly required: boolean;
  }
  | SseSpec & {
    readonly kind: "guarded";
    /** Sent with the request. */
    readonly headers?: Readonly<Record<string, string>> | undefined;
  }
  | {
    readonly kind: "fixture";
    /** The file. */
    readonly path: string;
    /** Whether to begin anew at its end. */
    readonly loop: boolean;
  };

/** The parts and limits that sources work with. */
export interface SourcesOptions {
  /** The clock to use. */
  readonly clock: Clock;
  /** The largest event of an SSE upstream, in UTF-16 code units. */
  readonly maxEvent: number;
  /**
   * The time limit for silence of an SSE upstream, in milliseconds. Comments
   * reset it.
   */
  readonly idleTimeout: number;
  /** Reaches the upstreams of the operator. */
  readonly fetch: SourceFetch;
  /** Reaches the upstreams that requests have named. */
  readonly guardedFetch: SourceFetch;
  /** The URLs that requests may name. */
  readonly policy: SourcePolicy;
  /** Each source has the lease on its topic, from its start to its end. */
  readonly leases: Leases;
  /** Each of these upstreams takes one, from its start to its end. */
  readonly slots: UpstreamSlots;
  /** Counts what has come of events that are not whole yet. */
  readonly received: ReceiveBudget;
  /** Counts the attempts to connect to SSE upstreams. Default: nobody does. */
  readonly counts?: SourceCounts | undefined;
}

const logger = getLogger(["rivulet", "relay", "source"]);

/** The sources that run, and what fills which topic. */
export class Sources implements AsyncDisposable {
  readonly #running = new Set<Source>();
  /** Known for as long as the topic is, longer than the source runs. */
  readonly #specs = new WeakMap<Topic, SourceSpec>();
  /** The topics that the operator's SSE upstreams fill, or have filled. */
  readonly #operated = new Set<Topic>();
  readonly #options: SourcesOptions;

  /** Makes a set without sources. */
  constructor(options: SourcesOptions) {
    this.#options = options;
  }

  /** The number of running sources. */
  get size(): number {
    return this.#running.size;
  }

  /** Whether a topic is filled, or has been, by an upstream and not by a file. */
  isUpstream(topic: Topic): boolean {
    const kind = this.get(topic)?.kind;
    return kind === "sse" || kind === "guarded";
  }

  /** The number of the operator's SSE upstreams. */
  get operated(): number {
    return this.#operated.size;
  }

  /** The number of those that are not connected, or were lost. */
  get away(): number {
    return [...this.#operated].filter(isAway).length;
  }

  /** Returns what fills a topic, or has filled it, if anything does. */
  get(topic: Topic): SourceSpec | undefined {
    return this.#specs.get(topic) ?? specOf(topic.filling);
  }

  /**
   * Begins to fill a topic that nothing fills.
   *
   * @param topic The topic; left as it is where this throws.
   * @param spec The source.
   * @param client Names the client that asks for it, for limits.
   * @returns The source.
   * @throws {Problem} 503 `too_many_upstreams` or 429
   * `too_many_upstreams_of_client`, of a guarded one.
   * @throws {LeaseHeldError} If something else fills it after all.
   */
  start(topic: Topic, spec: SourceSpec, client = ""): Source {
    return this.#start(topic, spec, client, firstConnectionOf(spec));
  }

  #start(
    topic: Topic,
    spec: SourceSpec,
    client: string,
    firstConnection: "once" | "retried",
  ): Source {
    using stack = new DisposableStack();
    // First of all: what another relay fills is no business of this one.
    const taken = stack.use(this.#hold(topic));
    const source = this.#begin(topic, spec, client, firstConnection, taken);
    stack.move();
    return source;
  }

  /**
   * Begins to fill a topic that another relay may be filling, or may have filled.
   *
   * @param topic The topic.
   * @param spec The source.
   * @returns The source, once nothing else fills the topic.
   * @throws {LeaseHeldError} If something else does.
   */
  startHeld(topic: Topic, spec: SourceSpec): Promise<Source> {
    return this.#startHeld(topic, spec, "", firstConnectionOf(spec));
  }

  async #startHeld(
    topic: Topic,
    spec: SourceSpec,
    client: string,
    firstConnection: "once" | "retried",
  ): Promise<Source> {
    using stack = new DisposableStack();
    const taken = stack.use(this.#hold(topic));
    // From then on nobody else adds to the log that the source goes on with.
    if (taken.hold.ready) await taken.hold.ready;
    const source = this.#begin(topic, spec, client, firstConnection, taken);
    stack.move();
    return source;
  }

  #hold(topic: Topic): Taken {
    let source: Source | undefined;
    const hold = this.#options.leases.hold(topic, {
      onLost: () => source?.stop(),
    });
    return {
      hold,
      use: (used) => void (source = used),
      [Symbol.dispose]: () => hold[Symbol.dispose](),
    };
  }

  #begin(
    topic: Topic,
    spec: SourceSpec,
    client: string,
    firstConnection: "once" | "retried",
    { hold, use }: Taken,
  ): Source {
    using stack = new DisposableStack();
    if (spec.kind === "guarded") stack.use(this.#options.slots.take(client));
    const source = this.#make(topic, spec, { client, firstConnection, hold });
    use(source);
    const held = stack.move();
    topic.fillBy({ ...sourceOf(spec), filling: writeFilling(fillingOf(spec)) });
    this.#specs.set(topic, spec);
    this.#running.add(source);
    void source.finished.finally(() => {
      this.#running.delete(source);
      held.dispose();
      hold[Symbol.dispose]();
    });
    if (spec.kind === "sse") {
      this.#operated.add(topic);
      void tellLoss(topic, source, spec.required);
    }
    // A caller that has to know of a failure awaits `opened`; all others read
    // the topic's end.
    source.opened.catch(() => {});
    return source;
  }

  /** Whether this relay may ask a source that the store has kept, as far as its URL says. */
  mayResume({ url }: SourceFilling): boolean {
    return this.#options.policy.allows(new URL(url));
  }

  /**
   * Goes on with filling a topic that the store has kept, or ends it as `truncated` if
   * that cannot be.
   *
   * @param topic The topic.
   * @param filling The source, as the store has kept it.
   */
  async resume(topic: Topic, filling: SourceFilling): Promise<void> {
    // It counts for whoever has asked for it; each by itself, where that is not known.
    const client = topic.log.facts.owner || `source ${topic.name}`;
    try {
      await this.#startHeld(topic, guarded(filling), client, "retried");
    } catch (error) {
      // Another relay has gone on with it.
      if (error instanceof LeaseHeldError) return;
      if (!(error instanceof Problem)) throw error;
      endRestarted(topic, error.message);
    }
  }

  /** Stops every source, and waits until they have stopped. */
  async [Symbol.asyncDispose](): Promise<void> {
    const sources = [...this.#running];
    for (const source of sources) source.stop();
    await Promise.all(sources.map(({ finished }) => finished));
  }

  #make(
    topic: Topic,
    spec: SourceSpec,
    { client, firstConnection, hold }: {
      readonly client: string;
      readonly firstConnection: "once" | "retried";
      readonly hold: Hold;
    },
  ): Source {
    const { clock, idleTimeout, fetch, guardedFetch, counts } = this.#options;
    const { maxEvent: maxEventSize } = this.#options;
    const roomFor = (client: string): EventRoom =>
      new EventRoom(
        this.#options.received,
        client,
        (code) => counts?.refused(code),
      );
    switch (spec.kind) {
      case "sse": {
        const { url, reconnect, repeats } = spec;
        return new SseSource(topic, url, {
          maxEventSize,
          reconnect,
          firstConnection,
          repeats,
          idleTimeout,
          fetch,
          // Nobody has asked for it: each counts by itself.
          room: roomFor(`source ${topic.name}`),
          counts,
          clock,
          hold,
        });
      }
      case "guarded": {
        const { url, headers, reconnect, repeats } = spec;
        return new SseSource(topic, url, {
          ...(headers && { headers }),
          maxEventSize,
          reconnect,
          firstConnection,
          repeats,
          idleTimeout,
          fetch: guardedFetch,
          room: roomFor(client),
          counts,
          clock,
          hold,
        });
      }
      case "fixture": {
        const { path, loop } = spec;
        return new FixtureSource(topic, path, { loop, clock, hold });
      }
    }
  }
}

/** Says what a source is, in words and as data: without secrets. */
function sourceOf(spec: SourceSpec): Pick<TopicFacts, "source" | "filledBy"> {
  if (spec.kind === "fixture") {
    const { path } = spec;
    return {
      source: `fixture ${path}`,
      filledBy: { kind: "fixture", file: path },
    };
  }
  const url = redactUrl(spec.url);
  return { source: url, filledBy: { kind: "sse", url } };
}

/** A lease on a topic, and the source that has to stop if it is lost. */
interface Taken extends Disposable {
  readonly hold: Hold;
  use(source: Source): void;
}

/** A request that makes a source is told at once if it was never there. */
function firstConnectionOf(spec: SourceSpec): "once" | "retried" {
  return spec.kind === "sse" && !spec.required ? "retried" : "once";
}

/**
 * Returns what the store keeps of a source. Those of the operator are named by the
 * configuration; secrets of a request are not kept.
 */
function fillingOf(spec: SourceSpec): Filling {
  if (spec.kind !== "guarded" || spec.headers || !isKeepable(spec.url)) {
    return { kind: "lost" };
  }
  const { url, reconnect, repeats } = spec;
  if (typeof reconnect !== "boolean") return { kind: "lost" };
  return { kind: "source", url, reconnect, repeats };
}

/** Returns the source that the store has kept of a topic, if it is one that can be gone on with. */
function specOf(text: string | undefined): SourceSpec | undefined {
  const filling = text === undefined ? undefined : readFilling(text);
  return filling?.kind === "source" ? guarded(filling) : undefined;
}

function guarded({ url, reconnect, repeats }: SourceFilling): SourceSpec {
  return { kind: "guarded", url, reconnect, repeats };
}

function isAway({ state, upstream }: Topic): boolean {
  switch (state.kind) {
    case "pending":
      return true;
    case "open":
      return upstream !== undefined && upstream.state !== "open";
    case "ended":
      return state.end.status === "failed" || state.end.status === "truncated";
  }
}

/** Tells the operator of a source that is not asked for again. */
async function tellLoss(
  topic: Topic,
  source: Source,
  isRequired: boolean,
): Promise<void> {
  let failure: unknown;
  try {
    await source.opened;
  } catch (error) {
    if (isRequired) return; // the relay does not start, and says why
    failure = error;
  }
  await source.finished;
  // An upstream that has said how it ended was not lost.
  const isLost = failure !== undefined || topic.upstream?.state === "lost";
  if (!isLost || topic.state.kind !== "ended" || !isAway(topic)) return;
  const { status, reason } = topic.state.end;
  logger.error(
    "Gave up the source of {name}, and its topic has ended: {status}: {reason}. {remedy}",
    {
      name: topic.name,
      status,
      reason: failure === undefined ? reason : failureOf(failure),
      remedy: remedyOf(
        failure instanceof UnexpectedResponseError
          ? failure.status
          : topic.upstream?.status,
      ),
    },
  );
}

function remedyOf(status: number | undefined): string {
  const isDenied = status === STATUS_CODE.Unauthorized ||
    status === STATUS_CODE.Forbidden;
  return isDenied
    ? "Check the credentials in its URL, and restart the relay"
    : "Check its URL, and restart the relay";
}
