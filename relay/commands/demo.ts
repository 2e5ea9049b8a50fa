import type { Clock } from "../../src/fetch/clock.ts";
import { wait } from "../../src/fetch/retry.ts";
import { readEvents } from "../../src/sse/read_events.ts";
import { HostileProvider } from "../../src/testing/hostile_provider.ts";
import type { Topic } from "../topics/surface.ts";
import type { Command } from "./command.ts";
import { runRelay } from "./serve.ts";

const HELP =
  `Runs the relay with the topic 'demo', which a model fills with its answer,
again and again.

Usage: rivulet demo [FLAG ...]

The flags are those of serve: rivulet help serve.

Permissions, instead of -A:
  --allow-net=127.0.0.1:8787
  --allow-env='RIVULET_*,WS_NO_BUFFER_UTIL'
`;

const TEXT =
  `A river never knows the way to the sea. It only knows the way down. Rain falls on a hillside, finds a crease no deeper than a finger, and the crease becomes a rill. Rills meet, and at each meeting the water takes the lower side — not once, but a million times a day.

Where the ground is soft, the river carves. Where it is hard, the river waits: it fills a basin and spills over the lowest lip. So a waterfall is only an argument that gravity has won.

The character for water, 水, shows one stream with smaller ones at its sides. That is the whole secret: many small answers, all leaning the same way. Keep leaning, and one day you taste salt. 🌊`;

/** The time between words, in milliseconds. */
const PACE = 60;

/** The time between answers, in milliseconds. */
const PAUSE = 3_000;

/** The command that runs the relay with a topic to look at. */
export const demo: Command = {
  help: HELP,
  run: (args, system) =>
    runRelay(args, system, {
      name: "demo",
      fill: (topic, signal) => fill(topic, system.clock, signal),
    }),
};

async function fill(
  topic: Topic,
  clock: Clock,
  stopped: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  void topic.ended.then(() => ended.abort());
  const signal = AbortSignal.any([stopped, ended.signal]);
  const provider = new HostileProvider({ clock, plan: `pace=${PACE}` });
  try {
    for (let round = 1;; round++) {
      const { body } = await provider.fetch(answerTo(round, signal));
      if (!body) throw new TypeError("The model has no answer");
      for await (const event of readEvents(body)) {
        signal.throwIfAborted();
        await topic.append([event]);
      }
      await wait(PAUSE, clock, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Equal requests would get the same answer, down to its id. */
function answerTo(round: number, signal: AbortSignal): Request {
  return new Request("http://localhost/v1/responses", {
    method: "POST",
    body: JSON.stringify({
      model: "demo",
      input: TEXT,
      metadata: { round: String(round) },
      stream: true,
    }),
    signal,
  });
}
