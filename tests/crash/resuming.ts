/**
 * Those who come back by themselves, with the position that they have kept: our own
 * client, and the platform's `EventSource`.
 *
 * @module
 */
import { SubscriptionError } from "../../relay/client/error.ts";
import { subscribe } from "../../relay/client/subscribe.ts";
import { describe } from "./pages.ts";
import type { Reading } from "./reading.ts";
import type { World } from "./world.ts";

/** The types of the events that topics have, and of the relay's own. */
const TYPES = [
  "message",
  "third",
  "response.created",
  "response.output_text.delta",
  "response.completed",
  "rivulet.live",
  "rivulet.upstream",
  "rivulet.gap",
  "rivulet.end",
] as const;

/**
 * Judges losses of those who connect again by themselves.
 *
 * That a connection is open may be told late, when the relay at its other end was killed
 * and another one has taken its place. So what counts is when the last connection was
 * lost: the next one is to a relay that came later.
 */
class Losses {
  readonly #world: World;
  #ends: number;
  #starts: number;
  #isOpen = true;

  /** Begins with a connection to the relay that there is. */
  constructor(world: World) {
    this.#world = world;
    this.#ends = world.ends;
    this.#starts = world.starts;
  }

  /** There is a connection. */
  opened(): void {
    this.#isOpen = true;
  }

  /** A connection is lost, or could not be made. */
  lost(what: string): void {
    const { ends, starts } = this.#world;
    // There was none to connect to, or there was none until a moment ago.
    const wasAway = ends >= starts || starts > this.#starts;
    if (this.#isOpen || !wasAway) this.#world.excuse(this.#ends, what);
    this.#isOpen = false;
    this.#ends = ends;
    this.#starts = starts;
  }
}

/**
 * Follows a topic to its end with `subscribe`.
 *
 * @param reading What has come so far.
 * @param world The relays.
 * @param onReached Called with the number of the relay that was reached.
 */
export async function followByClient(
  reading: Reading,
  world: World,
  onReached: (start: number) => void,
): Promise<void> {
  const { record, who } = reading;
  const losses = new Losses(world);
  let failure: unknown;
  await using subscription = subscribe(
    `${world.url.replace("http", "ws")}/topics/${record.name}`,
    {
      after: reading.position,
      reconnect: { minTimeout: 20, maxTimeout: 200 },
      signal: world.over,
      onStateChange: ({ state, reason }) => {
        if (state === "open") {
          losses.opened();
          onReached(world.starts);
        }
        if (state !== "waiting" || world.over.aborted) return;
        try {
          losses.lost(`${who} has lost ${record.name}: ${reason}`);
        } catch (error) {
          failure ??= error;
        }
      },
    },
  );
  try {
    for await (const message of subscription) {
      if (failure !== undefined) throw failure;
      if (message.type !== "event") {
        // A topic that nobody has filled is another one each time.
        if (message.type === "gap" && reading.seen > 0) {
          record.fail(who, JSON.stringify(message));
        }
        continue;
      }
      const { epoch, offset, event, data, id } = message;
      reading.event(epoch, offset, { event, data, id });
    }
  } catch (error) {
    // A topic that is not whole ends so.
    if (!(error instanceof SubscriptionError) || !subscription.end) throw error;
  }
  const { end } = subscription;
  if (!end) return record.fail(who, "a loop that is over without an end");
  reading.end(await epochOf(reading, world), end.status, end.reason);
}

/**
 * Follows a topic to its end with an `EventSource`, and a new one where the relay has sent
 * the last one away.
 *
 * @param reading What has come so far.
 * @param world The relays.
 * @param onReached Called with the number of the relay that was reached.
 */
export async function followByEventSource(
  reading: Reading,
  world: World,
  onReached: (start: number) => void,
): Promise<void> {
  const { record, who } = reading;
  const over = Promise.withResolvers<void>();
  const { ends } = world;
  const losses = new Losses(world);
  const source = new EventSource(
    `${world.url}/topics/${record.name}?after=${reading.position}`,
  );
  const guard = (take: () => void): void => {
    try {
      take();
      if (reading.hasEnded) over.resolve();
    } catch (error) {
      over.reject(error);
    }
  };
  source.onopen = () => {
    losses.opened();
    onReached(world.starts);
  };
  source.onerror = () =>
    guard(() => {
      if (world.over.aborted || reading.hasEnded) return;
      // It was sent away, or there is nothing more, and it does not come back.
      if (source.readyState === EventSource.CLOSED) return over.resolve();
      losses.lost(`${who} has lost ${record.name}`);
    });
  for (const type of TYPES) {
    source.addEventListener(type, ({ data, lastEventId }) =>
      guard(() => {
        const [epoch = ""] = lastEventId.split(":");
        // Without an event, there is no position to learn the epoch from.
        if (type === "rivulet.end" && epoch === "") return over.resolve();
        reading.ofStream(epoch, { event: type, data, id: lastEventId });
      }));
  }
  const leave = () => over.resolve();
  world.over.addEventListener("abort", leave);
  try {
    await over.promise;
  } finally {
    world.over.removeEventListener("abort", leave);
    source.close();
  }
  if (reading.hasEnded || world.over.aborted) return;
  await endOf(reading, world);
  if (!reading.hasEnded) world.excuse(ends, `${who} was sent away`);
}

/** Enters the end of a topic that a new `EventSource` has nothing more of. */
async function endOf(reading: Reading, world: World): Promise<void> {
  const told = await describe(world, reading.record.name);
  if (!told?.end || told.next !== reading.seen + 1) return;
  reading.end(told.epoch, told.end.status, told.end.reason);
}

/** Returns the epoch of a topic of which no event may have come. */
async function epochOf({ record }: Reading, world: World): Promise<string> {
  for (;;) {
    if (record.epoch !== undefined) return record.epoch;
    const told = await describe(world, record.name);
    if (told) return told.epoch;
  }
}
