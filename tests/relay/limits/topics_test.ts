// The limits for topics, in all and of one token.
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { TopicRegistry } from "../../../relay/topics/registry.ts";
import { TopicLimitError } from "../../../relay/topics/topic_errors.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { propertyParameters } from "../../support/property.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { SECRET, signToken } from "../../support/rights/signed_token.ts";

const AWAITED_TTL = 60_000;
const ENDED_TTL = 600_000;

function make(
  limits: { maxTopics?: number; maxTopicsPerToken?: number },
  clock = new FakeClock(),
): TopicRegistry {
  return new TopicRegistry({
    store: new MemoryStore(DEFAULT_RETENTION, clock),
    endedTtl: ENDED_TTL,
    awaitedTtl: AWAITED_TTL,
    clock,
    ...limits,
  });
}

function names(topics: TopicRegistry): string[] {
  return Array.from(topics, ({ name }) => name);
}

function assertRefused(
  act: () => unknown,
  code: TopicLimitError["code"],
): void {
  assertEquals(assertThrows(act, TopicLimitError).code, code);
}

Deno.test("TopicRegistry has as many topics as it may, and no more", () => {
  using topics = make({ maxTopics: 2 });
  topics.create("a");
  topics.create("b");
  assertRefused(() => topics.create("c"), "too_many_topics");
  assertRefused(() => topics.await("c"), "too_many_topics");
  assertEquals(topics.create("a"), topics.await("a"), "it is there already");
  topics.delete("a");
  topics.create("c");
  assertEquals(names(topics), ["b", "c"]);
  assertEquals(topics.size, 2);
});

Deno.test("TopicRegistry has as many topics of one owner as it may, and no more", () => {
  using topics = make({ maxTopicsPerToken: 2 });
  const code = "too_many_topics_of_token";
  topics.create("a", "ann");
  topics.create("b", "ann");
  assertRefused(() => topics.create("c", "ann"), code);
  assertRefused(() => topics.await("c", "ann"), code);
  for (const other of ["x", "y"]) topics.create(other, "bob");
  for (const nobodys of ["1", "2", "3"]) topics.create(nobodys);
  for (const nobodys of ["4", "5", "6"]) topics.create(nobodys, "");
  topics.delete("b");
  topics.create("c", "ann");
  assertRefused(() => topics.create("d", "ann"), code);
});

Deno.test("TopicRegistry counts a topic of an owner until it is forgotten", async () => {
  const clock = new FakeClock();
  using topics = make({ maxTopics: 9, maxTopicsPerToken: 1 }, clock);
  const code = "too_many_topics_of_token";
  topics.create("a", "ann").end("complete");
  assertRefused(() => topics.create("b", "ann"), code);
  await clock.advance(ENDED_TTL + 1_000);
  topics.await("b", "ann").follow();
  assertRefused(() => topics.create("c", "ann"), code);
  topics.get("b")?.unfollow();
  await clock.advance(AWAITED_TTL + 1_000);
  topics.create("c", "ann");
});

Deno.test("TopicRegistry gives up the oldest topic that was only asked for before it refuses one", () => {
  using topics = make({ maxTopics: 4 });
  topics.create("made");
  topics.await("followed").follow();
  topics.await("old");
  topics.await("young");
  topics.create("new");
  assertEquals(names(topics), ["made", "followed", "young", "new"]);
  topics.await("newer");
  assertEquals(names(topics), ["made", "followed", "new", "newer"]);
  topics.create("newer");
  assertRefused(() => topics.await("last"), "too_many_topics");
  topics.get("followed")?.unfollow();
  topics.await("last");
  assertEquals(names(topics), ["made", "new", "newer", "last"]);
});

Deno.test("TopicRegistry gives up no topic that was asked for and has something to read", () => {
  using topics = make({ maxTopics: 1 });
  topics.await("a").append([{ event: "message", data: "a", id: "" }]);
  assertRefused(() => topics.create("b"), "too_many_topics");
  topics.delete("a");
  topics.await("a").end("cancelled");
  assertRefused(() => topics.create("b"), "too_many_topics");
});

Deno.test("TopicRegistry gives up an owner's own topic for another of it", () => {
  using topics = make({ maxTopicsPerToken: 2 });
  topics.await("bobs", "bob");
  topics.create("a", "ann");
  topics.await("b", "ann");
  topics.create("c", "ann");
  assertEquals(names(topics), ["bobs", "a", "c"]);
});

Deno.test("TopicRegistry makes a topic theirs who fill it", () => {
  using topics = make({ maxTopicsPerToken: 1 });
  const code = "too_many_topics_of_token";
  topics.await("a", "ann").follow();
  topics.create("a", "bob");
  topics.create("b", "ann");
  assertRefused(() => topics.create("c", "bob"), code);
  topics.await("c", "carl").follow();
  assertRefused(() => topics.create("c", "bob"), code);
  // It is still what it was.
  assertRefused(() => topics.create("d", "carl"), code);
  assertEquals(topics.isAwaited(topics.await("c")), true);
  topics.create("a", "ann");
  assertRefused(() => topics.create("d", "bob"), code);
});

Deno.test("TopicRegistry does not count what is released after it was deleted", () => {
  using topics = make({ maxTopics: 1 });
  const gone = topics.create("a");
  topics.delete("a");
  topics.release(gone);
  assertEquals(topics.isAwaited(gone), false);
  topics.create("a");
  topics.release(gone);
  assertRefused(() => topics.create("b"), "too_many_topics");
});

const OWNERS = ["", "ann", "bob"];
const NAMES = ["a", "b", "c", "d", "e", "f"];
const MAX = 4;
const MAX_OWNED = 2;

/** The facts of a topic that follow from the commands done. */
interface Known {
  owner: string;
  awaited: boolean;
  followers: number;
  state: "pending" | "open" | "ended";
  /** The time at which it may be forgotten. */
  due: number;
}

/** The rules, said another way: everything is counted anew each time. */
class Model {
  readonly topics = new Map<string, Known>();
  /** Those that are awaited, the first one to be so at the front. */
  #awaited: string[] = [];

  get awaited(): string[] {
    return this.#awaited;
  }

  forget(name: string): void {
    this.topics.delete(name);
    this.#awaited = this.#awaited.filter((other) => other !== name);
  }

  #evict(isWanted: (known: Known) => boolean): boolean {
    const name = this.#awaited.find((name) => {
      const known = this.topics.get(name)!; // what is awaited is known
      return known.followers === 0 && known.state === "pending" &&
        isWanted(known);
    });
    if (name !== undefined) this.forget(name);
    return name !== undefined;
  }

  #owned(owner: string): number {
    return [...this.topics.values()]
      .filter((known) => known.owner === owner).length;
  }

  /** Makes room for one more; returns whether there is. */
  #room(owner: string, isNew: boolean): string | undefined {
    if (
      owner !== "" && this.#owned(owner) >= MAX_OWNED &&
      !this.#evict((known) => known.owner === owner)
    ) return "too_many_topics_of_token";
    if (isNew && this.topics.size >= MAX && !this.#evict(() => true)) {
      return "too_many_topics";
    }
    return undefined;
  }

  get(name: string, owner: string, awaits: boolean, now: number) {
    const known = this.topics.get(name);
    if (known && (awaits || !known.awaited)) return undefined;
    if (!known || known.owner !== owner) {
      const refused = this.#room(owner, !known);
      if (refused) return refused;
    }
    if (awaits) this.#awaited.push(name);
    else this.#awaited = this.#awaited.filter((other) => other !== name);
    if (known) Object.assign(known, { owner, awaited: false });
    else {
      this.topics.set(name, {
        owner,
        awaited: awaits,
        followers: 0,
        state: "pending",
        due: now + AWAITED_TTL,
      });
    }
    return undefined;
  }

  release(name: string): void {
    const known = this.topics.get(name);
    if (!known || known.state !== "pending") return;
    known.awaited = true;
    if (!this.#awaited.includes(name)) this.#awaited.push(name);
  }
}

const step = fc.record({
  act: fc.constantFrom(
    "create",
    "create",
    "await",
    "await",
    "release",
    "delete",
    "follow",
    "unfollow",
    "append",
    "end",
    "pass",
  ),
  name: fc.constantFrom(...NAMES),
  owner: fc.constantFrom(...OWNERS),
});

Deno.test("TopicRegistry counts as a model does that counts anew each time", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      async (steps) => {
        const clock = new FakeClock();
        using topics = make(
          { maxTopics: MAX, maxTopicsPerToken: MAX_OWNED },
          clock,
        );
        const model = new Model();
        for (const { act, name, owner } of steps) {
          const topic = topics.get(name);
          const known = model.topics.get(name);
          const now = clock.now();
          switch (act) {
            case "create":
            case "await": {
              const expected = model.get(name, owner, act === "await", now);
              let code: string | undefined;
              try {
                topics[act](name, owner);
              } catch (error) {
                if (!(error instanceof TopicLimitError)) throw error;
                code = error.code;
              }
              assertEquals(code, expected);
              break;
            }
            case "release":
              if (topic) topics.release(topic);
              model.release(name);
              break;
            case "delete":
              topics.delete(name);
              model.forget(name);
              break;
            case "follow":
              topic?.follow();
              if (known) known.followers++;
              break;
            case "unfollow":
              if (!topic || !known || known.followers === 0) break;
              topic.unfollow();
              known.followers--;
              if (known.state === "pending") known.due = now + AWAITED_TTL;
              break;
            case "append":
              if (!topic || !known || known.state === "ended") break;
              topic.append([{ event: "message", data: "", id: "" }]);
              known.state = "open";
              break;
            case "end":
              if (!topic || !known || known.state === "ended") break;
              topic.end("complete");
              known.state = "ended";
              known.due = now + ENDED_TTL;
              break;
            case "pass": {
              // Long enough for what is awaited; the sweep is a second late at most.
              await clock.advance(AWAITED_TTL + 1_000);
              for (const [name, known] of model.topics) {
                const { state, awaited, followers, due } = known;
                const isIdle = state === "pending" && awaited &&
                  followers === 0;
                const isOver = state === "ended" || isIdle;
                if (isOver && due <= clock.now() - 1_000) model.forget(name);
              }
              break;
            }
          }
          const [real, wanted] = [names(topics), [...model.topics.keys()]];
          assertEquals(real.sort(), wanted.sort());
          for (const topic of topics) {
            const { awaited } = model.topics.get(topic.name)!; // just compared
            assertEquals(topics.isAwaited(topic), awaited, topic.name);
          }
        }
      },
    ),
    propertyParameters(300),
  );
});

Deno.test("Relay refuses a topic too many at each door, and has room again", async () => {
  await using relay = await startRelay({ limits: { maxTopics: 2 } });
  const { topics } = relay.relay;
  topics.create("a");
  topics.create("b");
  const json = { "Content-Type": "application/json" };
  const requests: [string, RequestInit][] = [
    ["/topics/c", { method: "PUT" }],
    ["/topics/c", { method: "POST", headers: json, body: '{"data":"x"}' }],
    ["/topics/c", { headers: { Accept: "text/event-stream" } }],
  ];
  for (const [path, init] of requests) {
    const response = await relay.request(path, init);
    const { code } = await response.json();
    assertEquals([response.status, code], [503, "too_many_topics"]);
    assertEquals(response.headers.get("retry-after"), "5");
  }
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.say({ type: "subscribe", topic: "c" });
  const error = await socket.message("error");
  assertEquals(
    [error["code"], error["topic"], error["retryable"]],
    ["too_many_topics", "c", true],
  );
  await socket.say({ type: "publish", topic: "c", events: [{ data: "x" }] });
  assertEquals((await socket.message("error"))["code"], "too_many_topics");
  topics.delete("a");
  await socket.say({ type: "publish", topic: "c", events: [{ data: "x" }] });
  assertEquals((await socket.message("published"))["first"], 1);
});

Deno.test("Relay refuses a topic too many of a subject, whichever token it comes with", async () => {
  await using relay = await startRelay({
    rights: { jwtKey: SECRET },
    limits: { maxTopicsPerToken: 1 },
  });
  let tokens = 0;
  const ask = async (
    sub: string,
    method: string,
    topic: string,
  ): Promise<[number, string | undefined]> => {
    const exp = Math.ceil(Date.now() / 1_000) + 3_600 + tokens++;
    const rivulet = { read: ["*"], write: ["*"] };
    const response = await relay.request(`/topics/${topic}`, {
      method,
      headers: {
        Authorization: `Bearer ${signToken({ sub, exp, rivulet })}`,
      },
    });
    const text = await response.text();
    return [response.status, text === "" ? undefined : JSON.parse(text).code];
  };
  const refused: [number, string] = [429, "too_many_topics_of_token"];
  assertEquals(await ask("ann", "PUT", "a"), [201, undefined]);
  assertEquals(await ask("ann", "PUT", "b"), refused);
  assertEquals(await ask("ann", "PUT", "a"), [200, undefined]);
  assertEquals(await ask("bob", "PUT", "b"), [201, undefined]);
  assertEquals(await ask("bob", "DELETE", "a"), [204, undefined]);
  assertEquals(await ask("ann", "PUT", "c"), [201, undefined]);
});
