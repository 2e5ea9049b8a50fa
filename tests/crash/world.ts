/**
 * The facts that all who take part share: the present relay, and what was told
 * of each topic.
 *
 * @module
 */
import { z } from "zod";
import { LIMIT, within } from "../support/within.ts";
import type { Break } from "./contents.ts";
import type { TopicRecord } from "./topic_record.ts";

/** The counts of a run. */
export interface Tally {
  /** Events that publishers were told to be kept. */
  acknowledged: number;
  /** Publications that were made again. */
  repeated: number;
  /** Publications of which no answer came, and that had been kept. */
  found: number;
  /** Events that came to subscribers. */
  deliveries: number;
  /** Connections of subscribers that went on after a position. */
  resumed: number;
  /** Topics that were seen to end, by their status. */
  readonly ends: Record<string, number>;
  /** Runs whose topic was gone after a kill, before anybody was told of an event. */
  forgotten: number;
}

/** A whole answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

const problem = z.object({ code: z.string() });

/** Returns the code of a refusal. */
export function codeOf({ text }: Answer): string {
  return problem.parse(JSON.parse(text)).code;
}

/** A world in which there is a relay most of the time. */
export class World {
  readonly records: Map<string, TopicRecord>;
  readonly tally: Tally = {
    acknowledged: 0,
    repeated: 0,
    found: 0,
    deliveries: 0,
    resumed: 0,
    ends: {},
    forgotten: 0,
  };
  /** The number of the relay that has listened last, which is larger than that of each before. */
  starts = 0;
  /** The number of relays that were told to end. */
  ends = 0;
  /** Whether the disk may become full. */
  mayFill = false;
  /** Whether the disk is full, or was until a moment ago. */
  isFull = false;
  /** Whether the disk has ever been full. */
  #hasBeenFull = false;
  /**
   * The value of {@linkcode ends} when a relay was last told to stop by itself.
   */
  #stopped = 0;
  #url = "";
  #client: Deno.HttpClient | undefined;
  #back = Promise.withResolvers<void>();
  readonly #over = new AbortController();
  #failure: { readonly error: unknown } | undefined;

  /** Makes a world without a relay, in which these topics are known. */
  constructor(records: Map<string, TopicRecord> = new Map()) {
    this.records = records;
    // Whoever waits for the relay learns of it by `over`.
    this.#back.promise.catch(() => {});
  }

  /** Whether the relay has workers, which share the topics. */
  hasWorkers = false;

  /** Whether several relays share the topics, so that a request may be made twice at two of them. */
  get isShared(): boolean {
    return this.hasWorkers;
  }

  /**
   * Whether the store may refuse what it is asked for: workers outlive the process with
   * the store by a moment, and say that it is away.
   */
  get mayRefuse(): boolean {
    return this.isFull || this.hasWorkers && this.ends > 0;
  }

  /** The time by which limits are counted, in milliseconds. */
  get now(): number {
    return performance.now();
  }

  /** Aborted when all is over, or has failed. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** The beginning of the URLs of the relay that there is, or was last. */
  get url(): string {
    return this.#url;
  }

  /** A relay listens. */
  arrived(url: string): void {
    this.#url = url;
    // No connection to a relay that is gone is taken for one to this.
    // Nor is one used again, which the relay may be about to close.
    this.#client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    this.starts = this.ends + 1;
    this.#back.resolve();
  }

  /** The relay is about to be told to end. */
  leaves(signal: "SIGKILL" | "SIGTERM"): void {
    this.ends++;
    if (signal === "SIGTERM") this.#stopped = this.ends;
    this.#back = Promise.withResolvers();
    this.#back.promise.catch(() => {});
    this.#client?.close();
    this.#client = undefined;
  }

  /**
   * A relay is killed that nobody was told of. It may have listened all the same, and
   * whoever comes back by itself may have reached it.
   */
  leavesUnheard(): void {
    this.ends++;
  }

  /** Returns what a relay was told to end with since `ends` was as it is given. */
  brokenSince(ends: number): Break | undefined {
    if (this.#hasBeenFull) return "full";
    if (this.#stopped > ends) return "SIGTERM";
    return this.ends > ends ? "SIGKILL" : undefined;
  }

  /** The disk becomes full. */
  fills(): void {
    this.isFull = true;
    this.#hasBeenFull = true;
  }

  /** Nobody is to do anything more. */
  finish(): void {
    this.#over.abort(new Error("The run is over"));
    this.#back.reject(this.over.reason);
    this.#client?.close();
    this.#client = undefined;
  }

  /** Something is wrong: all stops. */
  fail(error: unknown): void {
    if (this.over.aborted) return;
    this.#failure ??= { error };
  }

  /** Throws what is wrong, if anything is. */
  check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits until a relay listens; rejects when all is over. */
  async back(): Promise<void> {
    this.over.throwIfAborted();
    await this.#back.promise;
  }

  /** Waits. */
  async pause(milliseconds: number): Promise<void> {
    this.over.throwIfAborted();
    await new Promise<void>((resolve) => {
      const stop = () => {
        clearTimeout(timer);
        this.over.removeEventListener("abort", stop);
        resolve();
      };
      const timer = setTimeout(stop, milliseconds);
      this.over.addEventListener("abort", stop);
    });
  }

  /**
   * Throws unless a relay was told to end since `ends` was as it is given: without
   * that, nothing may fail.
   */
  excuse(ends: number, what: string, cause?: unknown): void {
    this.over.throwIfAborted();
    if (this.ends > ends) return;
    throw new Error(`${what}, though no relay was told to end`, { cause });
  }

  /** Requests a path of the relay that there is. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const client = this.#client;
    if (!client) throw new TypeError("There is no relay now");
    return await fetch(this.#url + path, {
      ...init,
      signal: this.over,
      client,
    });
  }

  /**
   * Requests a path, and returns the whole answer; `undefined` if the relay has ended
   * meanwhile, or is about to.
   */
  async ask(path: string, init: RequestInit = {}): Promise<Answer | undefined> {
    await this.back();
    const { ends } = this;
    try {
      return await this.answered(
        this.#whole(path, init, ends),
        () => `an answer to ${init.method ?? "GET"} ${path}`,
      );
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.excuse(ends, `${path} has failed`, error);
      return undefined;
    }
  }

  /** Waits for an answer, but not for ever. */
  protected answered<T>(answer: Promise<T>, what: () => string): Promise<T> {
    return within(answer, LIMIT, what);
  }

  async #whole(
    path: string,
    init: RequestInit,
    ends: number,
  ): Promise<Answer | undefined> {
    const wasFull = this.isFull;
    const response = await this.fetch(path, init);
    const { status, headers } = response;
    const text = await response.text();
    if (status === 507 && (wasFull || this.isFull)) {
      await this.pause(50);
      return undefined;
    }
    if (status !== 503) return { status, headers, text };
    this.excuse(ends, `${path} was answered with 503 ${text}`);
    return undefined;
  }
}
