import type { StreamConfig } from "@nats-io/jetstream";
import { StoreError } from "../../topics/store.ts";
import { bucketConfig, bucketSubject } from "./bucket.ts";
import type { Connected } from "./connection.ts";
import { isNameInUse, isNoStream } from "./failures.ts";
import type { Names } from "./names.ts";
import type { NatsAddress } from "./nats_address.ts";

/** Says that a stream is a relay's, so that no other one is taken for it. */
const DESCRIPTION = "Topics of Rivulet relays, format 2";

/**
 * The time for which values are kept, in nanoseconds: longer than any relay
 * asks for.
 */
const VALUES_AGE = 40 * 24 * 3_600 * 1_000_000_000;

type Config = Partial<StreamConfig> & { readonly name: string };

/** The times at which the streams of a relay were made, by their names. */
export type MadeStreams = Map<string, string>;

/**
 * The time within which relays that start together make a stream, in milliseconds: NATS
 * takes the same request from each, and keeps the time of the last one.
 */
const MAKING = 10_000;

/** The time that NATS says of a stream that it is about to make. */
const UNMADE = "0001-01-01T00:00:00Z";

/**
 * Makes the streams that are not there.
 *
 * @throws {StoreError} If one of that name is there that is not a relay's.
 */
export async function prepareStreams(
  connected: Connected,
  names: Names,
  address: NatsAddress,
): Promise<MadeStreams> {
  const made = new Map<string, string>();
  for (const config of configsOf(names, address)) {
    made.set(config.name, await prepareStream(connected, config));
  }
  return made;
}

/**
 * Finds out whether the streams are those that a relay has begun with. The places that it
 * knows mean nothing in others.
 *
 * @param made The times at which they were made, as far as the relay knows.
 * @param logs The stream of logs, and the newest place in it that the relay has seen.
 * @throws {JetStreamApiError} If one is not there.
 * @throws {StoreError} `corrupt`, if one was made anew.
 */
export async function verifyStreams(
  { manager }: Connected,
  made: MadeStreams,
  logs: { readonly name: string; readonly place: number },
): Promise<void> {
  for (const [name, before] of made) {
    const { created, state } = await manager.streams.info(name);
    if (created === before || created === UNMADE) continue;
    const isLater = before !== UNMADE &&
      Date.parse(created) - Date.parse(before) > MAKING;
    const isShorter = name === logs.name && state.last_seq < logs.place;
    if (!isLater && !isShorter) {
      made.set(name, created);
      continue;
    }
    throw new StoreError(
      "corrupt",
      `The stream '${name}' in NATS was deleted and made anew: restart this relay, whose topics are gone`,
    );
  }
}

function configsOf(
  names: Names,
  { replicas, maxBytes }: NatsAddress,
): readonly Config[] {
  const all = { num_replicas: replicas, description: DESCRIPTION };
  return [
    {
      name: names.stream,
      subjects: [names.logs],
      republish: { src: names.logs, dest: names.live },
      storage: "file",
      retention: "limits",
      // An event that has no room is refused: none is given up for it in silence.
      discard: "new",
      max_bytes: maxBytes,
      allow_direct: false,
      ...all,
    },
    {
      ...bucketConfig(names.topics),
      republish: {
        src: bucketSubject(names.topics, "*"),
        dest: names.liveRecord,
      },
      ...all,
    },
    { ...bucketConfig(names.leases), ...all },
    { ...bucketConfig(names.values), max_age: VALUES_AGE, ...all },
  ];
}

async function prepareStream(
  { manager }: Connected,
  config: Config,
): Promise<string> {
  let found;
  try {
    found = await manager.streams.info(config.name);
  } catch (error) {
    if (!isNoStream(error)) throw error;
    try {
      found = await manager.streams.add(config);
    } catch (error) {
      // Another relay was first.
      if (!isNameInUse(error)) throw error;
      found = await manager.streams.info(config.name);
    }
  }
  if (found.config.description === config.description) return found.created;
  throw new StoreError(
    "foreign",
    `The stream '${config.name}' in NATS is not a relay's of this version: give this cluster another ?prefix in --store, or delete the stream`,
  );
}
