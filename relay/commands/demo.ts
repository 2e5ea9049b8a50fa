import type { Clock } from "../../src/fetch/clock.ts";
import { wait } from "../../src/fetch/retry.ts";
import { readEvents } from "../../src/sse/read_events.ts";
import { HostileProvider } from "../../src/testing/hostile_provider.ts";
import { TopicBusyError } from "../topics/topic_busy_error.ts";
import { TopicEndedError } from "../topics/topic.ts";
import type { Topic, TopicRegistry } from "../topics/surface.ts";
import type { Command } from "./command.ts";
import { runRelay } from "./serve.ts";

const HELP =
  `Runs the relay with the topic 'demo', which a model fills with its answer,
again and again. 'demo-long' has one long answer, those of 'demo-failing' fail,
and those of 'demo-truncated' break off.

Usage: rivulet demo [FLAG ...]

The flags are those of serve: rivulet help serve. There is one process,
whatever --workers says.

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

/**
 * The pause after an answer that has broken off, in milliseconds: each end is a line of
 * the log, below which the banner must not vanish.
 */
const CUT_PAUSE = 60_000;

/** The time between words of the long answer, in milliseconds. */
const SLOW_PACE = 900;

/** The number of times that the long answer repeats the text. */
const REPEATS = 40;

/** The number of events of an answer that does not come to its end. */
const CUT_AFTER = 40;

/** The fate of an answer that does not come to its end. */
interface Cut {
  readonly name: string;
  readonly status: "failed" | "truncated";
  readonly reason: string;
}

const CUTS: readonly Cut[] = [
  {
    name: "demo-failing",
    status: "failed",
    reason:
      "server_error: the model of the demo fails, to show what that is like",
  },
  {
    name: "demo-truncated",
    status: "truncated",
    reason:
      "connection lost before response.completed: the demo cuts it, to show what that is like",
  },
];

/** The command that runs the relay with a topic to look at. */
export const demo: Command = {
  help: HELP,
  run: (args, system) =>
    runRelay(args, system, {
      name: "demo",
      fill: (topics, signal) => fillAll(topics, system.clock, signal),
    }),
};

/** Fills all topics of the demo, until the signal aborts. */
export async function fillAll(
  topics: TopicRegistry,
  clock: Clock,
  stopped: AbortSignal,
): Promise<void> {
  await Promise.all([
    fill(topics.create("demo"), { clock, stopped, pace: PACE }),
    fill(renewed(topics, "demo-long"), {
      clock,
      stopped,
      pace: SLOW_PACE,
      text: TEXT.repeat(REPEATS),
    }),
    ...CUTS.map((cut) => fillCut(topics, cut, clock, stopped)),
  ]);
}

/** Returns a topic to fill, also if one of this name has ended. */
function renewed(topics: TopicRegistry, name: string): Topic {
  const topic = topics.create(name);
  return topic.state.kind === "ended" ? topics.renew(name) : topic;
}

/** The way in which a topic is filled. */
interface Filling {
  readonly clock: Clock;
  readonly stopped: AbortSignal;
  /** The time between words, in milliseconds. */
  readonly pace: number;
  /** The text of the model. */
  readonly text?: string;
}

/** Fills a topic with one answer after the other, until it ends. */
async function fill(
  topic: Topic,
  { clock, stopped, pace, text = TEXT }: Filling,
): Promise<void> {
  const ended = new AbortController();
  void topic.ended.then(() => ended.abort());
  const signal = AbortSignal.any([stopped, ended.signal]);
  const provider = new HostileProvider({ clock, plan: `pace=${pace}` });
  try {
    for (let round = 1;; round++) {
      await play(topic, provider, answerTo(text, round, signal));
      await wait(PAUSE, clock, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Fills a topic with answers that break off, each in an epoch of its own. */
async function fillCut(
  topics: TopicRegistry,
  { name, status, reason }: Cut,
  clock: Clock,
  stopped: AbortSignal,
): Promise<void> {
  const provider = new HostileProvider({ clock, plan: `pace=${PACE}` });
  try {
    for (let round = 1;; round++) {
      try {
        const topic = renewed(topics, name);
        const request = answerTo(TEXT, round, stopped);
        await play(topic, provider, request, CUT_AFTER);
        topic.end(status, reason);
      } catch (error) {
        // Whoever looks may have cancelled it, or publish to it.
        const isTaken = error instanceof TopicEndedError ||
          error instanceof TopicBusyError;
        if (!isTaken) throw error;
      }
      await wait(CUT_PAUSE, clock, stopped);
    }
  } catch (error) {
    if (!stopped.aborted) throw error;
  }
}

/** Adds the events of an answer to a topic, up to a number of them. */
async function play(
  topic: Topic,
  provider: HostileProvider,
  request: Request,
  most = Infinity,
): Promise<void> {
  const { body } = await provider.fetch(request);
  if (!body) throw new TypeError("The model has no answer");
  let count = 0;
  for await (const event of readEvents(body)) {
    request.signal.throwIfAborted();
    await topic.append([event]);
    if (++count >= most) return;
  }
}

/** Equal requests would get the same answer, down to its id. */
function answerTo(
  text: string,
  round: number,
  signal: AbortSignal,
): Request {
  return new Request("http://localhost/v1/responses", {
    method: "POST",
    body: JSON.stringify({
      model: "demo",
      input: text,
      metadata: { round: String(round) },
      stream: true,
    }),
    signal,
  });
}
