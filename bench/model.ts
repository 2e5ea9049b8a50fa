/**
 * Measures the model client beside its peers.
 *
 * `deno run -A bench/model.ts [--rounds 15] [--warm-up 4] [--megabytes 16]
 * [--only NAME] [--wire API]`: one answer of `megabytes`, by Responses, by Chat and by Messages,
 * in chunks of 16 KiB. The clients take turns, pass by pass, and each round begins with the next
 * of them, so that what else the machine does, and the garbage of the one before,
 * hits them alike; the medians are compared. Each must deliver all of the text and
 * say that the answer is whole. `only` runs one of them, for a profiler, and `wire`
 * one of the APIs.
 *
 * @module
 */
import { parseArgs } from "node:util";
import {
  aiSdk,
  anthropic,
  floor,
  modelClient,
  openai,
  type Pass,
} from "./model_clients.ts";
import {
  chatStream,
  messagesStream,
  type ModelInput,
  responsesStream,
  type WireApi,
} from "./model_inputs.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    "warm-up": { type: "string", default: "4" },
    megabytes: { type: "string", default: "16" },
    only: { type: "string" },
    wire: { type: "string" },
  },
});
const ROUNDS = Number(values.rounds);
const WARM_UP = Number(values["warm-up"]);
const SIZE = Number(values.megabytes) * 1e6;

/** A client of the table. */
interface Entry {
  readonly name: string;
  /** Whether it is one that this library is compared to. */
  readonly peer: boolean;
  readonly pass: Pass;
}

function median(times: number[]): number {
  times.sort((a, b) => a - b);
  return times[times.length >> 1] ?? NaN;
}

/** The milliseconds of one pass. */
async function time({ name, pass }: Entry, input: ModelInput): Promise<number> {
  const start = performance.now();
  const { characters = input.characters, completed } = await pass();
  const time = performance.now() - start;
  if (characters !== input.characters || !completed) {
    throw new Error(
      `${name}, ${input.wireApi}: ${characters} of ${input.characters} characters, completed: ${completed}`,
    );
  }
  return time;
}

/** The clients that this library is compared to, by wire API. */
const PEERS: Readonly<
  Record<WireApi, readonly (readonly [name: string, make: typeof openai])[]>
> = {
  responses: [
    ["openai 7.57.0", openai],
    ["@ai-sdk/openai 4.0.118", aiSdk],
  ],
  chat: [
    ["openai 7.57.0", openai],
    ["@ai-sdk/openai-compatible 3.0.92", aiSdk],
  ],
  messages: [["@anthropic-ai/sdk 1.12.0", anthropic]],
};

const TITLES: Readonly<Record<WireApi, string>> = {
  responses: "Responses",
  chat: "Chat",
  messages: "Messages",
};

/** Runs the clients by turns, and prints a row for each. */
async function measure(input: ModelInput): Promise<void> {
  const entries: Entry[] = [
    ...PEERS[input.wireApi].map(([name, make]): Entry => ({
      name,
      peer: true,
      pass: make(input),
    })),
    { name: "ModelClient", peer: false, pass: modelClient(input) },
    {
      name: "no client (decode, parse, `JSON.parse`)",
      peer: false,
      pass: floor(input),
    },
  ].filter(({ name }) => values.only === undefined || name === values.only);
  if (entries.length === 0) throw new Error(`No client: ${values.only}`);

  const times = new Map<Entry, number[]>(entries.map((entry) => [entry, []]));
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    for (let turn = 0; turn < entries.length; turn++) {
      const entry = entries[(round + turn) % entries.length];
      if (entry === undefined) continue;
      const taken = await time(entry, input);
      if (round >= WARM_UP) times.get(entry)?.push(taken);
    }
  }

  const medians = new Map<Entry, number>();
  for (const [entry, list] of times) medians.set(entry, median(list));
  const fastest = Math.min(
    ...entries.filter(({ peer }) => peer).map((entry) =>
      medians.get(entry) ?? NaN
    ),
  );
  for (const [{ name }, time] of medians) {
    const cells = [
      TITLES[input.wireApi],
      name,
      (input.size / time / 1e3).toFixed(),
      (input.events / time).toFixed(),
      (time * 1e6 / input.events).toFixed(),
      Number.isFinite(fastest) ? (fastest / time).toFixed(2) : "-",
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

const cpu = /model name\s*: (.*)/.exec(
  await Deno.readTextFile("/proc/cpuinfo").catch(() => ""),
)?.[1] ?? Deno.build.arch;
const inputs = [responsesStream, chatStream, messagesStream]
  .map((make) => make(SIZE))
  .filter(({ wireApi }) =>
    values.wire === undefined || wireApi === values.wire
  );
if (inputs.length === 0) throw new Error(`No wire API: ${values.wire}`);
console.log(
  `${cpu}, ${navigator.hardwareConcurrency} cores, Deno ${Deno.version.deno}, V8 ${Deno.version.v8}, ${
    new Date().toISOString().slice(0, 10)
  }; median of ${ROUNDS} alternating passes of ${
    inputs.map(({ size, events, wireApi }) =>
      `${(size / 1e6).toFixed(1)} MB of ${events} events (${wireApi})`
    ).join(", ")
  }\n`,
);
console.log(
  "| stream | client | MB/s | k events/s | ns/event | to the faster peer |",
);
console.log("|---|---|--:|--:|--:|--:|");
for (const input of inputs) await measure(input);
