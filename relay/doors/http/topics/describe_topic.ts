import type { TopicEnd } from "../../../topics/end.ts";
import type {
  Topic,
  TopicState,
  UpstreamState,
} from "../../../topics/topic.ts";

/** A description of a topic. */
export interface TopicDescription {
  /** Its name. */
  readonly name: string;
  /** The state of the topic. */
  readonly state: TopicState["kind"];
  /** Its log. */
  readonly epoch: string;
  /** The offset that the next event will have. */
  readonly next: number;
  /** The number of subscriptions that follow the topic. */
  readonly subscribers: number;
  /** The source that fills the topic, in words; `null` if only requests do. */
  readonly source: string | null;
  /** The state of its upstream, while events may still come from one. */
  readonly upstream: UpstreamState | undefined;
  /** The end of the topic, if it has ended. */
  readonly end: TopicEnd | undefined;
}

/** Returns the state of a topic's upstream. A source whose first connection holds has told none. */
function upstreamOf(
  { source, state, upstream }: Topic,
): UpstreamState | undefined {
  if (state.kind === "ended" || source === undefined) return undefined;
  return upstream ??
    { state: state.kind === "pending" ? "connecting" : "open" };
}

/** Describes a topic to who asks for it (PROTOCOL.md, section 4). */
export function describeTopic(topic: Topic): TopicDescription {
  const { state } = topic;
  return {
    name: topic.name,
    state: state.kind,
    epoch: topic.log.epoch,
    next: topic.log.next,
    subscribers: topic.followers,
    source: topic.source ?? null,
    upstream: upstreamOf(topic),
    end: state.kind === "ended" ? state.end : undefined,
  };
}
