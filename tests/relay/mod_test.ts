import { assertEquals } from "@std/assert";
import * as api from "../../relay/mod.ts";
import type { Relay, Topic, TopicLog, TopicRegistry } from "../../relay/mod.ts";

/** The names of the members that an embedder sees. */
type Members<T> = Extract<keyof T, string>;

/** Refuses, when types are checked, names that are not those of all members. */
function assertMembers<T>(_names: Record<Members<T>, true>): void {}

Deno.test("The relay's module exports no class of the engine", () => {
  assertEquals(Object.keys(api).sort(), [
    "InvalidTopicNameError",
    "LeaseHeldError",
    "LeaseLostError",
    "RelayOptionsError",
    "RelayStartError",
    "StaleWriterError",
    "StoreError",
    "TopicBusyError",
    "TopicEndedError",
    "TopicLimitError",
    "createRelay",
  ]);
});

Deno.test("The relay's topics have no handles of the engine in their types", () => {
  const registry = {
    size: true,
    get: true,
    create: true,
    renew: true,
    delete: true,
  } as const;
  assertMembers<TopicRegistry>(registry);
  assertMembers<Relay["topics"]>(registry);
  assertMembers<TopicLog>({
    epoch: true,
    first: true,
    next: true,
    bytes: true,
    read: true,
  });
  assertMembers<Topic>({
    name: true,
    log: true,
    source: true,
    followers: true,
    state: true,
    upstream: true,
    ended: true,
    open: true,
    ready: true,
    append: true,
    end: true,
  });
  // Each of these is a mistake of an embedder that does not compile.
  ((topics: TopicRegistry, topic: Topic): void => {
    // @ts-expect-error a topic is awaited by subscribers alone
    topics.await("t");
    // @ts-expect-error subscriptions are counted by the engine
    topic.follow();
    // @ts-expect-error the source says it itself
    topic.source = "mine";
    // @ts-expect-error topics append: a log alone would tell nobody
    topic.log.append([]);
  });
});
