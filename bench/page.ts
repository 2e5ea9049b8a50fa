/**
 * The bench of the relay's page: how long its tasks are and how its heap grows while much
 * goes on, and what open pages cost the relay.
 *
 * `deno run -A bench/page.ts [--seconds 60] [--topics 10000] [--rate 5000] [--cost-seconds 10]`
 *
 * The relay, Chromium and the publisher share the machine: read the longest task beside
 * what it says of the machine.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { startChromium } from "../tests/support/client/chromium.ts";
import { PageTab } from "../tests/support/page/page_tab.ts";
import { BenchProcess, runAndKill } from "./fanout/process.ts";
import { sleep } from "./sleep.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    topics: { type: "string", default: "10000" },
    rate: { type: "string", default: "5000" },
    "cost-seconds": { type: "string", default: "10" },
  },
});
const SECONDS = Number(values.seconds);
const TOPICS = Number(values.topics);
const RATE = Number(values.rate);
const COST_SECONDS = Number(values["cost-seconds"]);

/** The number of times a second that events are published. */
const TURNS = 20;

/** The topics that are live where the cost of pages is measured, an event a second each. */
const LIVE = 1_000;

/** The numbers of pages whose cost is measured. */
const PAGES = [0, 1, 50];

/** Returns an event to publish: a piece of a model's answer. */
function delta(n: number): { event: string; data: string } {
  return {
    event: "response.output_text.delta",
    data: JSON.stringify({
      type: "response.output_text.delta",
      output_index: 0,
      content_index: 0,
      delta: `word ${n} `,
    }),
  };
}

/** A relay in a process of its own. */
async function startRelay(): Promise<{ process: BenchProcess; url: string }> {
  const process = new BenchProcess([
    Deno.execPath(),
    ...["run", "-A", "--no-check", "relay/main.ts", "--port=0"],
    ...["--max-topics=20000", "--max-topics-per-token=20000"],
    ...["--max-message-rate=100000", "--max-publish-rate=100000"],
    "--max-message-bytes-rate=1GiB",
  ]);
  const [, url = ""] = await process.hear(/^Rivulet relay on (\S+)$/);
  return { process, url };
}

/** Publishes over one WebSocket. */
class Publisher implements Disposable {
  readonly #socket: WebSocket;
  #timer: ReturnType<typeof setInterval> | undefined;
  #count = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** Connects. */
  static async open(url: string): Promise<Publisher> {
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
    await new Promise((resolve) => socket.onopen = resolve);
    return new Publisher(socket);
  }

  /** Publishes so many events to a topic. */
  say(topic: string, count: number): void {
    const events = Array.from({ length: count }, () => delta(this.#count++));
    this.#socket.send(JSON.stringify({ type: "publish", topic, events }));
  }

  /** Publishes at a rate, to each of the topics in turn. */
  run(topics: readonly string[], rate: number): void {
    let next = 0;
    const start = performance.now();
    let sent = 0;
    // Ten at a time, as runs that are read by the chunk.
    const batch = topics.length > 1 ? Math.min(10, rate / TURNS) : rate / TURNS;
    this.#timer = setInterval(() => {
      const due = (performance.now() - start) / 1_000 * rate;
      for (; sent < due; sent += batch) {
        this.say(topics[next++ % topics.length]!, batch); // there is one
      }
    }, 1_000 / TURNS);
  }

  /** Publishes no more. */
  stop(): void {
    clearInterval(this.#timer);
  }

  [Symbol.dispose](): void {
    this.stop();
    this.#socket.close();
  }
}

/** Notes tasks of more than 50 ms, as the browser has it. */
const WATCH = `
  globalThis.longTasks = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longTasks.push(Math.round(duration));
  }).observe({ type: "longtask" });
`;

/** The heap of a page after its garbage is collected, in MB. */
async function heapOf(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  await session.detach();
  return usedSize / 1e6;
}

/** Watches a view for a while. */
async function watch(page: Page, what: string): Promise<void> {
  // The page has settled: what it takes to begin is not what it takes to go on.
  await sleep(3_000);
  await page.evaluate(WATCH);
  const heaps: number[] = [];
  for (let i = 0; i <= 3; i++) {
    // To collect garbage is a long task of this bench's own.
    const before = await page.evaluate("longTasks.length");
    heaps.push(await heapOf(page));
    await sleep(100);
    await page.evaluate(`longTasks.splice(${before})`);
    if (i < 3) await sleep(SECONDS * 1_000 / 3);
  }
  const tasks = await page.evaluate("longTasks") as number[];
  const longest = tasks.length === 0 ? "none" : `${Math.max(...tasks)} ms`;
  console.log(
    `${what.padEnd(44)} tasks over 50 ms: ${
      String(tasks.length).padStart(3)
    }, longest ${longest.padStart(7)}   heap: ${
      heaps.map((heap) => heap.toFixed(1)).join(", ")
    } MB`,
  );
}

async function measureThePage(): Promise<void> {
  const { process, url } = await startRelay();
  await using _process = process;
  using publisher = await Publisher.open(url);
  const names = Array.from({ length: TOPICS }, (_, i) => `t-${i}`);
  for (const name of names) publisher.say(name, 1);
  await using browser = await startChromium();
  console.log(
    `${RATE} events/s in ${TOPICS} topics, ${SECONDS} s each; ${navigator.hardwareConcurrency} cores for all`,
  );
  const views: [string, string, readonly string[]][] = [
    ["topics by name, 100 rows", "#/", names],
    ["topics by rate, 1,000 rows", "#/?limit=1000&sort=-rate", names],
    ["one topic's answer, all events in it", "#/topics/t-0", ["t-0"]],
    ["one topic's events, all events in it", "#/topics/t-0", ["t-0"]],
  ];
  for (const [index, [what, hash, targets]] of views.entries()) {
    await using tab = await PageTab.open(browser, url, { hash });
    await tab.page.waitForSelector("tbody a, .pinned");
    publisher.run(targets, RATE);
    if (index === 3) await tab.page.click("text=Events");
    await watch(tab.page, what);
    publisher.stop();
    tab.assertClean();
  }
}

/** Reads what a page that shows the topics asks for, and throws it away. */
async function readAsPage(url: string, signal: AbortSignal): Promise<void> {
  try {
    const { body } = await fetch(`${url}/topics?limit=100&skip=0&counts`, {
      headers: { Accept: "text/event-stream" },
      signal,
    });
    await body?.pipeTo(new WritableStream(), { signal });
  } catch {
    // It was aborted.
  }
}

async function measureTheRelay(): Promise<void> {
  const { process, url } = await startRelay();
  await using _process = process;
  using publisher = await Publisher.open(url);
  const names = Array.from({ length: LIVE }, (_, i) => `t-${i}`);
  for (const name of names) publisher.say(name, 1);
  publisher.run(names, LIVE);
  await sleep(3_000);
  console.log(`\nThe relay with ${LIVE} topics, an event a second each:`);
  for (const pages of PAGES) {
    const left = new AbortController();
    const reading = Array.from(
      { length: pages },
      () => readAsPage(url, left.signal),
    );
    await sleep(2_000);
    const before = process.usage().cpu;
    await sleep(COST_SECONDS * 1_000);
    const share = (process.usage().cpu - before) / COST_SECONDS;
    console.log(
      `${String(pages).padStart(4)} pages   ${
        (share * 100).toFixed(1).padStart(6)
      } % of a core`,
    );
    left.abort();
    await Promise.all(reading);
  }
}

await runAndKill(async () => {
  await measureThePage();
  await measureTheRelay();
});
