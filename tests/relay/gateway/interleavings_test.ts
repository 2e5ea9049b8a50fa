// Two things happen to a run at once, at every point of its life: it ends once, lawfully, and leaves nothing behind.
import { assert, assertEquals } from "@std/assert";
import type { EndStatus } from "../../../relay/topics/end.ts";
import type { Topic } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import type { CallerStream } from "../../support/gateway/caller_stream.ts";
import {
  type Begun,
  type GatewayWorld,
  LIMIT,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { Exposition } from "../../support/observing/exposition.ts";
import { needsOneProcess } from "../../support/relay/shape.ts";
import { until, within } from "../../support/within.ts";

const { start, delta, ends } = WIRE_FORMATS["Chat"]!;
const FINISH = ends[1]![1];
const DONE = ends[0]![1].slice(FINISH.length);
const WHOLE = start + delta("a") + FINISH + DONE;

/** The points of a run's life, in order, and what its provider has sent by then. */
const MOMENTS = {
  "before the head": undefined,
  "after the head": "",
  "after the first event": start,
  "after the finish reason": start + FINISH,
  "after the last word": start + FINISH + DONE,
} as const;

type Moment = keyof typeof MOMENTS;

const NAMES = Object.keys(MOMENTS) as Moment[]; // these are its keys

/** A run that is under way. */
interface Case extends Begun {
  readonly world: GatewayWorld;
  readonly topic: Topic;
  /** The part that the provider has yet to send. */
  readonly rest: string;
  /** Whether the provider has sent the head of its answer. */
  readonly hasHead: boolean;
  /** Has the caller leave, as it asked: with its run. */
  readonly caller: AbortController;
}

/**
 * Things that may happen to a run. Each begins at once. Each begins at once.
 */
const ACTIONS: Readonly<Record<string, (run: Case) => unknown>> = {
  "is cancelled": ({ topic }) => topic.end("cancelled", "enough"),
  "loses its topic": ({ world }) => world.relay.topics.delete("t"),
  "is completed": async ({ exchange, rest, hasHead }) => {
    if (!hasHead) await exchange.stream();
    await exchange.end(rest);
  },
  "breaks off": ({ exchange }) => exchange.reset(),
  "loses its caller": ({ caller }) => caller.abort(),
  "loses its relay": ({ world }) => world.relay.close(),
};

/** The lawful end of a run to which one thing happens. */
const ENDS: Readonly<Record<Moment, Readonly<Record<string, EndStatus>>>> = {
  "before the head": {
    "is cancelled": "cancelled",
    "loses its topic": "cancelled",
    "is completed": "complete",
    // None of the next attempts is answered either.
    "breaks off": "failed",
    "loses its caller": "cancelled",
    "loses its relay": "failed",
  },
  "after the head": {
    "is cancelled": "cancelled",
    "loses its topic": "cancelled",
    "is completed": "complete",
    "breaks off": "truncated",
    "loses its caller": "cancelled",
    "loses its relay": "truncated",
  },
  "after the first event": {
    "is cancelled": "cancelled",
    "loses its topic": "cancelled",
    "is completed": "complete",
    "breaks off": "truncated",
    "loses its caller": "cancelled",
    "loses its relay": "truncated",
  },
  "after the finish reason": {
    "is cancelled": "cancelled",
    "loses its topic": "cancelled",
    "is completed": "complete",
    "breaks off": "complete",
    "loses its caller": "cancelled",
    "loses its relay": "complete",
  },
  "after the last word": {
    "is cancelled": "complete",
    "loses its topic": "complete",
    "is completed": "complete",
    "breaks off": "complete",
    "loses its caller": "complete",
    "loses its relay": "complete",
  },
};

/** The ends that are lawful, whichever of the two is first. */
function lawful(moment: Moment, pair: readonly string[]): Set<EndStatus> {
  // The rest of the provider's stream takes the run to later moments.
  const moments = pair.includes("is completed")
    ? NAMES.slice(NAMES.indexOf(moment))
    : [moment];
  return new Set(
    moments.flatMap((moment) => pair.map((action) => ENDS[moment][action]!)), // it has all of them
  );
}

async function metrics(world: GatewayWorld): Promise<Exposition> {
  return new Exposition(await (await world.request("/metrics")).text());
}

function outcomes(exposition: Exposition): Record<string, number> {
  return exposition.by("rivulet_runs_ended_total", "outcome");
}

async function begin(world: GatewayWorld, moment: Moment): Promise<Case> {
  const caller = new AbortController();
  const { exchange, answer } = await world.begin({
    headers: {
      "rivulet-topic": "t",
      "rivulet-on-disconnect": "cancel",
      "idempotency-key": "k",
    },
    signal: caller.signal,
  });
  const said = MOMENTS[moment];
  const topic = world.topic("t");
  if (said !== undefined) {
    await exchange.stream(said);
    await (await answer).see(said);
    const events = said.split("\n\n").length - 1;
    await until(
      () => topic.log.next === events + 1 || undefined,
      LIMIT,
      "the events to be in the topic",
    );
  }
  const rest = WHOLE.slice(said?.length ?? 0);
  const hasHead = said !== undefined;
  return { world, exchange, answer, topic, rest, hasHead, caller };
}

/** Lets time pass until a run is over; a provider that is asked again does not answer. */
async function pass(
  world: GatewayWorld,
  clock: FakeClock,
  over: () => boolean | Promise<boolean>,
): Promise<void> {
  let taken = world.provider.count;
  await until(
    async () => {
      for (; taken < world.provider.count; taken++) {
        (await world.provider.next()).reset();
      }
      await clock.advance(500);
      return await over() || undefined;
    },
    LIMIT,
    "the run to be over",
  );
}

/** Checks that nobody takes a part of an answer for the whole. */
async function assertToldTruly(answer: Promise<CallerStream>): Promise<void> {
  let caller;
  try {
    caller = await within(answer, LIMIT, "an answer");
  } catch (error) {
    // It has left, or its relay has.
    assert(error instanceof Error && !error.message.startsWith("Waited"));
    return;
  }
  const { text, end } = await caller.rest();
  if (caller.status === 200 && end === "whole") {
    // The provider's last word, or that of the relay: the run was cancelled.
    assert(/"stop"|"code":"cancelled"/.test(text), text);
  } else if (caller.status !== 200) assert([410, 502].includes(caller.status));
}

/** Lets two things happen to a run, and checks what must hold whatever they are. */
async function happen(
  world: GatewayWorld,
  clock: FakeClock,
  moment: Moment,
  pair: readonly string[],
): Promise<void> {
  const isClosed = pair.includes("loses its relay");
  const before = isClosed ? {} : outcomes(await metrics(world));
  const timers = clock.pending;
  const run = await begin(world, moment);
  const { topic } = run;
  let seen = 0;
  topic.observe({
    changed: ({ state }) => void (state.kind === "ended" && seen++),
  });
  const isEnded = topic.state.kind === "ended";

  const happening = pair.map((action) => ACTIONS[action]!(run)); // they are its keys
  let isOver = false;
  if (isClosed) void world.relay.close().then(() => isOver = true);
  await pass(
    world,
    clock,
    async () =>
      isClosed ? isOver : (await metrics(world)).value("rivulet_runs") === 0,
  );
  await Promise.all(happening);
  await assertToldTruly(run.answer);

  const after = isClosed ? {} : outcomes(await metrics(world));
  // A run that its provider did not answer may be asked for again for a while.
  if (!isClosed) await clock.advance(80_000);
  assert(topic.state.kind === "ended", `it is ${topic.state.kind}`);
  const { status } = topic.state.end;
  const legal = lawful(moment, pair);
  assert(legal.has(status), `${status} is none of ${[...legal].join(", ")}`);
  assertEquals(seen, isEnded ? 0 : 1, "how often it has ended");
  if (isClosed) return assertEquals(clock.pending, 0);

  const counted = Object.keys(after).flatMap((outcome) =>
    Array(after[outcome]! - before[outcome]!).fill(outcome)
  );
  assertEquals(counted, [status === "failed" ? "unreachable" : status]);
  world.relay.topics.delete("t");
  assertEquals(clock.pending, timers, "timers that are left");
  // There is room for one run only, and neither its name nor its key is taken.
  const { exchange, answer } = await begin(world, "before the head");
  await exchange.stream(WHOLE);
  await exchange.end();
  const caller = await within(answer, LIMIT, "the next answer");
  assertEquals(caller.header("idempotent-replayed"), null);
  assertEquals(await caller.rest(), { text: WHOLE, end: "whole" });
  await pass(
    world,
    clock,
    async () => (await metrics(world)).value("rivulet_runs") === 0,
  );
  world.relay.topics.delete("t");
}

for (const moment of NAMES) {
  Deno.test(`A run ends once, whatever two things happen ${moment}`, async (t) => {
    needsOneProcess("the timers of the relay alone");
    const clock = new FakeClock();
    await using world = await startGateway({
      clock,
      limits: { maxUpstreams: 1 },
    });
    for (const first of Object.keys(ACTIONS)) {
      for (const second of Object.keys(ACTIONS)) {
        if (first === second) continue;
        const pair = [first, second];
        await t.step(`It ${first}, and ${second}`, async () => {
          if (!pair.includes("loses its relay")) {
            return await happen(world, clock, moment, pair);
          }
          const clockOfOne = new FakeClock();
          await using one = await startGateway({ clock: clockOfOne });
          await happen(one, clockOfOne, moment, pair);
        });
      }
    }
  });
}
