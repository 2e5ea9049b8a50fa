/**
 * Ways to fill a topic, each with every end that a topic can have.
 *
 * @module
 */
import type { EndStatus } from "../../../relay/mod.ts";
import type { Topic } from "../../../relay/topics/topic.ts";

/** A way to fill a topic, and the end expected. */
export interface Ending {
  readonly name: string;
  /** Fills the topic. */
  fill(topic: Topic): Promise<void>;
  readonly end: readonly [
    status: EndStatus,
    reason?: string | undefined,
    whole?: boolean,
  ];
}

/** Appends events of numbers, one at a time. */
export async function append(
  topic: Topic,
  from: number,
  to: number,
): Promise<void> {
  for (let number = from; number <= to; number++) {
    const event = number % 3 === 0 ? "third" : "message";
    await topic.append([{ event, data: `${number}`, id: `id-${number}` }]);
  }
}

/** Appends pieces of a text, as a provider sends them. */
async function appendDeltas(topic: Topic, count: number): Promise<void> {
  const type = "response.output_text.delta";
  for (let number = 1; number <= count; number++) {
    const data = { type, item_id: "a", delta: `${number} ` };
    await topic.append([{ event: type, data: JSON.stringify(data) }]);
  }
}

const FILLS: Readonly<Record<string, Ending["fill"]>> = {
  nothing: async () => {},
  some: (topic) => append(topic, 1, 5),
  evicted: (topic) => append(topic, 1, 30),
  hole: async (topic) => {
    await append(topic, 1, 3);
    topic.skip(4, "slow");
    await append(topic, 8, 9);
    topic.skip(2, "evicted");
  },
  deltas: (topic) => appendDeltas(topic, 8),
};

const ENDS: readonly Ending["end"][] = [
  ["complete"],
  ["complete", undefined, false],
  ["failed", "out of tokens"],
  ["failed"],
  ["truncated", "the connection was reset"],
  ["cancelled", "enough"],
  ["expired", "too old"],
];

/** All of them; what readers are told of deltas depends on how they read, and on no end. */
export const ENDINGS: readonly Ending[] = Object.entries(FILLS).flatMap((
  [name, fill],
) =>
  ENDS.slice(0, name === "deltas" ? 1 : ENDS.length)
    .map((end, index) => ({ name: `${name}-${index}-${end[0]}`, fill, end }))
);
