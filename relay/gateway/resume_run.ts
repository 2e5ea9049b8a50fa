import { EventRoom } from "../limits/memory/event_room.ts";
import type { ReceiveBudget } from "../limits/memory/receive_budget.ts";
import type { UpstreamSlots } from "../limits/upstream_slots.ts";
import { Problem } from "../problem.ts";
import { type ResponseFilling, restarted } from "../topics/filling.ts";
import { leftByOthers } from "../topics/left_by_others.ts";
import type { Topic } from "../topics/topic.ts";
import { keptRequest, tailOf } from "./kept_response.ts";
import type { GatewayProvider } from "./provider.ts";
import type { RunPlan } from "./run.ts";
import { RunTopic, type RunTopicContext } from "./run_topic.ts";

/** The parts of a gateway that goes on with runs of a relay before it. */
export interface ResumeContext {
  /** The providers. */
  readonly providers: readonly GatewayProvider[];
  /** The upstreams that may be read from at a time. */
  readonly slots: UpstreamSlots;
  /** Counts what has come of events that are not whole yet. */
  readonly received: ReceiveBudget;
  /** Counts an event that there was no room for, by the code of the limit. */
  eventRefused(code: string): void;
}

/**
 * Goes on with a background response that a relay before this one has left, or ends its
 * topic if that cannot be.
 *
 * @param topic The topic: it has not ended.
 * @param filling The response, as the store has kept it.
 * @param context The parts of the gateway.
 * @param topics The parts and settings that the topics of all runs share.
 * @param start Starts a run; resolves when it is over.
 * @returns Resolves when the run is over. Rejects if it could not be begun, with a
 * `LeaseHeldError` if another relay has gone on with it.
 */
export async function resumeRun(
  topic: Topic,
  filling: ResponseFilling,
  { providers, slots, received, eventRefused }: ResumeContext,
  topics: RunTopicContext,
  start: (plan: RunPlan) => Promise<void>,
): Promise<void> {
  const provider = providers.find(({ name }) => name === filling.provider);
  if (!provider && topics.topics.areShared) {
    const left = await leftByOthers(topic, topics);
    if (!left) return;
    topic = left;
  }
  const { name, source = "" } = topic;
  const run = new RunTopic({
    name,
    isNamed: true,
    renews: false,
    owner: undefined, // the topic has the one that it was made with
    source,
    filledBy: topic.filledBy,
    model: () => undefined, // the topic has it
    onDisconnect: "continue",
  }, topics);
  run.takeOver(topic);
  // From then on nobody else adds to the log that the run goes on with.
  try {
    await run.held;
  } catch (error) {
    // Another relay has gone on with it.
    if (error instanceof Problem) return;
    throw error;
  }
  if (!provider) {
    const reason = restarted(
      `there is no provider '${filling.provider}' any more`,
    );
    return run.breakOff({ status: "truncated", reason });
  }
  // Nobody has asked for it: each counts by itself.
  const client = `topic ${name}`;
  using _slot = slots.take(client);
  const tail = await tailOf(topic.log, filling);
  if (tail.kind === "unknown") {
    const reason = restarted(tail.why);
    return run.breakOff({ status: "truncated", reason });
  }
  // The next relay goes on with it.
  if (topics.closing.aborted) return run.close();
  if (tail.kind === "over") return run.conclude(tail.verdict);
  using room = new EventRoom(received, client, eventRefused);
  await start({
    request: keptRequest(filling, provider),
    client,
    caller: undefined,
    topic: run,
    room,
    record: () => undefined,
    kept: tail.kept,
    onResponseId: () => {},
    onBackground: () => {},
  });
}
