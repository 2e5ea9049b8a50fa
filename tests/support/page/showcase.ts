/**
 * A relay with one of everything that its page shows.
 *
 * @module
 */
import type { Page } from "playwright-core";
import { startHostileServer } from "../../../relay/commands/hostile_server.ts";
import { startRelay } from "../relay/relay.ts";

/** A view of the page. */
export interface ShowcaseView {
  /** The name, for a file. */
  readonly name: string;
  /** The part of the URL. */
  readonly hash: string;
  /** The text that it shows when it is there. */
  readonly ready: string | RegExp;
  /** The time until it is worth a picture, in milliseconds. */
  readonly settles?: number;
  /** Does what a user would do there. */
  prepare?(tab: { readonly page: Page }): Promise<void>;
}

/** A relay with topics to look at. */
export interface Showcase extends AsyncDisposable {
  /** The address of the relay. */
  readonly url: string;
  /** The views that are worth a look. */
  readonly views: readonly ShowcaseView[];
}

const TEXT =
  `A river never knows the way to the sea. It only knows the way down. Rain falls on a hillside, finds a crease no deeper than a finger, and the crease becomes a rill. Rills meet, and at each meeting the water takes the lower side — not once, but a million times a day.

Where the ground is soft, the river carves. Where it is hard, the river waits: it fills a basin and spills over the lowest lip. So a waterfall is only an argument that gravity has won.`;

const ANSWER = [
  { type: "message_start" },
  {
    type: "content_block_delta",
    index: 0,
    delta: {
      thinking:
        "The user asks about rivers. Keep it short and concrete, and mention gravity.",
    },
  },
  { type: "content_block_delta", index: 1, delta: { text: TEXT } },
  {
    type: "content_block_start",
    index: 2,
    content_block: { type: "tool_use", name: "get_weather" },
  },
  {
    type: "content_block_delta",
    index: 2,
    delta: { partial_json: '{"city": "Paris", "unit": "celsius"}' },
  },
];

/** The names of topics as they are in earnest. */
const NAMES = [
  "agent-7:plan",
  "agent-7:search",
  "build-412",
  "chat:ada",
  "news",
];

/** Starts it. */
export async function startShowcase(): Promise<Showcase> {
  await using stack = new AsyncDisposableStack();
  const provider = stack.use(await startHostileServer());
  const { relay, url } = stack.use(
    await startRelay({
      gateway: {
        providers: [{ name: "openai", url: `${provider.url}/v1`, key: "k" }],
      },
    }),
  );
  const running = new AbortController();
  stack.defer(() => running.abort());
  const ask = async (topic: string, plan: string): Promise<void> => {
    try {
      const response = await fetch(`${url}/v1/responses`, {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          "Rivulet-Topic": topic,
          "Hostile": plan,
        },
        body: JSON.stringify({ model: "gpt-5", input: TEXT, stream: true }),
        signal: running.signal,
      });
      await response.text();
    } catch {
      // It was cut, as it should be.
    }
  };
  for (const [index, name] of NAMES.entries()) {
    const topic = relay.topics.create(name);
    await topic.append(
      Array.from({ length: 40 + 70 * index }, (_, i) => ({
        event: i % 3 ? "step" : "message",
        data: JSON.stringify({
          step: i,
          words: "lint, test, build".slice(0, i),
        }),
        id: i % 2 ? `e-${i}` : "",
      })),
    );
    if (index === 2) topic.end("cancelled", "superseded by build-413");
    if (index === 3) topic.end("expired");
  }
  relay.topics.create("waits");
  await relay.topics.create("rivers").append(
    ANSWER.map((part) => ({
      event: part.type,
      data: JSON.stringify(part),
      id: "",
    })),
  );
  await ask("sky-1", "");
  await ask("sky-2", "truncate;after=40");
  await ask("sky-3", "error;after=20");
  // Something goes on in some, and somebody follows them.
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
  const closed = new Promise((resolve) => socket.onclose = resolve);
  await new Promise((resolve) => socket.onopen = resolve);
  const live = NAMES.filter((name) =>
    relay.topics.get(name)?.state.kind === "open"
  );
  for (const topic of live) {
    socket.send(JSON.stringify({ type: "subscribe", topic }));
  }
  let turn = 0;
  const timer = setInterval(() => {
    turn++;
    for (const [index, topic] of live.entries()) {
      if (turn % (index + 1)) continue;
      const data = JSON.stringify({ step: turn, words: "lint, test, build" });
      const events = [{ event: "step", data, id: `e-${turn}` }];
      socket.send(JSON.stringify({ type: "publish", topic, events }));
    }
  }, 100);
  stack.defer(async () => {
    clearInterval(timer);
    socket.close();
    await closed;
  });
  const moved = stack.move();
  return {
    url,
    views: [
      { name: "topics", hash: "#/", ready: "sky-3" },
      { name: "relay", hash: "#/relay", ready: "Version", settles: 12_000 },
      {
        name: "nothing",
        hash: "#/?search=nowhere",
        ready: /No topic matches|sky-3/,
      },
      { name: "answer", hash: "#/topics/rivers", ready: "gravity has won" },
      {
        name: "complete",
        hash: "#/topics/sky-1",
        ready: "the stream is whole",
      },
      { name: "truncated", hash: "#/topics/sky-2", ready: "not take this" },
      { name: "failed", hash: "#/topics/sky-3", ready: "reported an error" },
      {
        name: "pending",
        hash: "#/topics/waits",
        ready: "Nothing has come yet",
      },
      {
        name: "events",
        hash: "#/topics/news",
        ready: "lint, test, build",
        prepare: async ({ page }) => {
          await page.locator("tbody button").nth(9).click();
          for (const part of await page.locator("details").all()) {
            await part.locator("summary").click();
          }
        },
      },
      {
        name: "stop",
        hash: "#/topics/rivers",
        ready: "gravity has won",
        prepare: async ({ page }) => await page.click(".stop"),
      },
    ],
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
