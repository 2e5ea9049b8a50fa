import { TOPIC } from "./event.ts";
import { Setup } from "./load.ts";
import type { Server } from "./servers/server.ts";
import { sleep } from "../sleep.ts";

/** The number of subscribers, one after the other. */
const TIMES = 20;

/**
 * The time that a new subscriber needs for the retained events, in
 * milliseconds.
 */
export interface Replay {
  /** The first, for whom the messages have to be made. */
  readonly first: number;
  readonly median: number;
}

/**
 * Measures how long the relay takes to send everything to who comes late.
 *
 * @param server The relay.
 * @param events How many are retained.
 * @param size The bytes of an event's data.
 */
export async function measureReplay(
  server: Server,
  events: number,
  size: number,
): Promise<Replay> {
  await using setup = await Setup.start(server, { size, rate: 0 }, 256, events);
  await setup.feed.say("go");
  const url = `http://127.0.0.1:${setup.server.port}/topics/${TOPIC}`;
  for (let next = 0; next <= events;) {
    const response = await fetch(url, { method: "HEAD" });
    next = Number(response.headers.get("Rivulet-Next"));
    await sleep(20);
  }
  const times: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    await setup.generator.say(`replay ${events}`);
    const [milliseconds] = await setup.generator.hear(/^[0-9.]+$/);
    times.push(Number(milliseconds));
  }
  const first = times[0] ?? NaN;
  const sorted = times.slice(1).sort((a, b) => a - b);
  return { first, median: sorted[Math.floor(sorted.length / 2)] ?? NaN };
}
