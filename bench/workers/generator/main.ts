/**
 * The callers and the provider of short runs, in one process and one thread.
 *
 * Its first line of output is the provider's port. Then it reads a line with a
 * {@linkcode Plan} as JSON, says `measuring` when the time that is measured begins, and
 * the {@linkcode Counts} as JSON at its end.
 *
 * @module
 */
import { Latencies } from "../../fanout/generator/tally.ts";
import { Loop } from "../../net/loop.ts";
import { readLine } from "../../net/read_line.ts";
import { Arrivals } from "../../topics/generator/arrivals.ts";
import { call } from "../../topics/generator/caller.ts";
import { FIRST, StampedEvent } from "../../topics/generator/events.ts";
import { Provider } from "../../topics/generator/provider.ts";

/** The task of the generator. */
export interface Plan {
  /** The port of the relay. */
  readonly port: number;
  /** The number of runs that are under way at any time. */
  readonly callers: number;
  /** The events of a run, besides its first and its last. */
  readonly events: number;
  /** The time before what is measured, in milliseconds. */
  readonly warmUp: number;
  /** The time that is measured, in milliseconds. */
  readonly duration: number;
}

/** The result. */
export interface Counts {
  /** The runs that ended in the time that is measured. */
  readonly runs: number;
  /** The time, in seconds. */
  readonly seconds: number;
  /** Runs that did not end well. */
  readonly errors: number;
}

const loop = new Loop();
const provider = new Provider(loop);

/** Keeps as many runs under way as the plan says. */
class Runs {
  readonly arrivals = new Arrivals(new Latencies(), 0);
  readonly #plan: Plan;
  readonly #event = new StampedEvent();
  #next = 0;
  /** Those that the provider has not answered yet. */
  readonly #asked = new Set<number>();

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** Goes on until a moment. */
  runUntil(end: number): void {
    while (performance.now() < end) {
      this.#begin();
      loop.turn(1);
      this.#answer();
    }
  }

  #begin(): void {
    while (this.#next - this.arrivals.ended < this.#plan.callers) {
      const run = this.#next++;
      this.#asked.add(run);
      call(loop, this.#plan.port, run, `bench-${run}`, this.arrivals);
    }
  }

  #answer(): void {
    for (const run of this.#asked) {
      const connection = provider.connections[run];
      if (connection === undefined) continue;
      this.#asked.delete(run);
      for (let count = 0; count < this.#plan.events; count++) {
        this.#event.stamp(Math.floor(performance.now() * 1_000), FIRST + count);
        loop.send(connection, this.#event.bytes);
      }
      provider.end(run);
    }
  }
}

function measure(plan: Plan): Counts {
  const runs = new Runs(plan);
  runs.runUntil(performance.now() + plan.warmUp);
  const { ended } = runs.arrivals;
  console.log("measuring");
  const began = performance.now();
  runs.runUntil(began + plan.duration);
  return {
    runs: runs.arrivals.ended - ended,
    seconds: (performance.now() - began) / 1_000,
    errors: runs.arrivals.errors,
  };
}

console.log(provider.port);
const plan: Plan = JSON.parse(readLine()); // as bench/workers/measure.ts writes it
console.log(JSON.stringify(measure(plan)));
// The bench ends the process: its connections are not to close before that.
for (;;) loop.turn(-1);
