import type { FrameCache } from "../../delivery/frames.ts";
import type { Pump } from "../../delivery/pump.ts";
import type { Stays } from "../../delivery/stays.ts";
import type { Subscription } from "../../delivery/subscription.ts";
import type { SlowReaders, Subscriber } from "../../delivery/subscriber.ts";
import type { Watch } from "../../delivery/watch.ts";
import type { MemoryGuard } from "../../limits/memory/memory_guard.ts";
import type { ReceiveBudget } from "../../limits/memory/receive_budget.ts";
import type { SendBudget } from "../../limits/memory/send_budget.ts";
import type { MessageRatesOptions } from "../../limits/rate_limit.ts";
import type { Access, Authority, Right } from "../../rights/access.ts";
import type { Expiries } from "../../rights/expiries.ts";
import type { Publisher } from "../../sources/publish.ts";
import type { TopicRegistry } from "../../topics/registry.ts";
import type { Closing } from "./close_codes.ts";
import type { Prefixes } from "./prefixes.ts";
import type { Staying } from "../staying.ts";

/** The context that every WebSocket session shares. */
export interface SessionContext extends MessageRatesOptions {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** The readers that wait for the next epoch of their topic. */
  readonly stays: Stays;
  /** Wakes subscriptions that wait. */
  readonly pump: Pump;
  /** Joined frames. */
  readonly frames: FrameCache;
  /** Joined frames of mode `merge`. */
  readonly mergedFrames: FrameCache;
  /** Signs of life, to the peers and of them. */
  readonly heartbeat: Watch;
  /** The treatment of slow subscribers. Default: none. */
  readonly slow?: SlowReaders | undefined;
  /** The most subscriptions of one session. */
  readonly maxSubscriptions: number;
  /** The largest message of a client, in bytes. */
  readonly maxMessage: number;
  /** Whether an unknown topic can be waited for. */
  readonly awaitTopics: boolean;
  /** Counts a refusal, by its code. */
  refused(code: string): void;
  /** Tells sessions whose tokens expire. */
  readonly expiries: Expiries;
  /** Returns the rights of a new token's holder. */
  readonly authority: Authority;
  /** Counts the bytes that wait for peers. */
  readonly budget: SendBudget;
  /** Counts the bytes of messages that are not whole yet. */
  readonly received: ReceiveBudget;
  /** Refuses new work while there is little memory. */
  readonly memory: Pick<MemoryGuard, "refusal">;
  /** Adds what peers publish. */
  readonly publisher: Publisher;
}

/** The caller at the other end of a WebSocket. */
export interface WebSocketCaller {
  /** The rights of the caller. */
  readonly access: Access;
  /** The address of the caller. */
  readonly address: string;
  /** The name under which limits count the caller, where its token has none. */
  readonly network: string;
}

/** Further fields of an `error` message. */
export interface RefusalFacts {
  /** The id of the publication that is refused. */
  readonly id?: string | undefined;
  /** Whether the same might be taken later. Default: `false`. */
  readonly retryable?: boolean;
}

/** A WebSocket session, as the modules that serve its messages see it. */
export interface WebSocketPeer extends WebSocketCaller {
  /** The context that every session shares. */
  readonly context: SessionContext;
  /** The subscriptions of the peer. */
  readonly subscriber: Subscriber;
  /** The subscriptions that wait for the next epoch of their topic, if there ever was one. */
  readonly staying: Staying | undefined;
  /** The subscriptions to all topics whose names begin alike. */
  readonly prefixes: Prefixes;
  /** The topic in the URL of the socket: the session ends with it. */
  readonly ownTopic: string | undefined;
  /** Whether the peer can still be told anything. */
  readonly isOpen: boolean;
  /** Sends a message before any further events. */
  answer(message: Readonly<Record<string, unknown>>): void;
  /** Sends `error`, and counts the refusal. */
  refuse(
    code: string,
    message: string,
    topic?: string,
    facts?: RefusalFacts,
  ): void;
  /** Lets the peer do what a new token allows, and nothing else. */
  grant(access: Access): void;
  /** Has a subscription wait for the next epoch of its topic, whose end the peer has. */
  stay(subscription: Subscription): void;
  /** Closes the socket once the answers so far have gone out. */
  close(closing: Closing): void;
  /** Reads nothing more from the socket until {@linkcode release}; may be nested. */
  hold(): void;
  /** Takes one {@linkcode hold} back. */
  release(): void;
}

/**
 * Refuses new work while there is little memory.
 *
 * @returns Whether it was refused.
 */
export function refuseAtEdge(
  peer: WebSocketPeer,
  topic: string,
  id?: string,
): boolean {
  const problem = peer.context.memory.refusal();
  if (!problem) return false;
  const { code, message } = problem;
  peer.refuse(code, message, topic, { id, retryable: true });
  return true;
}

/** Refuses what the peer's token gives no right to. */
export function forbid(peer: WebSocketPeer, right: Right, topic: string): void {
  peer.refuse(
    "forbidden",
    `Expected a token with the right to ${right} this topic`,
    topic,
  );
}
