// A topic on the relay's page, in Chromium: what comes, how it ends, and what goes wrong.
import { assertEquals, assertMatch } from "@std/assert";
import type { Browser } from "playwright-core";
import { startHostileServer } from "../../../relay/commands/hostile_server.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  isChromiumMissing,
  startChromium,
} from "../../support/client/chromium.ts";
import { freePort } from "../../support/http/free_port.ts";
import { PageTab } from "../../support/page/page_tab.ts";
import { MortalRelay } from "../../support/relay/mortal_relay.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";

const ignore = isChromiumMissing();

const TEXT = "A river never knows the way to the sea.";

/** An event as a publisher has it. */
function event(data: string, event = "message", id = "") {
  return { event, data, id };
}

/** Has a model answer through the relay. */
async function ask(
  { url }: TestRelay,
  topic: string,
  plan: string,
  path = "responses",
): Promise<void> {
  const response = await fetch(`${url}/v1/${path}`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Rivulet-Topic": topic,
      "Hostile": plan,
    },
    body: JSON.stringify({
      model: "gpt-5",
      input: TEXT,
      messages: [{ role: "user", content: TEXT }],
      max_tokens: 100,
      stream: true,
    }),
  });
  // Of an answer that is not whole, the rest does not come.
  await response.text().catch(() => undefined);
}

/** Each end of a run: what its provider does, and what the page says. */
const ENDS = [
  ["complete", "", "responses", /said that it was done/],
  ["complete", "", "chat/completions", /said that it was done/],
  ["complete", "", "messages", /said that it was done/],
  ["failed", "error;after=8", "responses", /reported an error/],
  ["failed", "status=400", "responses", /ask again once it is mended/],
  ["truncated", "truncate;after=8", "responses", /not take this for a whole/],
] as const;

async function showsEnds(browser: Browser): Promise<void> {
  await using provider = await startHostileServer();
  await using relay = await startRelay({
    gateway: {
      providers: [{ name: "local", url: `${provider.url}/v1`, key: "k" }],
    },
  });
  await using tab = await PageTab.open(browser, relay.url, {
    hash: "#/topics/run-0",
  });
  await tab.sees("There is no such topic");
  for (const [index, [status, plan, path, words]] of ENDS.entries()) {
    const name = `run-${index}`;
    await ask(relay, name, plan, path);
    if (index > 0) await tab.go(`#/topics/${name}`);
    await tab.sees(words, ".end");
    assertMatch(await tab.text(".badge"), new RegExp(`^\\S ${status}$`));
    await tab.sees("gpt-5", "aside");
    if (plan.startsWith("status")) continue;
    const isWhole = status === "complete";
    await tab.sees(isWhole ? TEXT : "A river", ".answer");
    await tab.sees(status, ".answer .rule");
    await tab.sees("First token", "aside ol");
  }
  tab.assertClean();
}

async function showsStates(browser: Browser): Promise<void> {
  await using relay = await startRelay({
    retention: { maxEvents: 5 },
  });
  const { topics } = relay.relay;
  const topic = topics.create("news");
  await using tab = await PageTab.open(browser, relay.url, {
    hash: "#/topics/news",
  });
  await tab.sees("Nothing has come yet", ".note");
  await tab.sees("○ pending", ".badge");
  await topic.append([event("first")]);
  // Events that are not a model's answer are shown as they are.
  await tab.sees("first", "table.events");
  await tab.page.click("text=Answer");
  await tab.sees("no model's answer", ".hint");
  for (let i = 2; i <= 9; i++) await topic.append([event(`number ${i}`)]);
  await tab.page.click("text=Events");
  await tab.sees("4 events are missing (1 to 4)", "table.events");
  await tab.sees("4 events are missing (1 to 4)", "aside ol");
  await tab.sees("number 9", "table.events");
  // Search, and what an event is in full.
  await tab.page.fill("input[type=search]", "NUMBER 7");
  await tab.sees("1 of 6");
  await tab.page.click("tbody button:text-is('7')");
  await tab.sees("Event 7", ".detail");
  assertEquals(await tab.text(".detail pre"), "number 7");
  await tab.page.click(".detail >> text=Close");
  await tab.page.fill("input[type=search]", "");
  // The end, and the next epoch of the name.
  topic.end("expired", "no longer of use");
  await tab.sees("no longer needed", ".end");
  await tab.sees("no longer of use", ".end .reason");
  assertEquals(await tab.page.locator("text=Stop…").isVisible(), false);
  await relay.request("/topics/news", {
    method: "POST",
    headers: { "Content-Type": "text/plain", "Rivulet-If-Ended": "renew" },
    body: "again",
  }).then((response) => response.body?.cancel());
  await tab.sees("The topic begins anew here", "table.events");
  await tab.sees("again", "table.events");
  await tab.sees("● open", ".badge");
  // Stop, with a question.
  await tab.page.click("text=Stop…");
  await tab.page.click("text=Let it run");
  await tab.page.click("text=Stop…");
  await tab.page.fill("#reason", "enough");
  await tab.page.click("text=Stop it");
  await tab.sees("■ cancelled", ".badge");
  await tab.sees("enough", ".end .reason");
  tab.assertClean();
}

/** Parts of an answer as the three APIs and the AI SDK write them. */
const PARTS: Readonly<Record<string, readonly object[]>> = {
  responses: [
    { type: "response.created" },
    {
      type: "response.reasoning_summary_text.delta",
      output_index: 0,
      summary_index: 0,
      delta: "Let me ",
    },
    {
      type: "response.reasoning_summary_text.delta",
      output_index: 0,
      summary_index: 0,
      delta: "think.",
    },
    {
      type: "response.output_text.delta",
      output_index: 1,
      content_index: 0,
      delta: "It is ",
    },
    {
      type: "response.output_text.delta",
      output_index: 1,
      content_index: 0,
      delta: "warm.",
    },
    {
      type: "response.output_item.added",
      output_index: 2,
      item: { type: "function_call", name: "weather" },
    },
    {
      type: "response.function_call_arguments.delta",
      output_index: 2,
      delta: '{"city":',
    },
    {
      type: "response.function_call_arguments.delta",
      output_index: 2,
      delta: '"Paris"}',
    },
  ],
  chat: [
    {
      choices: [{
        index: 0,
        delta: { role: "assistant", reasoning_content: "Let me " },
      }],
    },
    { choices: [{ index: 0, delta: { reasoning_content: "think." } }] },
    { choices: [{ index: 0, delta: { content: "It is " } }] },
    { choices: [{ index: 0, delta: { content: "warm." } }] },
    {
      choices: [{
        index: 0,
        delta: {
          tool_calls: [{
            index: 0,
            function: { name: "weather", arguments: "" },
          }],
        },
      }],
    },
    {
      choices: [{
        index: 0,
        delta: {
          tool_calls: [{
            index: 0,
            function: { arguments: '{"city":"Paris"}' },
          }],
        },
      }],
    },
  ],
  messages: [
    { type: "message_start", message: {} },
    {
      type: "content_block_delta",
      index: 0,
      delta: { type: "thinking_delta", thinking: "Let me think." },
    },
    {
      type: "content_block_start",
      index: 1,
      content_block: { type: "text", text: "It is " },
    },
    {
      type: "content_block_delta",
      index: 1,
      delta: { type: "text_delta", text: "warm." },
    },
    {
      type: "content_block_start",
      index: 2,
      content_block: { type: "tool_use", name: "weather", input: {} },
    },
    {
      type: "content_block_delta",
      index: 2,
      delta: { type: "input_json_delta", partial_json: '{"city":"Paris"}' },
    },
  ],
  ui: [
    { type: "start" },
    { type: "reasoning-start", id: "r" },
    { type: "reasoning-delta", id: "r", delta: "Let me think." },
    { type: "text-delta", id: "t", delta: "It is " },
    { type: "text-delta", id: "t", delta: "warm." },
    { type: "tool-input-start", toolCallId: "c", toolName: "weather" },
    {
      type: "tool-input-delta",
      toolCallId: "c",
      inputTextDelta: '{"city":"Paris"}',
    },
  ],
};

async function foldsAnswers(browser: Browser): Promise<void> {
  await using relay = await startRelay();
  await using tab = await PageTab.open(browser, relay.url);
  for (const [format, parts] of Object.entries(PARTS)) {
    const topic = relay.relay.topics.create(format);
    const events = parts.map((part) =>
      event(
        JSON.stringify(part),
        "type" in part ? String(part.type) : "message",
      )
    );
    // The first half is in the snapshot, and the rest comes later.
    await topic.append(events.slice(0, 4));
    await tab.go(`#/topics/${format}`);
    await tab.sees("Let me think.", ".reasoning");
    await topic.append(events.slice(4));
    await tab.sees('weather {"city":"Paris"}', ".tool");
    assertEquals(await tab.text(".answer section.text"), "It is warm.", format);
    assertEquals(await tab.page.locator(".answer section").count(), 3, format);
  }
  tab.assertClean();
}

async function comesBack(browser: Browser): Promise<void> {
  const port = freePort();
  let relay = await startRelay({ port, rights: { jwtKey: JWT_KEY } });
  try {
    await relay.relay.topics.create("news").append([event("before")]);
    await using tab = await PageTab.open(browser, relay.url, {
      hash: "#/topics/news",
    });
    await tab.use(await mintToken({ read: ["*"] }));
    await tab.sees("before", "table.events");
    // A token that may only read.
    assertEquals(await tab.page.locator("text=Stop…").isVisible(), false);
    await relay[Symbol.asyncDispose]();
    await tab.sees(/cannot be reached|shutting down|was closed/, "#link");
    relay = await startRelay({ port, rights: { jwtKey: JWT_KEY } });
    // Unless it has tried by itself meanwhile.
    await tab.page.evaluate("document.querySelector('#link button')?.click()");
    await tab.sees("● Live", "#link");
    await tab.sees("There is no such topic", ".note");
    await relay.relay.topics.create("news").append([event("after")]);
    await tab.sees("after", "table.events");
    // The key is another: the token is good no more.
    await relay[Symbol.asyncDispose]();
    await tab.sees(/cannot be reached|shutting down|was closed/, "#link");
    relay = await startRelay({ port, rights: { jwtKey: `${JWT_KEY}-of-now` } });
    await tab.sees("The relay does not take this token");
    tab.assertClean();
  } finally {
    await relay[Symbol.asyncDispose]();
  }
}

async function isKilled(browser: Browser): Promise<void> {
  await using folder = new TemporaryFolder();
  const port = freePort();
  const start = async (): Promise<[MortalRelay, string]> => {
    const relay = new MortalRelay([
      ...["--port", String(port), "--store", `sqlite:${folder.path}/topics.db`],
    ]);
    const url = await relay.listening;
    if (url === undefined) throw new Error(await relay.ended());
    return [relay, url];
  };
  const publish = async (url: string, data: string): Promise<void> => {
    const { ok, body } = await fetch(`${url}/topics/news`, {
      method: "POST",
      headers: { "Content-Type": "text/plain" },
      body: data,
    });
    await body?.cancel();
    assertEquals(ok, true);
  };
  let [relay, url] = await start();
  try {
    await publish(url, "before");
    await using tab = await PageTab.open(browser, url, {
      hash: "#/topics/news",
    });
    await tab.sees("before", "table.events");
    await relay.kill("SIGKILL");
    await tab.sees("cannot be reached", "#link");
    [relay, url] = await start();
    await publish(url, "after");
    // It goes on behind what it shows.
    await tab.sees("after", "table.events");
    assertEquals(await tab.page.getByText("before").count(), 1);
    await tab.sees("● Live", "#link");
    tab.assertClean();
  } finally {
    await relay.kill("SIGKILL");
  }
}

/** The start of a relay whose clock stands still by itself. */
const START = Date.parse("2030-01-01T00:00:00Z");

async function expires(browser: Browser): Promise<void> {
  const clock = new FakeClock(START);
  await using relay = await startRelay({ clock, rights: { jwtKey: JWT_KEY } });
  await relay.relay.topics.create("news").append([event("first")]);
  await using tab = await PageTab.open(browser, relay.url, {
    hash: "#/topics/news",
  });
  const lasting = (seconds: number): Promise<string> =>
    mintToken({ read: ["*"], exp: START / 1_000 + seconds });
  await tab.use(await lasting(60));
  await tab.sees("first", "table.events");
  // Clocks may be 30 s apart.
  await clock.advance(91_000);
  await tab.sees("Your token has expired", "h1");
  assertEquals(await tab.page.inputValue("#secret"), "");
  await tab.use(await lasting(600));
  await tab.sees("first", "table.events");
  // One that may not read this topic.
  await tab.page.click("#token");
  await tab.use(await mintToken({ read: ["other"], exp: START / 1_000 + 600 }));
  await tab.sees("This token may not see that", "h1");
  tab.assertClean();
}

async function drains(browser: Browser): Promise<void> {
  await using relay = await startRelay();
  relay.relay.topics.create("news");
  await using tab = await PageTab.open(browser, relay.url);
  await tab.sees("news", "tbody");
  const drained = relay.relay.drain(1_000);
  await tab.sees("The relay is shutting down", "#link");
  await drained;
  tab.assertClean();
}

Deno.test({
  name:
    "The page shows a topic: what comes, each end, and what becomes of its relay",
  ignore,
  async fn(t) {
    await using browser = await startChromium();
    const steps = {
      "each end of a run, in words": showsEnds,
      "pending, gaps, search, renewal and a stop": showsStates,
      "answers of each format, folded": foldsAnswers,
      "a token that expires": expires,
      "a relay that is drained": drains,
      "a relay that is gone, and another one": comesBack,
      "a relay that is killed, and comes back with its topics": isKilled,
    };
    for (const [name, run] of Object.entries(steps)) {
      await t.step(name, () => run(browser));
    }
  },
});
