import { type ListedTopic, stageOf } from "../../../topics/listed_topics.ts";
import { type RunFacts, storedRun } from "../../../topics/run_facts.ts";
import type { StoredTopic } from "../../../topics/store.ts";
import { Topic } from "../../../topics/topic.ts";
import type {
  RunDescription,
  TopicDescription,
} from "../../../topics/topic_description.ts";
import type { UpstreamState } from "../../../topics/upstream_state.ts";

/** Returns the state of a topic's upstream. A source whose first connection holds has told none. */
function upstreamOf(
  { source, state, upstream }: Topic,
): UpstreamState | undefined {
  if (state.kind === "ended" || source === undefined) return undefined;
  return upstream ??
    { state: state.kind === "pending" ? "connecting" : "open" };
}

/** Describes a topic to who asks for it (PROTOCOL.md, section 4). */
export function describeTopic(topic: ListedTopic): TopicDescription {
  return topic instanceof Topic ? describeLive(topic) : describeStored(topic);
}

/** Describes a topic that is in no memory: nobody follows it here. */
function describeStored(topic: StoredTopic): TopicDescription {
  const { facts: { source, filledBy, run }, end } = topic;
  const state = stageOf(topic);
  return {
    name: topic.name,
    state,
    epoch: topic.epoch,
    first: topic.first,
    next: topic.next,
    bytes: topic.bytes,
    createdAt: Math.floor(topic.createdAt),
    firstEventAt: whole(topic.firstAt),
    lastEventAt: whole(topic.lastAt),
    endedAt: whole(end?.at),
    subscribers: 0,
    lag: undefined,
    source: source ?? null,
    filledBy,
    upstream: source === undefined || state === "ended"
      ? undefined
      : { state: state === "pending" ? "connecting" : "open" },
    end: end && {
      status: end.status,
      ...(end.reason !== undefined && { reason: end.reason }),
    },
    run: run && describeRun(storedRun(run), end?.at),
  };
}

function describeLive(topic: Topic): TopicDescription {
  const { state, log, run } = topic;
  const endedAt = state.kind === "ended" ? state.at : undefined;
  return {
    name: topic.name,
    state: state.kind,
    epoch: log.epoch,
    first: log.first,
    next: log.next,
    bytes: log.bytes,
    createdAt: Math.floor(log.createdAt),
    firstEventAt: whole(log.firstAt),
    lastEventAt: whole(log.lastAt),
    endedAt: whole(endedAt),
    subscribers: topic.followers,
    lag: topic.lag,
    source: topic.source ?? null,
    filledBy: topic.filledBy,
    upstream: upstreamOf(topic),
    end: state.kind === "ended" ? state.end : undefined,
    run: run && describeRun(run, endedAt),
  };
}

function describeRun(
  { askedAt, firstTokenAfter, retries, ...facts }: RunFacts,
  endedAt: number | undefined,
): RunDescription {
  return {
    askedAt: Math.floor(askedAt),
    ...facts,
    retries: retries?.map(({ at, reason }) => ({
      at: Math.floor(at),
      reason,
    })),
    firstTokenAfter: whole(firstTokenAfter),
    duration: whole(endedAt && Math.max(0, endedAt - askedAt)),
  };
}

/** Fractions of a millisecond say nothing. */
function whole(time: number | undefined): number | undefined {
  return time === undefined ? undefined : Math.floor(time);
}
