import { deepEqual as assertEquals, ok as assert } from "node:assert/strict";
import {
  LeaseHeldError,
  LeaseLostError,
  type LeaseRequest,
} from "../topics/lease.ts";
import type { Log, LogProgress } from "../topics/log.ts";
import type { TopicNews } from "../topics/store.ts";
import {
  assertRejects,
  type Checks,
  findLog,
  message,
  NO_FACTS,
  readData,
  type StoreContractWorld,
  until,
  within,
} from "./contract_world.ts";

/** Takes from an iteration, for as long as a test may wait. */
class Taker<T> implements AsyncDisposable {
  readonly #abort = new AbortController();
  readonly #iterator: AsyncIterator<T>;

  constructor(start: (signal: AbortSignal) => AsyncIterable<T>) {
    this.#iterator = start(this.#abort.signal)[Symbol.asyncIterator]();
  }

  /** Takes the next one. */
  async next(): Promise<T> {
    const { done, value } = await within(
      this.#iterator.next(),
      "something to be told",
    );
    assert(!done, "expected to be told more");
    return value;
  }

  /** Takes up to one that fits. */
  async find(fits: (value: T) => boolean): Promise<T> {
    for (;;) {
      const value = await this.next();
      if (fits(value)) return value;
    }
  }

  /** Takes nothing more: the iteration is over. */
  async over(): Promise<void> {
    const { done } = await within(this.#iterator.next(), "the end");
    assert(done, "expected nothing more");
  }

  /** Aborts it, and returns what it throws while it waits. */
  async abort(reason: unknown): Promise<unknown> {
    const next = this.#iterator.next();
    this.#abort.abort(reason);
    try {
      await within(next, "it to be over");
    } catch (error) {
      return error;
    }
    throw new Error("expected it to throw");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#iterator.return?.();
  }
}

function follow(log: Log, from = 1): Taker<LogProgress> {
  return new Taker((signal) => log.follow(from, signal));
}

function hasReached(next: number): (progress: LogProgress) => boolean {
  return (progress) => progress.kind === "open" && progress.next >= next;
}

/** Adds the checks of what relays that share a store need of it. */
export function addSharingChecks(checks: Checks): void {
  checks.each(
    "tells a follower what others append, and the end",
    async (world) => {
      const { store } = world;
      using writer = store.create("a", NO_FACTS);
      await writer.append([message("1")]);
      using reader = await findLog(store, "a");
      await using following = follow(reader);
      await following.find(hasReached(2));
      assertEquals(await readData(reader), ["1"]);

      const next = following.find(hasReached(4));
      await writer.append([message("2"), message("3")]);
      await next;
      assertEquals(await readData(reader), ["1", "2", "3"]);

      const changed = following.find((progress) =>
        progress.kind === "open" && progress.facts.isOpen
      );
      await writer.update({ ...NO_FACTS, isOpen: true });
      await changed;

      const end = { status: "failed", isWhole: true, at: 7 } as const;
      const ended = following.find(({ kind }) => kind === "ended");
      await Promise.all([writer.append([message("4")]), writer.end(end)]);
      assertEquals(await ended, { kind: "ended", next: 5, end });
      await following.over();
    },
  );

  checks.each("tells a follower of holes as of events", async ({ store }) => {
    using log = store.create("a", NO_FACTS);
    if (!log.skip) return;
    await log.append([message("1")]);
    await using following = follow(log, 2);
    const next = following.find(hasReached(5));
    await log.skip(3, "evicted");
    await next;
  });

  checks.each(
    "has a follower wait that is ahead of the log",
    async ({ store }) => {
      using log = store.create("a", NO_FACTS);
      await log.append([message("1")]);
      await using following = follow(log, 3);
      const next = following.next();
      await log.append([message("2")]);
      await log.append([message("3")]);
      const progress = await next;
      assert(progress.kind === "open" && progress.next === 4);
    },
  );

  checks.each(
    "tells a follower of an end and of a deletion before",
    async (world) => {
      const { store, clock } = world;
      for (const name of ["ended", "deleted"]) {
        using log = store.create(name, NO_FACTS);
        await log.append([message("1")]);
        await using following = follow(log, 2);
        const told = following.next();
        if (name === "deleted") {
          await store.delete(name, log.epoch);
          assertEquals(await told, { kind: "deleted" });
        } else {
          const end = {
            status: "complete",
            isWhole: true,
            at: clock.now(),
          } as const;
          await log.end(end);
          assertEquals(await told, { kind: "ended", next: 2, end });
          await using late = follow(log, 1);
          assertEquals(await late.next(), { kind: "ended", next: 2, end });
        }
        await following.over();
      }
    },
  );

  checks.each(
    "tells a follower of an end that is kept though the topic is deleted with it",
    async ({ store, clock }) => {
      using log = store.create("a", NO_FACTS);
      await log.append([message("1")]);
      await using following = follow(log, 2);
      const told = following.next();
      const end = {
        status: "failed",
        isWhole: false,
        at: clock.now(),
      } as const;
      const ending = Promise.resolve(log.end(end));
      const isKept = ending.then(() => true, () => false);
      await store.delete("a", log.epoch);
      assertEquals(
        await told,
        await isKept ? { kind: "ended", next: 2, end } : { kind: "deleted" },
      );
      await following.over();
    },
  );

  checks.each(
    "makes a topic that was only asked for, once",
    async ({ store }) => {
      if (!store.prepare) return;
      await store.prepare("a", {});
      assertEquals(store.find("a"), undefined);
      const made = async () => {
        await store.prepare?.("a", { makes: true });
        using log = store.find("a");
        assert(log);
        assertEquals(log.facts.isAwaited, true);
        return log.epoch;
      };
      const [epoch, ...others] = await Promise.all([made(), made()]);
      assertEquals([...others, await made()], [epoch, epoch]);
    },
  );

  checks.each(
    "puts a value under a key for one of those who claim it",
    async ({ store, clock }) => {
      if (!store.claim) return;
      const expires = clock.now() + 60_000;
      const claim = (value: string, ...rest: [number, string?]) =>
        store.claim?.("bucket", "a key", value, ...rest);
      const both = await Promise.all([
        claim("one", expires),
        claim("other", expires),
      ]);
      const first = both[0] === undefined ? "one" : "other";
      assertEquals([...both].sort(), [first, undefined]);
      // Whoever gives up what another one has by now changes nothing.
      assertEquals(await claim("", 0, "neither"), first);
      assertEquals(await store.get("bucket", "a key"), first);
      assertEquals(await claim("next", expires, first), undefined);
      assertEquals(await claim("", 0, first), "next");
      assertEquals(await claim("", 0, "next"), undefined);
      assertEquals(await store.get("bucket", "a key"), undefined);
      assertEquals(await claim("last", expires), undefined);
    },
  );

  checks.each("stops telling when it is told to", async ({ store }) => {
    using log = store.create("a", NO_FACTS);
    await log.settled();
    const reason = new Error("enough");
    await using following = follow(log);
    assertEquals(await following.abort(reason), reason);
    await using watching = watch({ store }, "b");
    await watching.find(({ kind }) => kind === "current");
    assertEquals(await watching.abort(reason), reason);
  });

  checks.each(
    "tells a watcher the list, and then what changes",
    async (world) => {
      const { store } = world;
      for (const name of ["x:1", "x:2", "x:3", "y"]) {
        using log = store.create(name, NO_FACTS);
        await log.settled();
      }
      await using watching = watch(world, "x:", 2);
      assertEquals((await watching.next()).kind, "reset");
      const pages: string[][] = [];
      for (;;) {
        const news = await watching.next();
        if (news.kind !== "listed") {
          assertEquals(news.kind, "current");
          break;
        }
        pages.push(news.topics.map(({ name }) => name));
      }
      assertEquals(pages, [["x:1", "x:2"], ["x:3"]]);

      using other = store.create("z", NO_FACTS);
      using log = store.create("x:4", { isOpen: true, source: "s" });
      await Promise.all([other.settled(), log.settled()]);
      const made = await watching.next();
      assert(made.kind === "made");
      assertEquals(
        [made.topic.name, made.topic.epoch, made.topic.facts.source],
        ["x:4", log.epoch, "s"],
      );
      const end = { status: "failed", isWhole: false, at: 3 } as const;
      await Promise.all([log.append([message("a")]), log.end(end)]);
      const ended = await watching.next();
      assert(ended.kind === "ended");
      assertEquals([ended.topic.next, ended.topic.end], [2, end]);
      await store.delete("x:4", log.epoch);
      assertEquals(await watching.next(), { kind: "deleted", name: "x:4" });

      using again = store.create("x:4", NO_FACTS);
      await again.settled();
      const anew = await watching.next();
      assert(anew.kind === "made");
      assertEquals(anew.topic.epoch, again.epoch);
    },
  );

  checks.each("tells a watcher which log has a name", async (world) => {
    const { store, clock } = world;
    using first = store.create("a", NO_FACTS);
    await first.end({ status: "failed", isWhole: false, at: clock.now() });
    await using watching = watch(world, "");
    await watching.find(({ kind }) => kind === "current");
    using second = store.create("a", { ...NO_FACTS, follows: first.epoch });
    await second.settled();
    const made = await watching.next();
    assert(made.kind === "made");
    assertEquals(made.topic.epoch, second.epoch);
    await store.delete("a", second.epoch);
    const back = await watching.next();
    assert(back.kind === "ended");
    assertEquals(back.topic.epoch, first.epoch);
    assertEquals(back.topic.end?.status, "failed");
    using third = store.create("a", { ...NO_FACTS, follows: first.epoch });
    await third.settled();
    await watching.find(({ kind }) => kind === "made");
    // A former log is in no list: nothing is told of it.
    await store.delete("a", first.epoch);
    await store.delete("a", third.epoch);
    assertEquals(await watching.next(), { kind: "deleted", name: "a" });
  });

  checks.each("tells a watcher what is deleted as too old", async (world) => {
    const { store } = world;
    using log = store.create("a", NO_FACTS);
    await log.end({ status: "complete", isWhole: true, at: 1 });
    await using watching = watch(world, "");
    await watching.find(({ kind }) => kind === "current");
    // The end may be told once more, as it was in the list already.
    const deleted = watching.find(({ kind }) => kind === "deleted");
    await store.deleteEnded(2);
    assertEquals(await deleted, { kind: "deleted", name: "a" });
  });

  checks.each(
    "lets one holder at a time fill a topic",
    async ({ store, clock }) => {
      using log = store.create("a", NO_FACTS);
      await log.settled();
      const first = await store.hold(request(log, "first"));
      assertEquals(first.expires, clock.now() + 1_000);
      for (const holder of ["second", "first"]) {
        const error = await assertRejects(
          async () => await store.hold(request(log, holder)),
          LeaseHeldError,
        );
        assertEquals([error.topic, error.holder], ["a", "first"]);
      }
      await store.hold({ ...request(log, "second"), part: "p" });
      await store.hold({ ...request(log, "second"), epoch: "another1" });

      await clock.advance(999);
      await first.renew();
      await clock.advance(999);
      await assertRejects(
        async () => await store.hold(request(log, "second")),
        LeaseHeldError,
      );
      await first.release();
      const second = await store.hold(request(log, "second"));
      await first.release();
      await assertRejects(
        async () => await store.hold(request(log, "third")),
        LeaseHeldError,
      );
      await second.release();
    },
  );

  checks.each("gives an expired lease to whoever comes", async (world) => {
    const { store, clock } = world;
    using log = store.create("a", NO_FACTS);
    using other = await findLog(store, "a");
    const lease = await store.hold(request(log, "first"));
    await log.append([message("1")], { lease });
    await clock.advance(1_000);
    // It was late, and nobody has minded.
    await lease.renew();
    await log.append([message("2")], { lease });
    await clock.advance(1_000);
    const taken = await store.hold(request(log, "second"));
    await assertRejects(async () => await lease.renew(), LeaseLostError);
    const error = await assertRejects(
      async () => await log.append([message("x")], { lease }),
      LeaseLostError,
    );
    assertEquals(error.topic, "a");
    await other.append([message("3")], { lease: taken, expected: 3 });
    await lease.release();
    await taken.renew();
    assertEquals(await readData(other), ["1", "2", "3"]);
  });

  checks.each(
    "takes no end of a holder whose lease has gone",
    async (world) => {
      const { store, clock } = world;
      const end = { status: "truncated", isWhole: false } as const;
      using log = store.create("a", NO_FACTS);
      using other = await findLog(store, "a");
      const lease = await store.hold(request(log, "first"));
      await log.append([message("1")], { lease });
      await clock.advance(1_000);
      const taken = await store.hold(request(log, "second"));
      const error = await assertRejects(
        async () => await log.end({ ...end, at: 1 }, { lease }),
        LeaseLostError,
      );
      assertEquals(error.topic, "a");
      await other.append([message("2")], { lease: taken, expected: 2 });
      assertEquals(other.ended, undefined);
      const complete = { status: "complete", isWhole: true, at: 2 } as const;
      await other.end(complete, { lease: taken });
      // An end that was kept stands, whoever comes then.
      await log.end({ ...end, at: 3 }, { lease });
      assertEquals([other.ended, await readData(other)], [complete, [
        "1",
        "2",
      ]]);
      await taken.release();
    },
  );

  checks.each(
    "takes no facts of a holder whose lease has gone",
    async (world) => {
      const { store, clock } = world;
      const facts = (source: string) => ({ ...NO_FACTS, source });
      using log = store.create("a", NO_FACTS);
      using other = await findLog(store, "a");
      const lease = await store.hold(request(log, "first"));
      await log.update(facts("first"), { lease });
      await clock.advance(1_000);
      const taken = await store.hold(request(log, "second"));
      await other.update(facts("second"), { lease: taken });
      const error = await assertRejects(
        async () => await log.update(facts("late"), { lease }),
        LeaseLostError,
      );
      assertEquals(error.topic, "a");
      assertEquals(other.facts.source, "second");
      // Those of nobody need no lease.
      await other.update(facts("anybody"));
      assertEquals(other.facts.source, "anybody");
      await taken.release();
    },
  );

  checks.each(
    "takes an end without a lease from anybody",
    async ({ store }) => {
      using log = store.create("a", NO_FACTS);
      const lease = await store.hold(request(log, "first"));
      await log.append([message("1")], { lease });
      using other = await findLog(store, "a");
      await other.end({ status: "cancelled", isWhole: false, at: 1 });
      assertEquals(other.ended?.status, "cancelled");
      await lease.release();
    },
  );

  checks.each("has the holder of a topic stop", async ({ store }) => {
    using log = store.create("a", NO_FACTS);
    await log.settled();
    const cancel = () => store.cancel("a", log.epoch, "No more of it");
    assertEquals(await cancel(), "unheld");
    const stopped = Promise.withResolvers<void>();
    const heard: (string | undefined)[] = [];
    const lease = await store.hold({
      ...request(log, "first"),
      onCancel: async (reason) => {
        heard.push(reason);
        await stopped.promise;
      },
    });
    let answer: string | undefined;
    const answered = (async () => answer = await cancel())();
    await until(() => heard.length > 0, "the cancel");
    assertEquals(heard, ["No more of it"]);
    assertEquals(answer, undefined, "the holder has not stopped yet");
    stopped.resolve();
    assertEquals(await answered, "stopped");
    await lease.release();
    assertEquals(await cancel(), "unheld");
  });

  checks.each("does not wait for a holder that is no more", async (world) => {
    const { store, clock } = world;
    using log = store.create("a", NO_FACTS);
    await log.settled();
    const never = new Promise<void>(() => {});
    const cancel = () => store.cancel("a", log.epoch, undefined);
    const lease = await store.hold({
      ...request(log, "first"),
      onCancel: () => never,
    });
    const answered = Promise.resolve(cancel());
    await clock.advance(500);
    await lease.renew();
    await clock.advance(999);
    let isAnswered = false;
    void answered.then(() => isAnswered = true);
    await clock.advance(0);
    assertEquals(isAnswered, false, "it was renewed");
    await clock.advance(1);
    assertEquals(await within(answered, "an answer"), "unheld");
    assertEquals(await cancel(), "unheld");
  });

  function watch(
    { store }: Pick<StoreContractWorld, "store">,
    prefix: string,
    limit = 10,
  ): Taker<TopicNews> {
    return new Taker((signal) => store.watch({ prefix, limit }, signal));
  }
}

function request(log: Log, holder: string): LeaseRequest {
  return {
    topic: "a",
    epoch: log.epoch,
    holder,
    ttl: 1_000,
    onCancel: async () => {},
  };
}
