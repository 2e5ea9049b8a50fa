/**
 * Runs of real clients through the relay: what those who follow them are told.
 */
import { assert, assertEquals } from "@std/assert";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { FakeClock } from "../../../src/testing/mod.ts";
import { foldWire } from "../../support/model/fold_wire.ts";
import {
  type HostileServer,
  startHostileServer,
} from "../../../relay/commands/hostile_server.ts";
import { ModelCaller } from "../../support/gateway/model_caller.ts";
import {
  MODEL_CALLS,
  type ModelCall,
} from "../../support/gateway/model_clients.ts";
import { readReferenceBytes } from "../../support/recordings/reference_events.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import {
  remoteEnd,
  remoteFollowers,
} from "../../support/relay/remote_topic.ts";
import { TopicFollower } from "../../support/subscribers/topic_follower.ts";
import { LIMIT, until, within } from "../../support/within.ts";

/** After how many events the provider waits until it may go on. */
const HELD_AFTER = 4;

const HELD = `stall; after=${HELD_AFTER}; silence=1000`;

/** Streams of one request, so that all of it is one topic. */
const CALLS = MODEL_CALLS.filter(({ streams, requests }) =>
  streams && requests === 1
);

/** A provider that waits in the middle of each answer, and a relay in front of it. */
class World implements AsyncDisposable {
  readonly server: HostileServer;
  readonly relay: TestRelay;
  readonly #clock: FakeClock;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    server: HostileServer,
    relay: TestRelay,
    clock: FakeClock,
    stack: AsyncDisposableStack,
  ) {
    this.server = server;
    this.relay = relay;
    this.#clock = clock;
    this.#stack = stack;
  }

  static async start(plan = HELD): Promise<World> {
    await using stack = new AsyncDisposableStack();
    const clock = new FakeClock();
    const server = stack.use(await startHostileServer({ clock, plan }));
    const relay = stack.use(
      await startRelay({
        gateway: { providers: [{ name: "hostile", url: `${server.url}/v1` }] },
      }),
    );
    return new World(server, relay, clock, stack.move());
  }

  /** Follows a topic until the world ends. */
  follow(
    ...[topic, kind, mode]: readonly [
      string,
      "subscribe" | "ws",
      ("all" | "merge")?,
    ]
  ): TopicFollower {
    return this.#stack.use(
      new TopicFollower(this.relay.url, topic, kind, mode),
    );
  }

  /** Starts a process that asks, and that ends with the world. */
  spawn(call: ModelCall, headers: Readonly<Record<string, string>>) {
    const { url } = this.relay;
    return this.#stack.use(
      new ModelCaller({ call: call.name, url, headers }),
    );
  }

  /** Waits until so many follow a topic. */
  async followed(topic: string, count: number): Promise<void> {
    const { url } = this.relay;
    await until(
      async () => await remoteFollowers(url, topic) === count || undefined,
      LIMIT,
      `${count} followers of ${topic}`,
    );
  }

  /** Resolves once the provider waits in its answer to the last request. */
  async held(): Promise<void> {
    const { provider } = this.server;
    await until(
      () =>
        provider.requests.at(-1)?.events === HELD_AFTER &&
          this.#clock.pending > 0 || undefined,
      LIMIT,
      "the provider to wait",
    );
  }

  /** Lets the provider go on. */
  async goOn(): Promise<void> {
    await this.held();
    await this.#clock.advance(1_000);
  }

  /** Returns the provider's events for a request like the caller's. */
  async truth(): Promise<readonly ServerSentEvent[]> {
    const request = this.server.provider.requests.at(-1);
    assert(request);
    const { path, headers, body, plan } = request;
    assertEquals(plan.fault?.kind, "stall");
    const direct = new Headers(headers);
    direct.set("Hostile", "");
    const response = await fetch(this.server.url + path, {
      method: "POST",
      headers: direct,
      body,
    });
    return readReferenceBytes(await response.bytes());
  }

  /** Ends it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** Returns a follower's events, without the facts of their delivery. */
function plain({ events }: TopicFollower): ServerSentEvent[] {
  return events.map(({ event, data, id }) => ({ event, data, id }));
}

function fold(events: readonly ServerSentEvent[]): unknown {
  return foldWire(events.map(({ event, data }) => [event, data] as const));
}

function assertFollowed(
  follower: TopicFollower,
  truth: readonly ServerSentEvent[],
): void {
  const count = follower.events.reduce((sum, { count }) => sum + count, 0);
  assertEquals(count, truth.length);
  assertEquals(fold(plain(follower)), fold(truth));
}

for (const call of CALLS) {
  Deno.test(`Followers from before, in the middle and after see all of a run: ${call.name}`, async () => {
    await using world = await World.start();
    const topic = "run";
    const join = () => [
      world.follow(topic, "subscribe"),
      world.follow(topic, "ws"),
      world.follow(topic, "ws", "merge"),
    ];
    const before = join();
    await world.followed(topic, 3);
    const outcome = call.run({
      url: world.relay.url,
      headers: { "Rivulet-Topic": topic },
    });
    await world.held();
    const middle = join();
    for (const follower of [...before, ...middle]) {
      await follower.received(HELD_AFTER);
    }
    await world.goOn();
    assertEquals((await outcome).error, undefined);
    for (const follower of [...before, ...middle]) {
      assertEquals(await follower.end, { status: "complete" });
    }
    const after = join();
    for (const follower of after) {
      assertEquals(await follower.end, { status: "complete" });
    }
    const { requests } = world.server.provider;
    assertEquals(requests.length, 1);
    const truth = await world.truth();
    assert(truth.length > 2 * HELD_AFTER);
    for (const [all, bare, merged] of [before, middle, after]) {
      assert(all && bare && merged);
      assertEquals(plain(all), truth);
      assertEquals(plain(bare), truth);
      assertFollowed(merged, truth);
    }
    if (call.path !== "messages") {
      // Else it has not been seen that folding changes nothing.
      assert(after[2]!.events.some(({ count }) => count > 1)); // there are three
    }
  });
}

Deno.test("A client that is told to come back goes on in the same topic", async () => {
  for (const call of CALLS) {
    await using world = await World.start();
    const topic = "again";
    const { provider } = world.server;
    provider.enqueue(
      "status=429; retry-after=0.01",
      "status=503; retry-after-ms=1",
    );
    const follower = world.follow(topic, "ws");
    await world.followed(topic, 1);
    const outcome = call.run({
      url: world.relay.url,
      headers: { "Rivulet-Topic": topic },
    });
    await world.goOn();
    assertEquals((await outcome).error, undefined, call.name);
    assertEquals(await follower.end, { status: "complete" });
    assertEquals(provider.requests.length, 3);
    assertEquals(plain(follower), await world.truth());
    assert(follower.upstream.includes("retrying"));
  }
});

/** One of each format, and of each client. */
const KILLED = [
  "openai responses.create, stream",
  "@anthropic-ai/sdk messages.stream",
  "ai streamText, chat",
].map((name) => {
  const call = CALLS.find((call) => call.name === name);
  if (!call) throw new Error(`There is no call '${name}'`);
  return call;
});

/** Has a process ask, and kills it when it has got something. */
async function killCaller(
  world: World,
  call: ModelCall,
  headers: Readonly<Record<string, string>>,
  isDue: () => Promise<unknown> = () => world.held(),
): Promise<void> {
  const caller = world.spawn(call, headers);
  await within(caller.event(), LIMIT, `an event of ${call.name}`);
  await isDue();
  await caller.kill();
}

Deno.test("A run goes on when its caller is killed, and who follows it gets the end", async () => {
  await Promise.all(KILLED.map(async (call) => {
    await using world = await World.start();
    const topic = "orphan";
    const before = world.follow(topic, "subscribe");
    await world.followed(topic, 1);
    await killCaller(world, call, { "Rivulet-Topic": topic });
    const after = world.follow(topic, "ws");
    await after.received(HELD_AFTER);
    await world.goOn();
    const [request] = world.server.provider.requests;
    for (const follower of [before, after]) {
      assertEquals(await follower.end, { status: "complete" }, call.name);
    }
    assertEquals(await request?.done, "ended");
    const truth = await world.truth();
    assertEquals(plain(before), truth);
    assertEquals(plain(after), truth);
  }));
});

Deno.test("A run that its caller wants to end with it is cancelled when that is killed", async () => {
  await Promise.all(KILLED.map(async (call) => {
    await using world = await World.start();
    const topic = "leash";
    const follower = world.follow(topic, "ws");
    await world.followed(topic, 1);
    await killCaller(world, call, {
      "Rivulet-Topic": topic,
      "Rivulet-On-Disconnect": "cancel",
      // The relay has yet to read the bytes that the provider has written.
    }, () => follower.received(HELD_AFTER));
    const { status } = await follower.end;
    assertEquals(status, "cancelled", call.name);
    const [request] = world.server.provider.requests;
    assertEquals(
      await within(request!.done, LIMIT, "the provider's request to end"), // it has been made
      "aborted",
    );
    assertEquals(plain(follower), (await world.truth()).slice(0, HELD_AFTER));
  }));
});

/** The ways to stop a run. */
const STOPS: Readonly<
  Record<string, (world: World, topic: string) => Promise<void>>
> = {
  "POST /topics/{t}/cancel": async (world, topic) => {
    const response = await world.relay.request(`/topics/${topic}/cancel`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ reason: "enough" }),
    });
    assert(response.ok, await response.text());
  },
  "a cancel frame": async (world, topic) => {
    const { url } = world.relay;
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
    const closed = new Promise((resolve) => {
      socket.onclose = resolve;
    });
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    socket.send(JSON.stringify({ type: "cancel", topic, reason: "enough" }));
    await remoteEnd(url, topic);
    socket.close();
    await closed;
  },
};

/**
 * Returns the error that a client's user sees after a stop: as a part of `ai`,
 * as an event of the Responses API, or thrown.
 */
function errorOf(
  { error, events }: Awaited<ReturnType<ModelCall["run"]>>,
): unknown {
  if (JSON.stringify(events.at(-1))?.includes('"response.failed"')) {
    return new Error("The response has failed");
  }
  const part = events.find((event): event is { error: unknown } =>
    typeof event === "object" && event !== null && "type" in event &&
    event.type === "error" && "error" in event
  );
  return part ? part.error : error;
}

/** The status that an error tells, as each client calls it. */
function statusOf(error: Error): unknown {
  if ("status" in error) return error.status;
  return "statusCode" in error ? error.statusCode : undefined;
}

for (const [how, stop] of Object.entries(STOPS)) {
  Deno.test(`A stop in the middle ends a run for everybody: ${how}`, async () => {
    await Promise.all(CALLS.map(async (call) => {
      await using world = await World.start();
      const topic = "stopped";
      const followers = [
        world.follow(topic, "subscribe"),
        world.follow(topic, "ws"),
        world.follow(topic, "ws", "merge"),
      ];
      await world.followed(topic, 3);
      const outcome = call.run({
        url: world.relay.url,
        headers: { "Rivulet-Topic": topic },
      });
      await world.held();
      for (const follower of followers) await follower.received(HELD_AFTER);
      await stop(world, topic);
      const [request] = world.server.provider.requests;
      assertEquals(
        await within(request!.done, LIMIT, "the provider's request to end"), // it has been made
        "aborted",
      );
      for (const follower of followers) {
        assertEquals(
          await follower.end,
          { status: "cancelled", reason: "enough" },
        );
      }
      const error = errorOf(
        await within(outcome, LIMIT, `${call.name} to end`),
      );
      assert(error instanceof Error, `${call.name} says nothing of it`);
      assertEquals(world.server.provider.requests.length, 1);
    }));
  });

  Deno.test(`A stop before the head is told to the caller, who does not ask again: ${how}`, async () => {
    await Promise.all(CALLS.map(async (call) => {
      await using world = await World.start("delay=1000");
      const topic = "early";
      const follower = world.follow(topic, "ws");
      await world.followed(topic, 1);
      const { provider } = world.server;
      const outcome = call.run({
        url: world.relay.url,
        headers: { "Rivulet-Topic": topic },
      });
      await provider.requested(1);
      await stop(world, topic);
      const [request] = provider.requests;
      assertEquals(
        await within(request!.done, LIMIT, "the provider's request to end"), // it has been made
        "aborted",
      );
      assertEquals((await follower.end).status, "cancelled");
      const error = errorOf(
        await within(outcome, LIMIT, `${call.name} to end`),
      );
      assert(error instanceof Error, call.name);
      assertEquals(statusOf(error), 410, call.name);
      assertEquals(provider.requests.length, 1);
    }));
  });
}
