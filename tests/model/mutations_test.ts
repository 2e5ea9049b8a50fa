/**
 * Recorded answers, sent otherwise: what comes of them is what came of them
 * before, or there is an error. Never is less called complete.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type ResponseItem, snapshot } from "../../src/model/mod.ts";
import { scriptedModel, textOf } from "../support/model/scripted_model.ts";
import { propertyParameters } from "../support/property.ts";
import {
  readRecordings,
  recordingsMissing,
} from "../support/recordings/recordings.ts";
import { MUTATIONS, type OpenAiWire, type WireBlock } from "./mutations.ts";
import {
  foldChat,
  type Folded,
  foldResponses,
  split,
} from "./reference_fold.ts";

/** A recorded answer that is whole. */
interface Recorded {
  readonly name: string;
  readonly wire: OpenAiWire;
  readonly blocks: readonly WireBlock[];
  readonly folded: Folded;
}

/** The way in which an answer is sent. */
interface Sending {
  readonly recording: number;
  readonly mutations: readonly number[];
  readonly picks: readonly number[];
  /**
   * The places at which the stream stands still, and the waits in milliseconds.
   */
  readonly pauses: readonly { at: number; wait: number }[];
  readonly isUnended: boolean;
}

/** Longer than what is waited for after the end, and shorter than what is too long. */
const LONGEST_PAUSE = 60_000;

const sendings: fc.Arbitrary<Sending> = fc.record({
  recording: fc.nat(),
  mutations: fc.uniqueArray(fc.nat({ max: 999 }), {
    minLength: 1,
    maxLength: 2,
  }),
  picks: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
  pauses: fc.array(
    fc.record({ at: fc.nat(), wait: fc.nat({ max: LONGEST_PAUSE }) }),
    { maxLength: 4 },
  ),
  isUnended: fc.boolean(),
});

async function readWhole(): Promise<Recorded[]> {
  const found: Recorded[] = [];
  for (const [name, bytes] of await readRecordings()) {
    const wire = name.split(".")[1];
    if (wire !== "chat" && wire !== "responses") continue;
    const folded = wire === "chat" ? foldChat(bytes) : foldResponses(bytes);
    if (folded.ending !== "completed") continue;
    const blocks = split(bytes).map(([name, data]): WireBlock => ({
      name: name === "message" ? undefined : name,
      data: data.startsWith("{") ? JSON.parse(data) : data,
    }));
    found.push({ name, wire, blocks, folded });
  }
  return found;
}

function write({ name, data }: WireBlock): string {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return `${name === undefined ? "" : `event: ${name}\n`}data: ${text}\n\n`;
}

/** A call, whatever the white space of its arguments. */
function callOf(name: string, json: string): string {
  return `${name} ${JSON.stringify(JSON.parse(json || "{}"))}`;
}

/** The text and the calls of a response. */
function saidBy(output: readonly ResponseItem[]): string[] {
  return output.flatMap((item) =>
    item.type === "function_call" ? [callOf(item.name, item.arguments)] : []
  ).sort();
}

/** Sends an answer, and holds what comes of it against what came of it before. */
async function send(
  recorded: readonly Recorded[],
  { recording, mutations, picks, pauses, isUnended }: Sending,
): Promise<"completed" | "incomplete" | "error"> {
  const { name, wire, blocks, folded } = recorded[recording % recorded.length]!; // there are some
  const table = Object.entries(MUTATIONS[wire]);
  let edited = structuredClone([...blocks]);
  const names: string[] = [];
  let turn = 0;
  for (const index of new Set(mutations.map((one) => one % table.length))) {
    const [what, mutate] = table[index]!; // below its length
    names.push(what);
    edited = mutate(
      edited,
      (count) => (picks[turn++ % picks.length] ?? 0) % Math.max(1, count),
    );
  }
  const chunks: (string | { wait: number })[] = edited.map(write);
  // The client waits two seconds for events after the last word, and no longer.
  const last = edited.findLastIndex(({ data }) =>
    typeof data !== "string" && !JSON.stringify(data).includes('"choices":[]')
  );
  for (const { at, wait } of pauses) {
    if (last > 0) chunks.splice(at % last, 0, { wait });
  }
  const end = chunks.at(-1);
  if (isUnended && typeof end === "string") {
    chunks[chunks.length - 1] = end.slice(0, -2);
  }
  const model = scriptedModel([{ chunks }], {
    provider: { wireApi: wire, streamMaxRetries: 0 },
  });
  const { events, error } = await model.ask();
  if (error !== undefined) return "error";
  const what = `${name}: ${names.join(", ")}`;
  const { status, output, outputText } = snapshot(events);
  if (status === "completed") {
    assertEquals(outputText, folded.text, what);
    assertEquals(
      saidBy(output),
      folded.calls.map((call) => callOf(call.name, call.arguments)).sort(),
      what,
    );
  }
  const told = textOf(events);
  assert(
    told === "" || folded.text.endsWith(told) || told === folded.text,
    what,
  );
  return status === "completed" ? "completed" : "incomplete";
}

const NAME =
  "ModelClient never calls complete what is less than a provider has sent, however it sends it (G1, G2, G3, G4)";

Deno.test({
  name: NAME,
  ignore: recordingsMissing(NAME),
  async fn() {
    const recorded = await readWhole();
    assert(recorded.length > 35, `${recorded.length}`);
    const counts = { completed: 0, incomplete: 0, error: 0 };
    await fc.assert(
      fc.asyncProperty(sendings, async (sending) => {
        counts[await send(recorded, sending)]++;
      }),
      propertyParameters(200),
    );
    // Nearly all of it can be read: an error for everything would be no answer.
    assert(
      counts.completed > 9 * (counts.error + counts.incomplete),
      JSON.stringify(counts),
    );
  },
});

const EACH =
  "ModelClient reads every recording in each other form (G1, G2, G3)";

Deno.test({
  name: EACH,
  ignore: recordingsMissing(EACH),
  async fn() {
    const recorded = await readWhole();
    const small = recorded.map((one, index) => ({ ...one, index }))
      .filter(({ blocks }) => blocks.length < 300);
    for (const { wire, index, name } of small) {
      for (const mutation of Object.keys(MUTATIONS[wire]).keys()) {
        const result = await send(recorded, {
          recording: index,
          mutations: [mutation],
          picks: [3],
          pauses: [],
          isUnended: false,
        });
        const what = Object.keys(MUTATIONS[wire])[mutation];
        assertEquals(result, "completed", `${name}: ${what}`);
      }
    }
  },
});
