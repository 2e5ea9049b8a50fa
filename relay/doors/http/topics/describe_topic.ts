import type {
  Topic,
  TopicEnd,
  TopicState,
  UpstreamState,
} from "../../../topics/topic.ts";

/** What is told of a topic. */
export interface TopicDescription {
  /** Its name. */
  readonly name: string;
  /** Where it is in its life. */
  readonly state: TopicState["kind"];
  /** Its log. */
  readonly epoch: string;
  /** The offset that the next event will have. */
  readonly next: number;
  /** How many subscriptions follow it. */
  readonly subscribers: number;
  /** What fills it, in words; `null` for nothing but requests. */
  readonly source: string | null;
  /** How its upstream is, while something is to come of one. */
  readonly upstream: UpstreamState | undefined;
  /** How it ended, if it has. */
  readonly end: TopicEnd | undefined;
}

/** How the upstream of a topic is; a source whose first connection held has told nothing else. */
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
