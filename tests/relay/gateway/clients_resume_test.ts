/**
 * Clients that come back for what they have missed of a run: `openai`, by its own
 * way to resume a response, and `EventSource`.
 */
import { assert, assertEquals } from "@std/assert";
import OpenAI from "openai";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { FakeClock } from "../../../src/testing/mod.ts";
import { startHostileServer } from "../../../relay/commands/hostile_server.ts";
import { readReferenceBytes } from "../../support/recordings/reference_events.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { remoteFollowers } from "../../support/relay/remote_topic.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const HELD_AFTER = 6;
const HELD = `stall; after=${HELD_AFTER}; silence=1000`;

const QUESTION = {
  model: "hostile-1",
  input: "Say these words again, one by one",
} as const;

type ResponseEvents = AsyncIterable<OpenAI.Responses.ResponseStreamEvent>;

function clientOf(url: string): OpenAI {
  return new OpenAI({ apiKey: "key", baseURL: `${url}/v1`, logLevel: "off" });
}

/** A provider that waits in the middle of its first answer, and a relay in front of it. */
async function startWorld(stack: AsyncDisposableStack, key?: string) {
  const clock = new FakeClock();
  const server = stack.use(await startHostileServer({ clock }));
  server.provider.enqueue(HELD);
  const relay = stack.use(
    await startRelay({
      gateway: {
        providers: [{ name: "hostile", url: `${server.url}/v1`, key }],
      },
    }),
  );
  const { provider } = server;
  return {
    provider,
    relay,
    direct: clientOf(server.url),
    client: clientOf(relay.url),
    server,
    /** Lets the provider go on. */
    async goOn(): Promise<void> {
      await until(
        () => clock.pending > 0 || undefined,
        LIMIT,
        "the provider to wait",
      );
      await clock.advance(1_000);
    },
  };
}

function idOf(event: OpenAI.Responses.ResponseStreamEvent | undefined): string {
  assert(event?.type === "response.created");
  return event.response.id;
}

for (const background of [false, true]) {
  const kind = background ? "background" : "foreground";

  Deno.test(`openai resumes a ${kind} response from the topic, wherever it was left`, async () => {
    await using stack = new AsyncDisposableStack();
    const { client, provider, goOn } = await startWorld(stack);
    const stream = await client.responses.create({
      ...QUESTION,
      background,
      stream: true,
    });
    const whole: OpenAI.Responses.ResponseStreamEvent[] = [];
    const resumed: Promise<unknown[]>[] = [];
    for await (const event of stream) {
      whole.push(event);
      if (whole.length !== HELD_AFTER) continue;
      // While it runs: one is told what there was, and then what comes.
      const id = idOf(whole[0]);
      for (let after = 0; after < HELD_AFTER; after++) {
        const rest = await client.responses.retrieve(id, {
          stream: true,
          starting_after: after,
        });
        resumed.push(Array.fromAsync<unknown>(rest));
      }
      await goOn();
    }
    assert(whole.length > HELD_AFTER);
    for (const [after, rest] of (await Promise.all(resumed)).entries()) {
      assertEquals(rest, whole.slice(after + 1), `running, after ${after}`);
    }
    // Of one that is over.
    const id = idOf(whole[0]);
    for (let after = 0; after < whole.length; after++) {
      const rest = await client.responses.retrieve(id, {
        stream: true,
        starting_after: after,
      });
      assertEquals(
        await Array.fromAsync<unknown>(rest),
        whole.slice(after + 1),
        `over, after ${after}`,
      );
    }
    const all: ResponseEvents = await client.responses.retrieve(id, {
      stream: true,
    });
    assertEquals(await Array.fromAsync(all), whole);
    assertEquals(provider.requests.length, 1);
  });
}

Deno.test("openai's helper resumes a response from the topic as it does at the provider", async () => {
  await using stack = new AsyncDisposableStack();
  const { client, direct, provider, goOn } = await startWorld(stack);
  const stream = await client.responses.create({
    ...QUESTION,
    background: true,
    stream: true,
  });
  const going = goOn();
  const whole = await Array.fromAsync(stream);
  await going;
  const resume = async (client: OpenAI) => {
    const stream = client.responses.stream({
      response_id: idOf(whole[0]),
      starting_after: 3,
    });
    const events = await Array.fromAsync<unknown>(stream);
    return { events, response: await stream.finalResponse() };
  };
  const relayed = await resume(client);
  assertEquals(provider.requests.length, 1);
  assertEquals(relayed, await resume(direct));
  assertEquals(provider.requests.length, 2);
});

Deno.test("What the relay does not have of a response, the provider is asked for", async () => {
  await using stack = new AsyncDisposableStack();
  const { client, direct, provider, goOn } = await startWorld(stack);
  // It was not made through the relay.
  const stream = await direct.responses.create({
    ...QUESTION,
    background: true,
    stream: true,
  });
  const going = goOn();
  const whole = await Array.fromAsync(stream);
  await going;
  const rest = await client.responses.retrieve(idOf(whole[0]), {
    stream: true,
    starting_after: 2,
  });
  assertEquals(await Array.fromAsync<unknown>(rest), whole.slice(3));
  assertEquals(provider.requests.length, 2);
  // Without a stream it is the provider's to say how it is.
  const response = await client.responses.retrieve(idOf(whole[0]));
  assertEquals(response, await direct.responses.retrieve(idOf(whole[0])));
  assertEquals(provider.requests.length, 4);
});

interface Heard {
  readonly events: readonly (readonly [type: string, data: string])[];
  readonly ids: readonly string[];
}

/** The relay's own, which the provider has not sent. */
const RELAY_EVENTS = ["rivulet.live", "rivulet.end"];

/** Listens until so many events of these types have come. */
async function listen(
  url: string,
  types: ReadonlySet<string>,
  count: number,
): Promise<Heard> {
  const source = new EventSource(url);
  const events: (readonly [string, string])[] = [];
  const ids: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  for (const type of [...types, ...RELAY_EVENTS]) {
    source.addEventListener(type, ({ data, lastEventId }: MessageEvent) => {
      events.push([type, data]);
      ids.push(lastEventId);
      const seen = events.filter(([type]) => types.has(type)).length;
      const isOver = seen === count && (url.includes("raw") ||
        url.includes("/v1/") || type === "rivulet.end");
      if (isOver) resolve();
    });
  }
  source.onerror = () => reject(new Error(`${url}: an error`));
  try {
    await within(promise, LIMIT, () => `the end of ${url}: ${events.length}`);
  } finally {
    source.close();
  }
  return { events, ids };
}

const REQUESTS: Readonly<Record<string, unknown>> = {
  responses: { ...QUESTION, stream: true },
  "chat/completions": {
    model: "hostile-1",
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: "user", content: "Say these words again" }],
  },
  messages: {
    model: "hostile-1",
    stream: true,
    max_tokens: 100,
    messages: [{ role: "user", content: "Say these words again" }],
  },
};

function post(url: string, path: string, headers: HeadersInit = {}) {
  return fetch(`${url}/v1/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(REQUESTS[path]),
  });
}

function pairs(events: readonly ServerSentEvent[]) {
  return events.map(({ event, data }) => [event, data] as const);
}

for (const path of Object.keys(REQUESTS)) {
  Deno.test(`EventSource follows a run: ${path}`, async () => {
    await using stack = new AsyncDisposableStack();
    const { relay, server, goOn } = await startWorld(stack);
    const running = await post(relay.url, path, { "Rivulet-Topic": "run" });
    const direct = await post(server.url, path);
    const truth = readReferenceBytes(await direct.bytes());
    const types = new Set(truth.map(({ event }) => event));
    const topic = `${relay.url}/topics/run`;
    const hear = () =>
      Promise.all(
        [topic, `${topic}?raw`].map((url) => listen(url, types, truth.length)),
      );
    const early = hear();
    await until(
      async () => await remoteFollowers(relay.url, "run") === 2 || undefined,
      LIMIT,
      "the listeners",
    );
    await goOn();
    assertEquals(readReferenceBytes(await running.bytes()), truth);
    const epoch = running.headers.get("Rivulet-Epoch");
    const positions = truth.map((_event, index) => `${epoch}:${index + 1}`);
    for (const [whole, raw] of [await early, await hear()]) {
      assert(whole && raw);
      assertEquals(raw, { events: pairs(truth), ids: positions });
      assertEquals(
        whole.events.filter(([type]) => types.has(type)),
        pairs(truth),
      );
      const [type, data] = whole.events.at(-1) ?? [];
      assertEquals(type, "rivulet.end");
      assertEquals(JSON.parse(data ?? "").status, "complete");
    }
    // A reader that comes back after the end is told that there is no more.
    const again = await relay.request("/topics/run?raw", {
      headers: {
        Accept: "text/event-stream",
        "Last-Event-ID": positions.at(-1) ?? "",
      },
    });
    assertEquals([again.status, await again.text()], [204, ""]);
  });
}

for (const key of [undefined, "sk-of-the-relay"]) {
  const who = key === undefined ? "provider" : "topic";

  Deno.test(`EventSource hears a background response as from the provider: from the ${who}`, async () => {
    await using stack = new AsyncDisposableStack();
    const world = await startWorld(stack, key);
    const { client, relay, server, provider, goOn } = world;
    const stream = await client.responses.create({
      ...QUESTION,
      background: true,
      stream: true,
    });
    const going = goOn();
    const whole = await Array.fromAsync(stream);
    await going;
    const types = new Set<string>(whole.map(({ type }) => type));
    const hear = (url: string) =>
      listen(
        `${url}/v1/responses/${idOf(whole[0])}?stream=true&starting_after=1`,
        types,
        whole.length - 2,
      );
    const relayed = await hear(relay.url);
    // It cannot show the key that the client has shown: without the relay's own
    // the provider has to say who may have the response.
    assertEquals(provider.requests.length, key === undefined ? 2 : 1);
    const direct = await hear(server.url);
    assertEquals(relayed.events, direct.events);
  });
}
