import type { StreamConfig } from "@nats-io/jetstream";
import type { Connected, Connection } from "./connection.ts";
import { isNoMessage, isWrongSequence } from "./failures.ts";
import { publishTo } from "./publish.ts";
import { removeMessages } from "./remove.ts";

/** A value of a bucket, and its revision. */
export interface BucketEntry {
  readonly value: string;
  readonly revision: number;
}

/** Returns the subject of a bucket's key in NATS. */
export function bucketSubject(bucket: string, key: string): string {
  return `$KV.${bucket}.${key}`;
}

/** The stream of a bucket: any tool that knows the key-value store of NATS can read it. */
export function bucketStream(bucket: string): string {
  return `KV_${bucket}`;
}

/** The configuration of a bucket's stream. */
export function bucketConfig(
  bucket: string,
): Partial<StreamConfig> & { readonly name: string } {
  return {
    name: bucketStream(bucket),
    subjects: [bucketSubject(bucket, ">")],
    max_msgs_per_subject: 16,
    discard: "new",
    allow_rollup_hdrs: true,
    storage: "file",
  };
}

/** The header with the revision that a value follows. */
export const AFTER = "Rivulet-After";

/** A message of a bucket. */
interface Version {
  readonly seq: number;
  /** The id of the message: another attempt has another one, though the value be the same. */
  readonly id: string;
  readonly after: number;
  readonly value: string;
}

/**
 * Values by their keys, each with a revision: of several writers, one is first.
 *
 * The server alone does not see to that: a cluster may take two messages that expect the
 * same one before them. Each value says which it follows, and the first that follows
 * another counts. Those behind it are void.
 */
export class Bucket {
  readonly #connection: Connection;
  readonly #name: string;

  constructor(connection: Connection, name: string) {
    this.#connection = connection;
    this.#name = name;
  }

  /** Returns the value of a key as the leader has it. */
  async get(key: string): Promise<BucketEntry | undefined> {
    const subject = bucketSubject(this.#name, key);
    const last = await this.#read({ last_by_subj: subject });
    if (!last) return undefined;
    const counts = await this.#isNext(subject, last.after, last.seq)
      ? last
      : newest(await this.#versions(subject));
    return counts && { value: counts.value, revision: counts.seq };
  }

  /**
   * Puts a value under a key.
   *
   * @param revision The revision that the key has now, 0 for none; any if it is not given.
   * @returns The new revision; `undefined` if it had another one.
   */
  async put(
    key: string,
    value: string,
    revision?: number,
  ): Promise<number | undefined> {
    if (revision !== undefined) return await this.#put(key, value, revision);
    for (;;) {
      const entry = await this.get(key);
      const put = await this.#put(key, value, entry?.revision ?? 0);
      if (put !== undefined) return put;
    }
  }

  /** Forgets a key, unless it has a later revision. */
  async remove(key: string, revision: number): Promise<void> {
    const filter = bucketSubject(this.#name, key);
    const versions = await this.#versions(filter);
    if (newest(versions)?.seq !== revision) return;
    const counting = chainOf(versions);
    // Void messages go first: without the message before them, they would count.
    const isVoid = (one: Version): boolean => !counting.includes(one);
    const places = [...versions.filter(isVoid), ...counting]
      .map(({ seq }) => seq);
    const stream = bucketStream(this.#name);
    for (const place of places) {
      await removeMessages(this.#connection, stream, [place]);
    }
  }

  /** Puts a value behind a revision; nothing is deleted, as a server may lose count then. */
  async #put(
    key: string,
    value: string,
    revision: number,
    { place = revision, ids = new Set() }: {
      readonly place?: number;
      /** The ids of the messages that were written before this one. */
      readonly ids?: Set<string>;
    } = {},
  ): Promise<number | undefined> {
    const subject = bucketSubject(this.#name, key);
    const id = crypto.randomUUID();
    ids.add(id);
    const put = (connected: Connected): Promise<number | undefined> =>
      publishTo(connected, {
        stream: bucketStream(this.#name),
        subject,
        body: value,
        headers: { [AFTER]: String(revision) },
        id,
        before: place,
      });
    try {
      const kept = await this.#connection.ask(put, { passes: isWrongSequence });
      const isNext = kept !== undefined &&
        await this.#isNext(subject, revision, kept);
      if (isNext) return kept;
    } catch (error) {
      if (!isWrongSequence(error)) throw error;
    }
    const versions = await this.#versions(subject);
    const own = versions.find(({ after }) => after === revision);
    // An attempt that was not answered may have been kept.
    if (own) return ids.has(own.id) ? own.seq : undefined;
    if ((newest(versions)?.seq ?? 0) !== revision) return undefined;
    // Void messages follow that revision: write behind them.
    return await this.#put(key, value, revision, {
      place: placeOf(versions),
      ids,
    });
  }

  /** Whether a message is the first behind another place. */
  async #isNext(
    subject: string,
    after: number,
    seq: number,
  ): Promise<boolean> {
    const next = await this.#read({ seq: after + 1, next_by_subj: subject });
    return next?.seq === seq;
  }

  /** Reads all that is kept of a key. */
  async #versions(subject: string): Promise<readonly Version[]> {
    const versions: Version[] = [];
    for (let seq = 1;;) {
      const version = await this.#read({ seq, next_by_subj: subject });
      if (!version) return versions;
      versions.push(version);
      seq = version.seq + 1;
    }
  }

  async #read(
    query:
      | { readonly last_by_subj: string }
      | { readonly seq: number; readonly next_by_subj: string },
  ): Promise<Version | undefined> {
    const stream = bucketStream(this.#name);
    try {
      const message = await this.#connection.ask(
        ({ manager }) => manager.streams.getMessage(stream, query),
        { passes: isNoMessage },
      );
      return message
        ? {
          seq: message.seq,
          id: message.header.get("Nats-Msg-Id"),
          after: Number(message.header.get(AFTER)),
          value: message.string(),
        }
        : undefined;
    } catch (error) {
      if (isNoMessage(error)) return undefined;
      throw error;
    }
  }
}

/** Returns the place of the last version, whether it counts or not. */
function placeOf(versions: readonly Version[]): number {
  return versions.at(-1)?.seq ?? 0;
}

/** Returns the version that counts. */
function newest(versions: readonly Version[]): Version | undefined {
  return chainOf(versions).at(-1);
}

/** Returns the versions that follow each other: the last one counts. */
function chainOf(versions: readonly Version[]): readonly Version[] {
  const kept = new Set(versions.map(({ seq }) => seq));
  // The beginning may have been given up: who follows the latest place goes on from there.
  let next = versions.filter(({ after }) => !kept.has(after))
    .reduce<Version | undefined>(
      (best, one) => !best || one.after > best.after ? one : best,
      undefined,
    );
  const chain: Version[] = [];
  while (next) {
    chain.push(next);
    const { seq } = next;
    next = versions.find(({ after }) => after === seq);
  }
  return chain;
}
