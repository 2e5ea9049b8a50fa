import type { StreamConfig } from "@nats-io/jetstream";
import type { Connected, Connection } from "./connection.ts";
import { isNoMessage, isWrongSequence } from "./failures.ts";

/** A value of a bucket, and its revision. */
export interface BucketEntry {
  readonly value: string;
  readonly revision: number;
}

/** What the messages of a bucket are called in NATS. */
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
    max_msgs_per_subject: 1,
    discard: "new",
    allow_rollup_hdrs: true,
    deny_delete: true,
    storage: "file",
  };
}

/** Values by their keys, each with a revision: of several writers, one is first. */
export class Bucket {
  readonly #connection: Connection;
  readonly #name: string;

  constructor(connection: Connection, name: string) {
    this.#connection = connection;
    this.#name = name;
  }

  /** Returns the value of a key as the leader has it. */
  async get(key: string): Promise<BucketEntry | undefined> {
    const stream = bucketStream(this.#name);
    const subject = bucketSubject(this.#name, key);
    try {
      const message = await this.#connection.ask(
        ({ manager }) =>
          manager.streams.getMessage(stream, { last_by_subj: subject }),
        { passes: isNoMessage },
      );
      return message
        ? { value: message.string(), revision: message.seq }
        : undefined;
    } catch (error) {
      if (isNoMessage(error)) return undefined;
      throw error;
    }
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
    const subject = bucketSubject(this.#name, key);
    // The same for each attempt: one that was kept and not answered counts once.
    const msgID = crypto.randomUUID();
    const put = async ({ js }: Connected): Promise<number> => {
      const { seq } = await js.publish(subject, value, {
        msgID,
        retries: 0,
        ...(revision !== undefined && {
          expect: { lastSubjectSequence: revision },
        }),
      });
      return seq;
    };
    try {
      return await this.#connection.ask(put, { passes: isWrongSequence });
    } catch (error) {
      if (isWrongSequence(error)) return undefined;
      throw error;
    }
  }

  /** Forgets a key, unless it has a later revision. */
  async remove(key: string, revision: number): Promise<void> {
    const filter = bucketSubject(this.#name, key);
    await this.#connection.ask(({ manager }) =>
      manager.streams.purge(bucketStream(this.#name), {
        filter,
        seq: revision + 1,
      })
    );
  }
}
