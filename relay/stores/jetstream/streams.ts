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

/**
 * Makes the streams that are not there.
 *
 * @throws {StoreError} If one of that name is there that is not a relay's.
 */
export async function prepareStreams(
  connected: Connected,
  names: Names,
  address: NatsAddress,
): Promise<void> {
  for (const config of configsOf(names, address)) {
    await prepareStream(connected, config);
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
): Promise<void> {
  let found;
  try {
    found = (await manager.streams.info(config.name)).config;
  } catch (error) {
    if (!isNoStream(error)) throw error;
    try {
      await manager.streams.add(config);
      return;
    } catch (error) {
      // Another relay was first.
      if (!isNameInUse(error)) throw error;
      found = (await manager.streams.info(config.name)).config;
    }
  }
  if (found.description === config.description) return;
  throw new StoreError(
    "foreign",
    `The stream '${config.name}' in NATS is not a relay's of this version: give this cluster another ?prefix in --store, or delete the stream`,
  );
}
