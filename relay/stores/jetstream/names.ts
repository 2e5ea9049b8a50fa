/**
 * The names of the relay's streams, buckets and subjects in NATS, for one
 * cluster of relays.
 */
export interface Names {
  /** The stream of all logs. */
  readonly stream: string;
  /** The bucket of topics, of leases, and of values. */
  readonly topics: string;
  readonly leases: string;
  readonly values: string;
  /** All subjects of the stream, and what they are told again as once they are stored. */
  readonly logs: string;
  readonly live: string;
  /** The subject on which NATS repeats each record once it is stored. */
  readonly liveRecord: string;
  /** The subject of each relay's heartbeat, twice a second. */
  readonly beats: string;
  /** The subject of a log. */
  log(name: string, epoch: string): string;
  /** The subject under which all is told of a topic that is stored. */
  liveOf(name: string): string;
  /** The subject at which a relay is told to stop filling a topic. */
  cancelOf(relay: string): string;
}

/** Names what a cluster of relays has, by its prefix. */
export function namesOf(prefix: string): Names {
  return {
    stream: `${prefix}_logs`,
    topics: `${prefix}_topics`,
    leases: `${prefix}_leases`,
    values: `${prefix}_values`,
    logs: `${prefix}.log.*.*`,
    live: `${prefix}.live.{{wildcard(1)}}.{{wildcard(2)}}`,
    liveRecord: `${prefix}.live.{{wildcard(1)}}.record`,
    beats: `${prefix}.beat`,
    log: (name, epoch) => `${prefix}.log.${encodeName(name)}.${epoch}`,
    liveOf: (name) => `${prefix}.live.${encodeName(name)}`,
    cancelOf: (relay) => `${prefix}.cancel.${relay}`,
  };
}

/** Writes the name of a topic as one token of a subject, and as a key of a bucket. */
export function encodeName(name: string): string {
  return name.replace(
    /[.~:]/g,
    (character) => `=${character.charCodeAt(0).toString(16)}`,
  );
}

/** Reads what {@linkcode encodeName} has written. */
export function decodeName(token: string): string {
  return token.replace(
    /=([0-9a-f]{2})/g,
    (_, code) => String.fromCharCode(Number.parseInt(code, 16)),
  );
}
