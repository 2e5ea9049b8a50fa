// A model's response read from a topic, by way of a subscription: it is the response that the
// provider has sent, in every mode, and it is whole only if all of it came.
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  subscribe,
  type SubscribeOptions,
  SubscriptionError,
} from "../../../relay/client/mod.ts";
import {
  decodeResponse,
  ModelError,
  type ResponseEvent,
  SnapshotBuilder,
} from "../../../src/model/mod.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { readEvents } from "../../../src/sse/read_events.ts";
import { wires } from "../../../src/model/wires/wire.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import {
  readRecordings,
  recordingsMissing,
} from "../../support/recordings/recordings.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

/** The events of a response, and the error that was thrown at its end. */
interface Read {
  readonly events: ResponseEvent[];
  readonly error?: unknown;
}

async function readAll(
  response: AsyncIterable<ResponseEvent>,
): Promise<Read> {
  const events: ResponseEvent[] = [];
  const read = async (): Promise<Read> => {
    try {
      for await (const event of response) events.push(event);
      return { events };
    } catch (error) {
      return { events, error };
    }
  };
  return await within(read(), LIMIT, "the end of the response");
}

function follow(url: string, options?: SubscribeOptions): Promise<Read> {
  return readAll(decodeResponse(subscribe(url, options)));
}

const WIRES = {
  responses: "responses",
  chat: "chat",
  anthropic: "messages",
} as const;

/** Decodes a recording without a relay. */
function decode(wire: keyof typeof wires, events: ServerSentEvent[]): Read {
  const decoder = wires[wire].decoder({ deltas: true });
  const out: ResponseEvent[] = [];
  for (const { event, data } of events) {
    decoder.push(event, data, out);
    if (decoder.state === "ended") break;
  }
  const verdict = decoder.end(out);
  return "last" in verdict
    ? { events: [...out, verdict.last] }
    : { events: out, error: verdict.error };
}

/** Sums up a response, whatever its pieces are. */
function sum({ events, error }: Read): unknown {
  const builder = new SnapshotBuilder();
  for (const event of events) builder.push(event);
  return { snapshot: builder.snapshot, error: String(error) };
}

Deno.test({
  name:
    "decodeResponse reads every recording from a topic as the provider has sent it, in every mode",
  ignore: recordingsMissing("decodeResponse reads every recording"),
  async fn() {
    await using relay = await startRelay();
    const { topics } = relay.relay;
    let count = 0;
    for (const [name, bytes] of await readRecordings()) {
      const kind = name.split(".")[1] as keyof typeof WIRES;
      const wire = WIRES[kind];
      if (!wire) continue;
      const recorded: ServerSentEvent[] = [];
      const body = new Blob([new Uint8Array(bytes)]).stream();
      for await (const event of readEvents(body)) recorded.push(event);
      const expected = decode(wire, recorded);
      const topic = topics.create(`run-${count++}`);
      await topic.append(recorded.map(({ event, data }) => ({ event, data })));
      topic.end("complete");
      const url = `${relay.url}/topics/${topic.name}`;
      const all = await follow(url);
      assertEquals(all.events, expected.events, name);
      assertEquals(String(all.error), String(expected.error), name);
      for (const snapshot of [false, true]) {
        const merged = await follow(url, { mode: "merge", snapshot });
        assertEquals(sum(merged), sum(expected), `${name} ${snapshot}`);
      }
    }
    assert(count > 40, `${count}`);
  },
});

const text = (content: string, finish_reason?: string) => ({
  data: JSON.stringify({
    choices: [{ delta: { content }, ...(finish_reason && { finish_reason }) }],
  }),
});

const FAILURE = {
  data: '{"error":{"code":"context_length_exceeded","message":"too long"}}',
};

type Status = "complete" | "failed" | "truncated" | "cancelled" | "expired";

/** Names the last of a response: its event, or its error. */
function lastOf({ events, error }: Read): string {
  if (error instanceof SubscriptionError) return `subscription ${error.code}`;
  if (error instanceof ModelError) return `model ${error.code}`;
  const last = events.at(-1);
  return last?.type === "incomplete"
    ? `incomplete ${last.reason}`
    : `${last?.type}`;
}

Deno.test("decodeResponse is whole only if the provider has ended the response", async (t) => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  const [begun, last] = [text("Hel"), text("lo", "stop")];
  const table: [string, { data: string }[], Status, string, string][] = [
    ["whole", [begun, last], "complete", "completed", "Hello"],
    [
      "cut short by the provider",
      [begun, text("lo", "length")],
      "complete",
      "incomplete max_output_tokens",
      "Hello",
    ],
    [
      "whole, and truncated after its end",
      [begun, last, { data: "[DONE]" }],
      "truncated",
      "completed",
      "Hello",
    ],
    [
      "truncated before what may follow",
      [begun, last],
      "truncated",
      "subscription truncated",
      "Hello",
    ],
    ["truncated", [begun], "truncated", "subscription truncated", "Hel"],
    ["failed without a word", [begun], "failed", "subscription failed", "Hel"],
    [
      "failed with a word of the provider",
      [begun, FAILURE],
      "failed",
      "model context_length_exceeded",
      "Hel",
    ],
    [
      "failed before it began",
      [FAILURE],
      "failed",
      "model context_length_exceeded",
      "",
    ],
    ["cancelled", [begun], "cancelled", "incomplete cancelled", "Hel"],
    ["expired", [begun], "expired", "model truncated", "Hel"],
    ["without a last word", [begun], "complete", "model truncated", "Hel"],
    [
      "no response",
      [{ data: "hello" }],
      "complete",
      "model invalid_stream",
      "",
    ],
    ["nothing", [], "complete", "model truncated", ""],
    ["nothing, cancelled", [], "cancelled", "incomplete cancelled", ""],
  ];
  for (
    const [number, [name, events, status, ending, said]] of table.entries()
  ) {
    await t.step(name, async () => {
      for (const stay of [false, true]) {
        const topic = topics.create(`run-${number}-${stay}`);
        if (events.length > 0) await topic.append(events);
        topic.end(status, "no luck");
        const read = await follow(`${relay.url}/topics/${topic.name}`, {
          stay,
        });
        // A subscription that stays throws nothing: the end of the topic is a message.
        const expected = stay
          ? ending.replace(/^subscription .*/, "model truncated")
          : ending;
        assertEquals(lastOf(read), expected);
        const deltas = read.events.flatMap((event) =>
          event.type === "output_text.delta" ? event.delta : []
        );
        assertEquals(deltas.join(""), said);
      }
    });
  }
});

Deno.test("decodeResponse is never whole if events are missing", async () => {
  await using relay = await startRelay({ retention: { maxEvents: 3 } });
  const topic = relay.relay.topics.create("run");
  const url = `${relay.url}/topics/run`;
  await topic.append([text("a"), text("b")]);
  const late = await follow(url, { mode: "latest" });
  assertEquals(lastOf(late), "model truncated");
  await topic.append([text("c"), text("d"), text("e", "stop")]);
  topic.end("complete");
  for (const options of [{}, { mode: "merge" }, { snapshot: true }] as const) {
    const read = await follow(url, options);
    assertEquals([lastOf(read), read.events], ["model truncated", []]);
    assertEquals(
      String(read.error),
      "StreamError: stream disconnected before completion: events 1 to 2 of the response are missing",
    );
  }
});

Deno.test("decodeResponse begins again with a topic that begins anew", async () => {
  await using relay = await startRelay();
  await using line = await CuttableLine.start(relay.port);
  const { topics } = relay.relay;
  await topics.create("run").append([text("lost")]);
  const subscription = subscribe(`${line.url}/topics/run`, {
    reconnect: { minTimeout: 10, maxTimeout: 50 },
  });
  const response = decodeResponse(subscription);
  const types: string[] = [];
  const until = async (type: string) => {
    for (;;) {
      const { value } = await within(response.next(), LIMIT, type);
      assert(value, type);
      types.push(value.type);
      if (value.type === type) return value;
    }
  };
  await until("output_text.delta");
  line.cut();
  topics.delete("run");
  await topics.create("run").append([text("kept", "stop"), { data: "[DONE]" }]);
  line.mend();
  assertEquals(await until("reset"), { type: "reset", attempt: 2 });
  const delta = await until("output_text.delta");
  assert(delta.type === "output_text.delta" && delta.delta === "kept");
  // Its topic goes on; the response has ended, and with it the subscription.
  await until("completed");
  assertEquals((await response.next()).done, true);
  assertEquals(subscription.state, "closed");
});

Deno.test("decodeResponse ends the subscription when it is left, and what its consumer throws is the consumer's", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("run");
  await topic.append([text("a"), text("b")]);
  const left = subscribe(`${relay.url}/topics/run`);
  for await (const _ of decodeResponse(left)) break;
  assertEquals(left.state, "closed");
  const thrown = subscribe(`${relay.url}/topics/run`);
  await assertRejects(
    async () => {
      for await (const _ of decodeResponse(thrown)) {
        throw new RangeError("mine");
      }
    },
    RangeError,
    "mine",
  );
  assertEquals(thrown.state, "closed");
  await until(
    () => topic.followers === 0 || undefined,
    LIMIT,
    "the relay to notice",
  );
});

Deno.test("decodeResponse reads an event stream of the relay as well", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("run");
  await topic.append([text("Hel"), text("lo", "stop")]);
  topic.end("complete");
  const { body } = await fetch(`${relay.url}/topics/run?raw`);
  const read = await readAll(
    decodeResponse(readEvents(body!), { wireApi: "chat" }),
  ); // a 200 has one
  assertEquals(lastOf(read), "completed");
});
