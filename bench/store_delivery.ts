/**
 * The cost of a store to subscribers: one topic that a source fills, with all
 * its subscribers, in a relay of its own for each store. Needs Linux.
 *
 * @module
 */
import { measure, type Measurement, pinned } from "./fanout/load.ts";
import { medianOf } from "./fanout/median.ts";
import { killAll } from "./fanout/process.ts";
import { startRelay, V8_FLAGS } from "./fanout/servers/relay.ts";
import { TOPIC } from "./fanout/event.ts";
import type { Server } from "./fanout/servers/server.ts";

/** One load, and what is wanted of a store beside memory. */
interface Row {
  readonly subscribers: number;
  /** In events a second; 0 for as many as the relay takes. */
  readonly rate: number;
  /** Whether the relay's threads have another core, which they share with the subscribers. */
  readonly isSpread: boolean;
  readonly target: string;
}

const ROWS: readonly Row[] = [
  {
    subscribers: 1,
    rate: 1_000,
    isSpread: false,
    target: "adds 3 ms at most to the p50",
  },
  {
    subscribers: 1_000,
    rate: 1_000,
    isSpread: false,
    target: "adds 3 ms at most to the p50",
  },
  {
    subscribers: 1_000,
    rate: 0,
    isSpread: false,
    target: "60 % of memory's deliveries",
  },
  {
    subscribers: 1_000,
    rate: 0,
    isSpread: true,
    target: "90 % of memory's deliveries",
  },
];

let files = 0;

function serverOf(store: string, folder: string, isSpread: boolean): Server {
  return {
    name: store,
    title: store,
    protocol: "relay",
    feed: "sse",
    start: ({ core, upstream }) => {
      const path = `${folder}/delivery-${++files}.db`;
      const query = store === "normal" ? "?sync=normal" : "";
      return startRelay(
        "relay/main.ts",
        V8_FLAGS,
        { core: isSpread ? undefined : core },
        [
          ...["--source", `${TOPIC}=${upstream}`],
          ...(store === "memory" ? [] : ["--store", `sqlite:${path}${query}`]),
        ],
      );
    },
  };
}

/** Measures each load with each store in turn, and prints what came of it. */
export async function measureDelivery(
  folder: string,
  stores: readonly string[],
  { seconds, rounds }: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  try {
    for (const row of ROWS) {
      const { subscribers, rate, isSpread, target } = row;
      console.log(
        `one topic, ${subscribers} subscribers, ${
          rate === 0 ? "full speed" : `${rate} events/s`
        }, the relay on ${
          !pinned ? "any core" : isSpread ? "both cores" : "one core"
        }; target: ${target}`,
      );
      const all = new Map<string, Measurement[]>();
      for (let round = 0; round < rounds; round++) {
        for (const store of stores) {
          const server = serverOf(store, folder, isSpread);
          const load = { subscribers, rate, size: 250 };
          const measured = await measure(server, load, { seconds, chunk: 1 });
          all.set(store, [...all.get(store) ?? [], measured]);
        }
      }
      let memory: Measurement | undefined;
      for (const [store, [first, ...others]] of all) {
        if (!first) continue;
        const middle = medianOf([first, ...others]);
        memory ??= middle;
        const { p50, p99, delivered, cpuPerMillion, waitShare } = middle;
        const beside = rate === 0
          ? `${(delivered / memory.delivered * 100).toFixed(0)} %`
          : `adds ${(p50 - memory.p50).toFixed(1)} ms to the p50`;
        console.log(
          `${store}: ${Math.round(delivered)} deliveries/s, p50 / p99 ${
            p50.toFixed(1)
          } / ${p99.toFixed(1)} ms, ${
            cpuPerMillion.toFixed(2)
          } CPU s a million, waited ${
            (waitShare * 100).toFixed(0)
          } % for a core, ${beside}${
            middle.missed > 0 ? `, ${middle.missed} missed` : ""
          }`,
        );
      }
    }
  } finally {
    killAll();
  }
}
