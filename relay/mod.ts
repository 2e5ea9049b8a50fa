/**
 * The relay, to embed in a program: a server that turns event streams into topics.
 * Any number of subscribers follow a topic.
 *
 * {@linkcode createRelay} makes a relay. SSE upstreams (`sources`), recorded
 * streams (`fixtures`), model providers (`gateway`) and publishers fill its
 * topics. The program can fill them too, through `relay.topics`. Subscribers follow
 * a topic over WebSocket or SSE from any retained position, and learn how it
 * ended. PROTOCOL.md in the repository describes the protocol. The subscriber's
 * library is `./client`.
 *
 * Without a key, a relay listens on loopback only. Topics are in memory, unless
 * `store` names another place. To run a relay without a program, use `./cli`.
 *
 * @example Fill a topic and read it
 * ```ts
 * import { subscribe } from "@rivulet/rivulet/client";
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 *
 * const topic = relay.topics.create("builds");
 * topic.append([{ data: "lint" }]);
 * topic.end("complete");
 *
 * const seen: string[] = [];
 * for await (const message of subscribe(`${url}/topics/builds`)) {
 *   if (message.type === "event") seen.push(message.data);
 * }
 * assertEquals(seen, ["lint"]);
 * ```
 *
 * @module
 */
export { createRelay } from "./relay.ts";
export type { Relay, RelayAddress } from "./relay.ts";
export type * from "./options/relay_options.ts";
export type { SourceReconnect } from "./sources/source_reconnect.ts";
export type { EndStatus, StoredEnd, TopicEnd } from "./topics/end.ts";
export { LeaseHeldError, LeaseLostError } from "./topics/lease.ts";
export type { CancelAnswer, Lease, LeaseRequest } from "./topics/lease.ts";
export type {
  Appended,
  AppendedPublication,
  GapReason,
  Hole,
  Log,
  LogAppendOptions,
  LogEndOptions,
  LogEntry,
  LogProgress,
  LogRange,
  LogUpdateOptions,
  ReadBudget,
  Retention,
  TopicFacts,
  TopicLog,
} from "./topics/log.ts";
export type {
  RunCaller,
  RunFacts,
  RunRetry,
  RunUsage,
} from "./topics/run_facts.ts";
export type {
  RelayLoopDelay,
  RelayStatus,
  RelayTotals,
} from "./status/relay_status.ts";
export {
  InvalidTopicNameError,
  TopicLimitError,
} from "./topics/topic_errors.ts";
export { StaleWriterError, StoreError } from "./topics/store.ts";
export type {
  ListQuery,
  LogName,
  PrepareOptions,
  Store,
  StoredTopic,
  StoreFailure,
  TopicNews,
  WatchQuery,
} from "./topics/store.ts";
export type { Stored } from "./topics/stored.ts";
export type { Topic, TopicRegistry } from "./topics/surface.ts";
export type {
  RunDescription,
  TopicDescription,
} from "./topics/topic_description.ts";
export { TopicBusyError } from "./topics/topic_busy_error.ts";
export type { FilledBy } from "./topics/topic_source.ts";
export { TopicEndedError } from "./topics/topic.ts";
export type { EventInput, TopicState } from "./topics/topic.ts";
export type { UpstreamState } from "./topics/upstream_state.ts";
export { RelayOptionsError, RelayStartError } from "./wiring/relay_errors.ts";
export type { Clock } from "../src/fetch/clock.ts";
export type { ServerSentEvent } from "../src/sse/event.ts";
