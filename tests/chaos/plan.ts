/**
 * The topics of a run, the settings of its relays, and its subscribers.
 *
 * @module
 */
import type { EndStatus } from "../../relay/topics/end.ts";
import type { Random } from "../support/random.ts";
import type { ContentKind } from "./content.ts";
import { Subscriber } from "./subscriber.ts";
import type { Settings, World } from "./world.ts";

/** The number of subscribers of a run. */
export interface Audience {
  /** Subscribers of which every event is checked. */
  readonly exact: number;
  /** Subscribers of which events are counted. */
  readonly counting: number;
}

const TOPICS: readonly [name: string, kind: ContentKind][] = [
  ["plain.1", "plain"],
  ["plain.2", "plain"],
  ["plain.3", "plain"],
  ["responses.1", "responses"],
  ["responses.2", "responses"],
  ["chat.1", "chat"],
  ["chat.2", "chat"],
  ["large", "large"],
];

const FIXED: readonly string[] = ["fixed.1", "fixed.2", "fixed.3"];

/** The kinds of the topics, by name. */
export const KINDS: ReadonlyMap<string, ContentKind> = new Map([
  ...TOPICS,
  ...FIXED.map((name) => [name, "fixed"] as const),
]);

/** The reason of the end of a topic that is deleted. */
export const DELETED = "The topic was deleted";

/** The statuses with which topics end. */
export const STATUSES: readonly EndStatus[] = [
  "complete",
  "failed",
  "truncated",
  "cancelled",
  "expired",
];

/** Returns the settings of a relay. */
export function settingsOf(random: Random): Settings {
  return {
    maxEvents: random.pick([10, 200, 2_000, 10_000, 10_000]),
    maxBytes: random.pick([4_096, 2 ** 16, 2 ** 20, 2 ** 24, 2 ** 24]),
    maxAge: random.pick([Infinity, Infinity, 2_000]),
    endedTtl: random.pick([300, 3_000, 20_000]),
    awaitedTtl: random.pick([500, 5_000]),
    heartbeat: random.pick([2_000, 4_000, 15_000]),
    // Of the steps' time, which passes faster than sockets are looked at: a reader
    // that is quick can be without news for tens of steps.
    slowTimeout: random.pick([Infinity, 4_000, 10_000]),
    onSlow: random.pick(["gap", "close"]),
    awaitTopics: random.chance(0.8),
  };
}

function exact(
  index: number,
  random: Random,
  world: World,
): Subscriber {
  // Each door has each mode, with and without the rest.
  const door = (["one", "many", "sse", "one", "many"] as const)[index % 5]!;
  const isPlain = door === "sse";
  const names = TOPICS.map(([name]) => name);
  return new Subscriber(
    `exact ${index}`,
    {
      door,
      mode: isPlain ? "all" : (["all", "merge", "latest"] as const)[index % 3]!, // of three
      window: isPlain || index % 4 < 2
        ? undefined
        : random.pick([100, 1_000, 20_000, 500_000]),
      snapshot: !isPlain && index % 7 < 3,
      topics: door === "many"
        ? random.shuffle(names).slice(0, random.integer(1, 6))
        : [names[index % names.length]!], // there are some
      isCounting: false,
      restlessness: random.pick([0.002, 0.02, 0.1]),
    },
    random,
    world,
  );
}

function counting(
  index: number,
  random: Random,
  world: World,
): Subscriber {
  return new Subscriber(
    `counting ${index}`,
    {
      door: "one",
      mode: "all",
      window: index % 8 === 0 ? random.pick([20_000, 1_000_000]) : undefined,
      snapshot: false,
      topics: [FIXED[index % FIXED.length]!], // there are some
      isCounting: true,
      restlessness: random.pick([0.0005, 0.002, 0.02]),
    },
    random,
    world,
  );
}

/** Makes the subscribers of a run. */
export function makeSubscribers(
  audience: Audience,
  random: Random,
  world: World,
): Subscriber[] {
  return [
    ...Array.from(
      { length: audience.exact },
      (_, index) => exact(index, random.fork(), world),
    ),
    ...Array.from(
      { length: audience.counting },
      (_, index) => counting(index, random.fork(), world),
    ),
  ];
}
