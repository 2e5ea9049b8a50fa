import { messageOf } from "../../src/fetch/message_of.ts";
import { type Load, measure, measureIdle, type Measurement } from "./load.ts";
import { median, medianOf } from "./median.ts";
import type { Options } from "./options.ts";
import { measureReplay, type Replay } from "./replay.ts";
import type { Server } from "./servers/server.ts";

/** The outcome of measuring a server with a load, in every round. */
export type Outcome =
  | { readonly kind: "measured"; readonly measurement: Measurement }
  | { readonly kind: "failed"; readonly why: string };

/** One load, and what each server made of it, by the server's name. */
export interface Comparison {
  readonly load: Load;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

/** All that was measured. */
export interface Results {
  readonly comparisons: readonly Comparison[];
  /** Bytes of an idle subscriber, by the server's name. */
  readonly idle: ReadonlyMap<string, number>;
  readonly replay: Replay | undefined;
}

/** Every load that is asked for. */
function loadsOf({ subscribers, sizes, rates }: Options): Load[] {
  return subscribers.flatMap((subscribers) =>
    sizes.flatMap((size) => rates.map((rate) => ({ subscribers, size, rate })))
  );
}

class Rounds<Value> {
  readonly values: Value[] = [];
  failure: string | undefined;

  async run(what: string, measure: () => Promise<Value>): Promise<void> {
    try {
      this.values.push(await measure());
    } catch (error) {
      this.failure = messageOf(error);
      console.error(`${what}: ${this.failure}`);
    }
  }
}

function outcomeOf({ values, failure }: Rounds<Measurement>): Outcome {
  const [first, ...others] = values;
  return first
    ? { kind: "measured", measurement: medianOf([first, ...others]) }
    : { kind: "failed", why: failure ?? "not measured" };
}

/** Measures the servers in turn, with each load, round after round. */
export async function compare(
  servers: readonly Server[],
  options: Options,
  onProgress: (what: string) => void,
): Promise<Results> {
  const { idle: subscribers, replay: events, rounds } = options;
  const makeRounds = <Value>() =>
    new Map(servers.map(({ name }) => [name, new Rounds<Value>()]));
  const loads = loadsOf(options).map((load) => ({
    load,
    measured: makeRounds<Measurement>(),
  }));
  const idle = makeRounds<number>();
  const replays = new Rounds<Replay>();

  for (let round = 1; round <= rounds; round++) {
    for (const { load, measured } of loads) {
      for (const server of servers) {
        const what = `round ${round} of ${rounds}: ${server.name}, ` +
          `${load.subscribers} x ${load.size} bytes at ${load.rate}/s`;
        onProgress(what);
        await measured.get(server.name)?.run(
          what,
          () => measure(server, load, options),
        );
      }
    }
    for (const server of subscribers > 0 ? servers : []) {
      const what = `round ${round} of ${rounds}: ${server.name}, idle`;
      onProgress(what);
      await idle.get(server.name)?.run(
        what,
        () => measureIdle(server, subscribers),
      );
    }
    const relay = servers.find(({ protocol }) => protocol === "relay");
    if (!relay || events === 0) continue;
    const what = `round ${round} of ${rounds}: replay`;
    onProgress(what);
    await replays.run(what, () => measureReplay(relay, events, 120));
  }

  const ofReplays = (name: keyof Replay): number =>
    median(replays.values.map((replay) => replay[name]));
  return {
    comparisons: loads.map(({ load, measured }) => ({
      load,
      outcomes: new Map(
        [...measured].map(([name, rounds]) => [name, outcomeOf(rounds)]),
      ),
    })),
    idle: new Map(
      [...idle].map(([name, { values }]) => [name, median(values)]),
    ),
    replay: replays.values.length > 0
      ? { first: ofReplays("first"), median: ofReplays("median") }
      : undefined,
  };
}
