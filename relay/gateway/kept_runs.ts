import { z } from "zod";
import type { Clock } from "../../src/fetch/clock.ts";
import { type Stored, whenStored } from "../topics/stored.ts";
import type { Store } from "../topics/store.ts";

const HOUR = 3_600_000;

/** The time for which a run's Idempotency-Key is known, in milliseconds. */
const RUN_TTL = 24 * HOUR;

/** The time for which a response's id is known, in milliseconds: a conversation may go on much later. */
const RESPONSE_TTL = 30 * 24 * HOUR;

const place = z.object({ name: z.string(), epoch: z.string() });

const keptRun = z.object({ ...place.shape, fingerprint: z.string() });

const keptResponse = z.object({
  topicName: z.string(),
  owner: z.string(),
  retained: place.optional(),
});

/** A run as the store keeps it: its topic, and a digest of its body. */
export type KeptRun = z.output<typeof keptRun>;

/** A response as the store keeps it. */
export type KeptResponse = z.output<typeof keptResponse>;

/** The parts of a store that keep runs. */
export type RunStore = Pick<Store, "get" | "put" | "claim" | "isLasting">;

/**
 * The runs in a store that outlasts the process, or that other relays share: their
 * keys, and the ids of their responses.
 */
export class KeptRuns {
  readonly #store: RunStore | undefined;
  readonly #clock: Clock;

  /** Keeps runs in a store; nothing, if this process alone will ever have it. */
  constructor(store: RunStore, clock: Clock) {
    this.#store = store.isLasting || store.claim ? store : undefined;
    this.#clock = clock;
  }

  /** Returns the run that a key was used for. */
  run(key: string): Stored<KeptRun | undefined> {
    return this.#get("runs", key, keptRun);
  }

  /** Keeps a run under its key. */
  addRun(key: string, run: KeptRun): void {
    this.#put("runs", key, writeRun(run), RUN_TTL);
  }

  /** Whether other relays may have runs under the same keys. */
  get areShared(): boolean {
    return this.#store?.claim !== undefined;
  }

  /**
   * Keeps a run under its key, unless the key has one.
   *
   * @returns The run that it has; `undefined` if it had none.
   */
  async claimRun(key: string, run: KeptRun): Promise<KeptRun | undefined> {
    const expires = this.#clock.now() + RUN_TTL;
    const value = writeRun(run);
    const text = await this.#store?.claim?.("runs", key, value, expires);
    return text === undefined ? undefined : keptRun.parse(JSON.parse(text));
  }

  /**
   * Forgets a run of a key, where relays share keys: the key may have another one by now,
   * which stays.
   */
  async forgetRun(key: string, run: KeptRun): Promise<void> {
    const text = writeRun(run);
    const left = await this.#store?.claim?.("runs", key, "", 0, text);
    // A parent of an earlier version keeps it.
    if (left === text) await this.#store?.put("runs", key, "", 0);
  }

  /** Returns the response that a key stands for. */
  response(key: string): Stored<KeptResponse | undefined> {
    return this.#get("responses", key, keptResponse);
  }

  /** Keeps a response under its key. */
  addResponse(key: string, response: KeptResponse): void {
    this.#put("responses", key, JSON.stringify(response), RESPONSE_TTL);
  }

  #get<T>(
    bucket: string,
    key: string,
    schema: z.ZodType<T>,
  ): Stored<T | undefined> {
    return whenStored(
      this.#store?.get(bucket, key),
      // A relay of this version or an earlier one has written it.
      (text) => text === undefined ? undefined : schema.parse(JSON.parse(text)),
    );
  }

  #put(bucket: string, key: string, value: string, ttl: number): void {
    const expires = this.#clock.now() + ttl;
    const put = this.#store?.put(bucket, key, value, expires);
    // A store that keeps nothing says so itself, and the run goes on.
    if (put instanceof Promise) put.catch(() => {});
  }
}

/** Writes a run, in the same words each time. */
function writeRun({ name, epoch, fingerprint }: KeptRun): string {
  return JSON.stringify({ name, epoch, fingerprint } satisfies KeptRun);
}
