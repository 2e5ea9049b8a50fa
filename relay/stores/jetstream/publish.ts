import { headers } from "@nats-io/transport-node";
import type { Connected } from "./connection.ts";
import { hasNoResponders } from "./failures.ts";

/** A message for a stream. */
export interface StreamPublication {
  readonly stream: string;
  readonly subject: string;
  readonly body: Uint8Array | string;
  readonly headers: Readonly<Record<string, string>>;
  /** The id, the same for each attempt: one that was kept and not answered counts once. */
  readonly id: string;
  /** The place of the last message of the subject, 0 for none. */
  readonly before: number;
}

/**
 * Has a stream keep a message, in one attempt.
 *
 * @returns The place of the message; `undefined` if the server has seen an attempt, which
 * it may have refused.
 */
export async function publishTo(
  { js, manager }: Connected,
  { stream, subject, body, headers: given, id, before }: StreamPublication,
): Promise<number | undefined> {
  const all = headers();
  for (const [name, value] of Object.entries(given)) all.set(name, value);
  try {
    const { seq, duplicate } = await js.publish(subject, body, {
      msgID: id,
      headers: all,
      retries: 0,
      expect: { lastSubjectSequence: before },
    });
    return duplicate ? undefined : seq;
  } catch (error) {
    // Nobody hears the subject: there is no leader now, or no stream any more.
    if (hasNoResponders(error)) await manager.streams.info(stream);
    throw error;
  }
}
