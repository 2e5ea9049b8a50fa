import type { Connection } from "./connection.ts";
import { lastOf, readSubject } from "./consume.ts";
import { isRemoved } from "./failures.ts";

/** The messages that are removed at a time. */
const AT_A_TIME = 32;

/**
 * Removes messages of a stream, one by one.
 *
 * nats-server 2.9.10 has no other way that is safe: a server of a cluster that was killed
 * after a purge of one subject came back without any message of the stream, and led it.
 *
 * @param places The places of the messages; those that are gone already are no error.
 * @throws {StoreError} If not all could be removed.
 */
export async function removeMessages(
  connection: Connection,
  stream: string,
  places: readonly number[],
): Promise<void> {
  for (let at = 0; at < places.length; at += AT_A_TIME) {
    const some = places.slice(at, at + AT_A_TIME);
    await Promise.all(
      some.map((place) => removeMessage(connection, stream, place)),
    );
  }
}

/** Removes all messages of a subject. */
export async function removeSubject(
  connection: Connection,
  stream: string,
  filter: string,
): Promise<void> {
  const last = await lastOf(connection, stream, filter);
  if (last === undefined) return;
  const places = new Set<number>();
  await connection.ask((connected) =>
    readSubject(connected, {
      ...{ stream, filter, from: 1, last, isBodiless: true },
      onMessage: ({ seq }) => void places.add(seq),
    })
  );
  await removeMessages(connection, stream, [...places]);
}

async function removeMessage(
  connection: Connection,
  stream: string,
  place: number,
): Promise<void> {
  try {
    await connection.ask(
      ({ manager }) => manager.streams.deleteMessage(stream, place, false),
      { passes: isRemoved },
    );
  } catch (error) {
    if (!isRemoved(error)) throw error;
  }
}
