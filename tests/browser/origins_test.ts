// The answers about origins, as a real browser applies them.
import { assertEquals } from "@std/assert";
import type { Browser, Page } from "playwright-core";
import {
  isChromiumMissing,
  startChromium,
} from "../support/client/chromium.ts";
import { startRelay, type TestRelay } from "../support/relay/relay.ts";

const ignore = isChromiumMissing();

/** Leads to this machine, as far as the browser knows. */
const EVIL = "evil.example";

/** Another server's page. */
function servePages(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      new Response("<!doctype html><title>App</title>", {
        headers: { "content-type": "text/html" },
      }),
  );
}

/** The result of a page at each door. */
interface Seen {
  readonly list: string;
  readonly cookies: string;
  readonly epoch: string;
  readonly refusal: string;
  readonly published: string;
  readonly stream: string;
  readonly socket: string;
  readonly image: string;
}

/** Tries all that a page can do. */
function lookAround(page: Page, relay: string): Promise<Seen> {
  return page.evaluate(async (relay) => {
    const attempt = (what: Promise<string>) => what.catch(() => "refused");
    const ask = (
      path: string,
      init: RequestInit,
      read: (response: Response) => string | Promise<string>,
    ) => attempt(fetch(relay + path, init).then(read));
    const asked = {
      headers: { authorization: "Bearer t", accept: "application/json" },
    };
    const stream = new Promise<string>((resolve) => {
      const source = new EventSource(`${relay}/topics/t`);
      source.onmessage = ({ data }) => {
        source.close();
        resolve(data);
      };
      source.onerror = () => {
        source.close();
        resolve("refused");
      };
    });
    const socket = new Promise<string>((resolve) => {
      const socket = new WebSocket(`${relay.replace("http", "ws")}/ws`);
      socket.onmessage = ({ data }) => {
        socket.close();
        resolve(JSON.parse(data).type);
      };
      socket.onerror = () => resolve("refused");
    });
    return {
      list: await ask(
        "/topics",
        asked,
        async (response) => (await response.json()).topics[0].name,
      ),
      cookies: await ask(
        "/healthz",
        { credentials: "include" },
        (response) => response.text(),
      ),
      epoch: await ask(
        "/topics/t",
        { method: "HEAD" },
        (response) => response.headers.get("rivulet-epoch") ? "told" : "kept",
      ),
      refusal: await ask(
        "/topics/unknown",
        asked,
        async (response) => (await response.json()).code,
      ),
      published: await ask(
        "/topics/t",
        {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"data":"from a page"}',
        },
        (response) => String(response.status),
      ),
      stream: await stream,
      socket: await socket,
      image: await ask(
        "/topics",
        { mode: "no-cors" },
        (response) => response.type,
      ),
    };
  }, relay);
}

const ALL: Seen = {
  list: "t",
  cookies: '{"status":"ok"}',
  epoch: "told",
  refusal: "unknown_topic",
  published: "200",
  stream: "a",
  socket: "welcome",
  // It is never to be read.
  image: "opaque",
};

const NOTHING: Seen = {
  list: "refused",
  cookies: "refused",
  epoch: "refused",
  refusal: "refused",
  published: "refused",
  stream: "refused",
  socket: "refused",
  image: "opaque",
};

/** A relay with a topic of one event. */
async function startFilled(origins: readonly string[]): Promise<TestRelay> {
  const relay = await startRelay({ origins });
  const topic = relay.relay.topics.create("t");
  topic.append([{ event: "message", data: "a", id: "" }]);
  return relay;
}

async function pageOf(browser: Browser, url: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  return page;
}

Deno.test({
  name:
    "a page of another origin uses a relay in Chromium that lists it, and no other",
  ignore,
  async fn() {
    await using pages = servePages();
    const app = `http://localhost:${pages.addr.port}`;
    await using browser = await startChromium();
    const page = await pageOf(browser, app);
    for (
      const [origins, expected, next] of [
        [[app], ALL, 3],
        [["http://*.localhost"], NOTHING, 2],
        [[app.replace("http", "https")], NOTHING, 2],
        [[], NOTHING, 2],
        // No cookies where anybody may ask.
        [["*"], { ...ALL, cookies: "refused" }, 3],
      ] as const
    ) {
      await using relay = await startFilled(origins);
      const seen = await lookAround(page, relay.url);
      assertEquals(seen, expected, `[${origins}]`);
      // The forbidden publication had no effect.
      assertEquals(relay.relay.topics.get("t")?.log.next, next);
      // It is not to hold up the relay.
      await page.goto(app);
    }
  },
});

Deno.test({
  name: "the relay's own pages in Chromium need no list",
  ignore,
  async fn() {
    await using relay = await startFilled([]);
    await using browser = await startChromium();
    const page = await pageOf(browser, `${relay.url}/healthz`);
    assertEquals(await lookAround(page, relay.url), { ...ALL, image: "basic" });
    await page.goto("about:blank");
  },
});

Deno.test({
  name:
    "a page in Chromium whose name was made to lead to the relay gets nothing",
  ignore,
  async fn() {
    await using relay = await startFilled([]);
    await using browser = await startChromium([EVIL]);
    const evil = `http://${EVIL}:${relay.port}`;
    const page = await browser.newPage();
    // Its own host, as the browser sees it: there is nothing that it may not read.
    const answer = await page.goto(`${evil}/topics`);
    assertEquals(answer?.status(), 421);
    const told = await page.evaluate(async () => {
      const response = await fetch("/topics/t", { method: "DELETE" });
      return (await response.json()).code;
    });
    assertEquals(told, "host_not_allowed");
    const { list, socket, stream } = await lookAround(page, evil);
    assertEquals([list, socket, stream], ["refused", "refused", "refused"]);
    assertEquals(relay.relay.topics.get("t")?.log.next, 2);
    await page.goto("about:blank");
  },
});
