// The time that a turn waits for its relay, on a clock of its own.
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  ChatPublishError,
  RelayTopic,
} from "../../../relay/chat/server/relay_topic.ts";

const WITHIN = 10_000;

/** A relay whose requests to add take as long as they are told, and then fail. */
class AwayRelay {
  now = 0;
  /** The number of requests to add. */
  added = 0;
  readonly #stands: number[];
  readonly topic: RelayTopic;

  constructor(stands: readonly number[]) {
    this.#stands = [...stands];
    this.topic = new RelayTopic({
      url: new URL("http://relay.test/topics/t"),
      token: () => Promise.resolve(undefined),
      fetch: this.#fetch,
      clock: {
        now: () => this.now,
        setTimeout: (callback, delay) => {
          this.now += delay;
          queueMicrotask(callback);
          return () => {};
        },
      },
      within: WITHIN,
      patience: 1_000,
    });
  }

  readonly #fetch: typeof fetch = (_url, { headers } = {}) => {
    const key = new Headers(headers).get("Idempotency-Key") ?? "";
    if (key.endsWith("-turn")) {
      return Promise.resolve(Response.json({ epoch: "x8Jc0mQ2vLrT" }));
    }
    this.added++;
    const stood = this.#stands.shift();
    if (stood === undefined) return Promise.resolve(new Response("{}"));
    this.now += stood;
    return Promise.reject(new TypeError("connection lost"));
  };
}

function add({ topic }: AwayRelay): Promise<void> {
  return topic.add("first", () => new ReadableStream());
}

Deno.test("A turn whose connection has stood for a while has all of its time again", async () => {
  const relay = new AwayRelay([0, WITHIN * 2, 0, WITHIN * 2, 0]);
  await add(relay);
  assertEquals(relay.added, 6);
});

Deno.test("A turn gives up a relay that has been away for as long as it may", async () => {
  const relay = new AwayRelay(new Array(1_000).fill(1));
  const error = await assertRejects(() => add(relay), ChatPublishError);
  assertEquals(error.code, "unreachable");
  // A connection that stood for a moment is none.
  assert(relay.now > WITHIN / 2, `${relay.now}`);
  // The time counts from the first loss on, and its last request may begin at its end.
  assert(relay.now <= 1 + WITHIN + 1, `${relay.now}`);
});
