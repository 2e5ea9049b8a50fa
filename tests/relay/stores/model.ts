import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import { LeaseLostError } from "../../../relay/topics/lease.ts";
import { StaleWriterError } from "../../../relay/topics/store.ts";
import type { Log, Retention } from "../../../relay/topics/log.ts";
import type { Store } from "../../../relay/topics/store.ts";
import { propertyParameters } from "../../support/property.ts";
import {
  assertRejects,
  findLog,
  message,
  NO_FACTS,
  readAll,
  type StoreContractOptions,
  type StoreContractWorld,
} from "../../../relay/testing/contract_world.ts";
import { ModelFollower, ModelLeases, ModelWatcher } from "./model_sharing.ts";
import { ReferenceStore, type ReferenceTopic } from "./reference_store.ts";

const name = fc.constantFrom("a", "b");
const count = fc.integer({ min: 1, max: 5 });

/** The commands for a store. */
const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant("create"), name }) },
  {
    weight: 12,
    arbitrary: fc.record({
      does: fc.constant("append"),
      name,
      count: fc.oneof(count, fc.integer({ min: 1, max: 700 })),
      size: fc.oneof(count, fc.integer({ min: 0, max: 300 })),
      key: fc.option(fc.constantFrom("k", "l")),
      before: fc.constantFrom("any", "right", "wrong"),
      isHeld: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ does: fc.constant("skip"), name, count }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("end"), name }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("update"), name }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("delete"), name }) },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant("deleteFormer"), count }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("deleteEnded") }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("put"), count }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("pass"), count }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("check"), count }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("release") }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("reopen") }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("rest") }) },
  {
    weight: 3,
    arbitrary: fc.record({ does: fc.constant("follow"), name, count }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant("watch"), name, count }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constantFrom("hold", "cancel"),
      name,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ does: fc.constantFrom("renew", "giveUp"), count }),
  },
) as fc.Arbitrary<Command>; // the kinds of it are below

type Command =
  | {
    readonly does: "create" | "end" | "update" | "delete" | "hold" | "cancel";
    readonly name: string;
  }
  | {
    readonly does: "append";
    readonly name: string;
    readonly count: number;
    readonly size: number;
    readonly key: string | null;
    /** The value that the publication expects of its key: none, the one that it has, or another. */
    readonly before: "any" | "right" | "wrong";
    /** Whether it is with the lease that was given last, if one was. */
    readonly isHeld: boolean;
  }
  | {
    readonly does: "skip" | "follow" | "watch";
    readonly name: string;
    readonly count: number;
  }
  | {
    readonly does:
      | "put"
      | "pass"
      | "check"
      | "deleteFormer"
      | "renew"
      | "giveUp";
    readonly count: number;
  }
  | { readonly does: "deleteEnded" | "release" | "reopen" | "rest" };

/** The most who follow at a time, and who watch. */
const LISTENERS = 6;

const retention = fc.record({
  maxEvents: fc.constantFrom(3, 8, 1_000, Infinity),
  maxBytes: fc.constantFrom(200, 20_000, Infinity),
  maxAge: fc.constantFrom(20, Infinity),
});

/** A store and its reference, and what is under way between them. */
class Run implements AsyncDisposable {
  readonly #world: StoreContractWorld;
  readonly #reference: ReferenceStore;
  readonly #logs = new Map<string, Log>();
  readonly #underWay: Promise<unknown>[] = [];
  readonly #leases: ModelLeases;
  #listeners: (ModelFollower | ModelWatcher)[] = [];
  #number = 0;

  constructor(world: StoreContractWorld, retention: Retention) {
    this.#world = world;
    this.#reference = new ReferenceStore(retention);
    this.#leases = new ModelLeases(world);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leave();
  }

  /** Nobody listens any more. */
  async #leave(): Promise<void> {
    for (const listener of this.#listeners.splice(0)) {
      await listener[Symbol.asyncDispose]();
    }
  }

  get #store(): Store {
    return this.#world.store;
  }

  async do(command: Command): Promise<void> {
    const reference = this.#reference;
    const { clock } = this.#world;
    const topic = "name" in command
      ? reference.topics.get(command.name)
      : undefined;
    switch (command.does) {
      case "create": {
        const { name } = command;
        if (topic && !topic.end) return;
        if (topic) await this.#settle();
        const log = this.#store.create(name, {
          ...NO_FACTS,
          ...(topic && { follows: topic.epoch }),
        });
        reference.create(name, log.epoch);
        this.#logs.set(name, log);
        return;
      }
      case "append": {
        if (!topic || topic.end) return;
        const { count, size, key, before } = command;
        const data = Array.from(
          { length: count },
          () => `${++this.#number}`.padEnd(size, "x"),
        );
        const value = `${this.#number}`;
        const log = await this.#log(command.name);
        const first = topic.offsets.length + 1;
        const expected = key === null ? undefined : topic.publications.get(key);
        const publication = key === null ? undefined : {
          key,
          value,
          ...(before !== "any" && {
            before: { value: before === "right" ? expected : "another" },
          }),
        };
        const held = command.isHeld
          ? this.#leases.last(command.name, topic.epoch)
          : null;
        const lease = held?.lease;
        if (held?.isHeld === false) {
          await assertRejects(
            async () => await log.append(data.map(message), { lease }),
            LeaseLostError,
          );
          return;
        }
        // A key that the log does not know may have any value.
        if (before === "wrong" && expected !== undefined) {
          await this.#settle();
          await assertRejects(
            async () =>
              await log.append(data.map(message), { publication, lease }),
            StaleWriterError,
          );
          return;
        }
        this.#await((async () => {
          const appended = await log.append(data.map(message), {
            publication,
            lease,
          });
          assertEquals([appended.first, appended.count], [first, count]);
        })());
        const time = clock.now();
        reference.append(
          topic,
          data.map((data) => ({ data, size: 7 + data.length, time })),
        );
        if (key !== null) topic.publications.set(key, value);
        return;
      }
      case "skip": {
        if (!topic || topic.end) return;
        const log = await this.#log(command.name);
        if (!log.skip) return;
        this.#await(log.skip(command.count, "evicted"));
        reference.skip(topic, command.count, "evicted");
        return;
      }
      case "end": {
        if (!topic) return;
        const log = await this.#log(command.name);
        const at = clock.now();
        this.#await(log.end({ status: "failed", isWhole: false, at }));
        topic.end ??= { status: "failed", isWhole: false, at };
        return;
      }
      case "update": {
        if (!topic) return;
        const log = await this.#log(command.name);
        const { follows } = topic.facts;
        topic.facts = {
          isOpen: true,
          filling: `${++this.#number}`,
          ...(follows !== undefined && { follows }),
        };
        this.#await(log.update(topic.facts));
        return;
      }
      case "delete": {
        if (!topic) return;
        const { epoch } = await this.#log(command.name);
        await this.#store.delete(command.name, epoch);
        reference.delete(command.name);
        this.#logs.delete(command.name);
        return;
      }
      case "deleteFormer": {
        const [key, former] = [...reference.former][command.count - 1] ?? [];
        if (key === undefined || !former) return;
        await this.#store.delete(key.split(" ")[0]!, former.epoch);
        reference.former.delete(key);
        return;
      }
      case "deleteEnded": {
        await this.#settle();
        // No topic ends at this time.
        const before = clock.now() - 9.5;
        await this.#store.deleteEnded(before);
        const ended = [...reference.topics].filter(([, { end }]) =>
          end && end.at < before
        ).map(([name]) => name);
        for (const name of ended) {
          reference.topics.delete(name);
          this.#logs.delete(name);
        }
        // An epoch ends before the next one begins.
        for (const [key, { end }] of reference.former) {
          if (end && end.at < before) reference.former.delete(key);
        }
        return;
      }
      case "put": {
        const value = `${++this.#number}`;
        const expires = clock.now() + command.count * 10;
        await this.#store.put("bucket", "key", value, expires);
        reference.values.set("key", { value, expires });
        return;
      }
      case "pass":
        await this.#settle();
        await clock.advance(command.count * 10);
        for (const [name, topic] of reference.topics) {
          const log = await this.#log(name);
          log.trim();
          await log.settled();
          reference.trim(topic, clock.now());
        }
        for (const [key, topic] of reference.former) {
          using log = await this.#former(key, topic);
          log.trim();
          await log.settled();
          reference.trim(topic, clock.now());
        }
        return;
      case "release":
        await this.#settle();
        for (const log of this.#logs.values()) log[Symbol.dispose]();
        this.#logs.clear();
        return;
      case "rest":
        // Now and then a store tidies up, also in topics that rest.
        await this.#settle();
        await clock.advance(11_000);
        return await this.do({ does: "pass", count: 1 });
      case "follow": {
        if (!topic || this.#listeners.length >= LISTENERS) return;
        await this.#settle();
        const next = topic.offsets.length + 1;
        const from = Math.max(next + 2 - command.count, 1);
        const log = await findLog(this.#store, command.name);
        const follower = new ModelFollower(log, topic, from);
        this.#listeners.push(follower);
        return follower.start();
      }
      case "watch": {
        if (this.#listeners.length >= LISTENERS) return;
        const { name, count } = command;
        const prefix = count > 3 ? "" : name;
        const watcher = new ModelWatcher(this.#store, prefix, count);
        this.#listeners.push(watcher);
        return watcher.start();
      }
      case "hold":
        return topic && await this.#leases.hold(command.name, topic.epoch);
      case "cancel":
        return topic && await this.#leases.cancel(command.name, topic.epoch);
      case "renew":
        return await this.#leases.renew(command.count);
      case "giveUp":
        return await this.#leases.release(command.count);
      case "reopen":
        await this.#settle();
        await this.#leave();
        await this.#leases.forget();
        this.#logs.clear();
        await this.#world.reopen?.();
        return;
      case "check":
        return await this.check(command.count);
    }
  }

  /** Compares all that there is. */
  async check(events: number): Promise<void> {
    await this.#settle();
    const { topics, values } = this.#reference;
    const list = await this.#store.list({ after: "", prefix: "", limit: 10 });
    assertEquals(list.map(({ name }) => name), [...topics.keys()].sort());
    const unended = await this.#store.listUnended(
      { after: "", prefix: "", limit: 10 },
    );
    assertEquals(
      unended.map(({ name }) => name),
      [...topics].filter(([, { end }]) => !end).map(([name]) => name).sort(),
    );
    for (const topic of list) {
      const log = await this.#log(topic.name);
      assertEquals(
        [topic.epoch, topic.first, topic.next, topic.bytes, topic.createdAt],
        [log.epoch, log.first, log.next, log.bytes, log.createdAt],
      );
      const expected = topics.get(topic.name);
      assert(expected);
      await this.#compare(log, expected, events);
    }
    for (const [key, topic] of this.#reference.former) {
      using log = await this.#former(key, topic);
      await this.#compare(log, topic, events);
    }
    for (const listener of this.#listeners) {
      await listener.check(this.#reference);
    }
    assertEquals(await this.#store.find("a", "no-such-epoch"), undefined);
    const kept = values.get("key");
    const isKept = kept && kept.expires > this.#world.clock.now();
    assertEquals(
      await this.#store.get("bucket", "key"),
      isKept ? kept.value : undefined,
    );
  }

  async #compare(
    log: Log,
    topic: ReferenceTopic,
    events: number,
  ): Promise<void> {
    const kept = this.#reference.kept(topic);
    const next = topic.offsets.length + 1;
    assertEquals([log.first, log.next], [topic.first, next]);
    const sizes = [...kept.values()].map(({ size }) => size);
    assertEquals(log.bytes, sizes.reduce((sum, size) => sum + size, 0));
    assertEquals({ ...log.facts }, { ...topic.facts });
    assertEquals(log.ended && { ...log.ended }, topic.end);
    for (const key of ["k", "l"]) {
      assertEquals(await log.publication(key), topic.publications.get(key));
    }
    for (const budget of [{ events: events * 50, bytes: 10_000 }]) {
      const read = await readAll(log, budget);
      assertEquals([...read.keys()], [...kept.keys()]);
      assertEquals(
        [...read.values()].map(({ event, size, time }) =>
          `${event.data} ${size} ${time}`
        ),
        [...kept.values()].map(({ data, size, time }) =>
          `${data} ${size} ${time}`
        ),
      );
    }
    for (let offset = topic.first; offset < next; offset++) {
      assertEquals(log.holeAt?.(offset) !== undefined, !kept.has(offset));
    }
  }

  async #former(key: string, { epoch }: ReferenceTopic): Promise<Log> {
    const [name = ""] = key.split(" ");
    const log = await this.#store.find(name, epoch);
    assert(log, `expected the former log ${key}`);
    assertEquals(log.epoch, epoch);
    return log;
  }

  async #log(name: string): Promise<Log> {
    let log = this.#logs.get(name);
    if (!log) this.#logs.set(name, log = await findLog(this.#store, name));
    return log;
  }

  #await(promise: unknown): void {
    const settled = Promise.resolve(promise);
    // It is awaited with the next check.
    settled.catch(() => {});
    this.#underWay.push(settled);
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#underWay.splice(0));
    for (const log of this.#logs.values()) await log.settled();
  }
}

/** The store that is tested, and the parts of the test. */
interface ModelOptions extends StoreContractOptions {
  /** The name of the store's class: the name of the test begins with it. */
  readonly name: string;
  /** Registers a test. */
  readonly test: (name: string, run: () => Promise<void>) => void;
}

/** Registers a test that does to a store, and to a plain reference, what comes to mind. */
export function testStoreModel(
  { name, test, open }: ModelOptions,
  numRuns: number,
): void {
  test(`${name} agrees with a plain reference`, async () => {
    await fc.assert(
      fc.asyncProperty(
        retention,
        fc.array(command, { minLength: 10, maxLength: 50, size: "max" }),
        async (retention, commands) => {
          await using world = await open(retention);
          await using run = new Run(world, retention);
          for (const command of commands) await run.do(command);
          await run.check(3);
          if (!world.reopen) return;
          await run.do({ does: "reopen" });
          await run.check(5);
        },
      ),
      {
        ...propertyParameters(numRuns),
        // A failing case can wait for 30 s, and so can each smaller one: without a given
        // seed, fast-check does not look for those.
        endOnFailure: Deno.env.get("RIVULET_SEED") === undefined,
      },
    );
  });
}
