// Text that upstreams and publishers can put into the relay stays text on its
// page, and costs the browser no long task.
import { assert, assertEquals } from "@std/assert";
import type { Browser } from "playwright-core";
import {
  isChromiumMissing,
  startChromium,
} from "../../support/client/chromium.ts";
import { PageTab } from "../../support/page/page_tab.ts";
import { startRelay } from "../../support/relay/relay.ts";

const ignore = isChromiumMissing();

/**
 * Text that a browser would run or load, and text that moves or hides other
 * text.
 */
const HOSTILE = [
  "<img src=x onerror=document.title='owned'>",
  "a".repeat(1_000_000),
  "<script>document.title='owned'</script>",
  "</td></table><iframe src='https://example.com'></iframe>",
  "javascript:document.title='owned'",
  "{{constructor.constructor('document.title=1')()}}",
  "\u202Etxt.exe\u2066abc\u202D",
  "\0\x01\x07\x1B[2J\x7F\x9B31m",
  "zero\u200Bwidth\uFEFF",
  "e\u0301".repeat(50) + "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢".repeat(20),
  "\u{1F468}\u200D\u{1F469}\u200D\u{1F467}",
  '{"type":"response.output_text.delta","delta":{"toString":1}}',
  '{"choices":[null,{"delta":null},{"delta":{"tool_calls":7}}]}',
  `${"[".repeat(5_000)}${"]".repeat(5_000)}`,
];

/** A line has none of these. */
function line(text: string): string {
  return text.replace(/[\r\n\0]/g, "");
}

async function staysText(browser: Browser): Promise<void> {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("hostile~name:1");
  for (const text of HOSTILE) {
    await topic.append([
      {
        event: line(text).slice(0, 2_000),
        data: text,
        id: line(text).slice(0, 2_000),
      },
      {
        event: "response.output_text.delta",
        data: JSON.stringify({
          type: "response.output_text.delta",
          output_index: text,
          delta: text,
        }),
        id: "",
      },
      {
        event: "response.output_item.added",
        data: JSON.stringify({
          type: "response.output_item.added",
          output_index: 7,
          item: { type: "function_call", name: text },
        }),
        id: "",
      },
    ]);
  }
  topic.end(
    "failed",
    HOSTILE.toSpliced(1, 1).slice(0, 9).join("\n").slice(0, 900),
  );
  await using tab = await PageTab.open(browser, relay.url);
  await tab.sees("hostile~name:1", "tbody");
  await tab.go("#/topics/hostile~name:1");
  await tab.sees("onerror", ".end .reason");
  await tab.page.click("text=Answer");
  await tab.sees("⟨202E⟩txt.exe", ".answer");
  await tab.sees("⟨0000⟩⟨0001⟩⟨0007⟩⟨001B⟩[2J", ".answer");
  await tab.page.click("text=Events");
  await tab.sees("The end: failed", "table.events");
  await tab.page.fill("input[type=search]", "onerror");
  await tab.page.click("tbody button:text-is('1')");
  assertEquals(await tab.text(".detail pre"), HOSTILE[0]);
  await tab.page.fill("input[type=search]", "aaaaaaaa");
  await tab.page.click("tbody button:text-is('4')");
  await tab.sees("983.6K more characters are not shown", ".detail");
  // Nothing of it is an element, nothing is hidden, and nothing has run.
  const found = await tab.page.evaluate(`({
    title: document.title,
    elements: document.querySelectorAll("img, iframe, main script, [onerror], [style*=url]").length,
    hidden: /[\\0-\\x08\\x0B-\\x1F\\x7F-\\x9F\\u202A-\\u202E\\uFEFF]/.test(document.body.textContent),
  })`);
  assertEquals(found, {
    title: "hostile~name:1 – Rivulet",
    elements: 0,
    hidden: false,
  });
  tab.assertClean();
}

/** Notes tasks of more than 50 ms, as the browser has it. */
const WATCH = `
  globalThis.longTasks = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longTasks.push(Math.round(duration));
  }).observe({ type: "longtask" });
`;

/** More than the page keeps. */
const EVENTS = 100_000;

/** A bound that holds on a busy machine too: the figures are those of `bench:page`. */
const SMOKE_TASK = 1_000;

async function staysQuick(browser: Browser): Promise<void> {
  await using relay = await startRelay({
    retention: { maxEvents: 100_000, maxBytes: 64 * 1_024 * 1_024 },
  });
  const { topics } = relay.relay;
  for (let i = 0; i < 2_000; i++) topics.create(`t-${i}`);
  const topic = topics.create("big");
  const events = Array.from({ length: EVENTS }, (_, i) => ({
    event: "response.output_text.delta",
    data: JSON.stringify({
      type: "response.output_text.delta",
      // A part of its own for each.
      output_index: i,
      delta: `word ${i} `,
    }),
    id: "",
  }));
  await topic.append(events);
  await using tab = await PageTab.open(browser, relay.url);
  await tab.page.evaluate(WATCH);
  await tab.go("#/topics/big");
  await tab.sees("word 99999 ", ".answer");
  // Many short parts are not all kept, either.
  const parts = await tab.page.locator(".answer section").count();
  assert(parts < 5_000, `${parts} parts`);
  await tab.page.click("text=Events");
  await tab.sees("100000", "table.events");
  await tab.page.fill("input[type=search]", "word 99998");
  await tab.sees(/^1 of/, "main .soft");
  const counted = await tab.page.evaluate(
    "document.querySelectorAll('*').length",
  );
  assert(Number(counted) < 3_000, `${counted} elements`);
  await tab.go("#/?limit=1000");
  await tab.sees("t-0", "tbody");
  await topic.append(events.slice(0, 1_000));
  const tasks = await tab.page.evaluate("longTasks") as number[];
  assert(Math.max(0, ...tasks) < SMOKE_TASK, `tasks of ${tasks} ms`);
  tab.assertClean();
}

Deno.test({
  name:
    "The page shows hostile content as text, and much of it without a long task",
  ignore,
  async fn(t) {
    await using browser = await startChromium();
    await t.step("text stays text", () => staysText(browser));
    await t.step("100,000 events and 2,000 topics", () => staysQuick(browser));
  },
});
