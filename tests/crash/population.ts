// The participants of a run: publishers, sources, callers, and followers of the
// topics that these fill.
import type { Random } from "../support/random.ts";
import { SourceContent } from "./contents.ts";
import { Caller, SourceMaker } from "./fillers.ts";
import { DOORS, Follower } from "./followers.ts";
import {
  HttpPublisher,
  PublishedTopics,
  type Repetition,
  SocketPublisher,
} from "./publishers.ts";
import { TopicRecord } from "./topic_record.ts";
import type { Upstreams } from "./upstreams.ts";
import type { World } from "./world.ts";

/** The number of each kind. */
export interface PopulationSize {
  readonly publishers: number;
  /** The sources in all: those that are not made by `PUT` are made by `--source`. */
  readonly sources: number;
  /** The sources that are made by `PUT`. */
  readonly made: number;
  readonly callers: number;
  readonly followers: number;
  readonly repetition: Repetition;
}

/** All who take part in a run. */
export interface Population {
  readonly publishers: readonly (HttpPublisher | SocketPublisher)[];
  readonly callers: readonly Caller[];
  readonly followers: readonly Follower[];
  /** The topics of the sources that are made by `--source`. */
  readonly operated: readonly TopicRecord[];
  /** All who have something to do. */
  readonly actors: readonly { run(): Promise<void> }[];
}

/** The number of publishers of a topic. */
const PUBLISHERS_OF_TOPIC = 5;

/** Gathers those who take part in a run. */
export function gather(
  {
    publishers: wanted,
    sources,
    made,
    callers: called,
    followers: following,
    repetition,
  }: PopulationSize,
  world: World,
  upstreams: Upstreams,
  random: Random,
): Population {
  const topics = Array.from(
    { length: Math.ceil(wanted / PUBLISHERS_OF_TOPIC) },
    (_, index) => new PublishedTopics(`published-${index}`, world),
  );
  const publishers = Array.from({ length: wanted }, (_, id) => {
    const Kind = id % 2 === 0 ? HttpPublisher : SocketPublisher;
    const own = topics[id % topics.length]!; // there are some
    return new Kind(id, own, world, random.fork(), repetition);
  });
  const makers = Array.from(
    { length: made },
    (_, index) =>
      new SourceMaker(`source-${index}`, upstreams, world, random.fork()),
  );
  const operated = Array.from({ length: sources - made }, (_, index) => {
    const name = `operated-${made + index}`;
    const content = new SourceContent(name, Number.MAX_SAFE_INTEGER);
    const record = new TopicRecord(name, content);
    world.records.set(name, record);
    return record;
  });
  const callers = Array.from({ length: called }, (_, index) => {
    // A third of them in the background.
    const kind = index % 3 === 0 ? "background" : "chat";
    return new Caller(`run-${index}`, kind, world, random.fork());
  });
  const all = [...topics, ...makers, ...callers, ...operated];
  const followers = Array.from({ length: following }, (_, index) => {
    const door = DOORS[index % DOORS.length]!; // there are some
    const place = Math.floor(index / DOORS.length) + index;
    const followed = all[place % all.length]!; // there are some
    let next = 0;
    const itinerary = async (): Promise<TopicRecord> => {
      if (followed instanceof TopicRecord) return followed;
      for (const at = next++;;) {
        const record = followed.at(at);
        if (record) return record;
        await world.pause(20);
      }
    };
    return new Follower(index, door, itinerary, world, random.fork());
  });
  return {
    publishers,
    callers,
    followers,
    operated,
    actors: [...topics, ...publishers, ...makers, ...callers, ...followers],
  };
}
