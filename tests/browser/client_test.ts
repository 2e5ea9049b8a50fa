import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import {
  isChromiumMissing,
  startChromium,
} from "../support/client/chromium.ts";
import { bundleClient } from "../support/client/client_bundle.ts";
import {
  ClientWorld,
  EXPECTED,
  isWhole,
} from "../support/client/client_world.ts";
import {
  events,
  type ScriptedConnection,
  subscribed,
  WELCOME,
} from "../support/client/scripted_relay.ts";
import { LIMIT, until } from "../support/within.ts";

const ignore = isChromiumMissing();

/** A page of the relay that cuts its visitors off, with the program. */
async function withPage(
  world: ClientWorld,
  use: (page: Page) => Promise<void>,
): Promise<void> {
  const { pages, url } = world.scripted;
  pages.set("/page/", ["text/html", "<!doctype html><title>Client</title>"]);
  pages.set("/program.mjs", ["text/javascript", await bundleClient("program")]);
  pages.set("/client.mjs", ["text/javascript", await bundleClient("library")]);
  await using browser = await startChromium();
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${url.replace("ws", "http")}/page/`);
  await use(page);
  assertEquals(errors, []);
}

Deno.test({
  name: "the client runs in Chromium",
  ignore,
  async fn() {
    await using world = await ClientWorld.start();
    await withPage(world, async (page) => {
      // A relative URL is of the page, whose relay cuts its visitors off.
      const urls = { ...world.urls, flaky: "../topics/t" };
      const result = await page.evaluate(async (urls) => {
        const { runClientProgram } = await import(
          `${location.origin}/program.mjs`
        );
        return await runClientProgram(urls);
      }, urls);
      const { flaky, ...rest } = result;
      assertEquals(rest, EXPECTED);
      assert(isWhole(flaky), `${flaky}`);
    });
  },
});

Deno.test({
  name: "the client resumes in Chromium once the relay is back",
  ignore,
  async fn() {
    await using world = await ClientWorld.start();
    const { scripted } = world;
    const connections: ScriptedConnection[] = [];
    scripted.onConnection = (connection) => {
      connections.push(connection);
      const [, digits = "0"] = (connection.query.get("after") ?? "").split(":");
      const after = Number(digits);
      connection.say(WELCOME, subscribed("t", after), events("t", after + 1));
      if (after === 0) return;
      connection.say({
        type: "end",
        topic: "t",
        offset: 3,
        status: "complete",
      });
    };
    await withPage(world, async (page) => {
      const read = page.evaluate(async () => {
        const { subscribe } = await import(`${location.origin}/client.mjs`);
        const subscription = subscribe("/topics/t", {
          reconnect: { maxTimeout: 50 },
        });
        const seen: string[] = [];
        for await (const message of subscription) {
          seen.push(message.data);
          Reflect.set(globalThis, "last", message.data);
        }
        return [...seen, subscription.end.status];
      });
      await page.waitForFunction(() => Reflect.get(globalThis, "last") === "1");
      // It is away for a few attempts.
      scripted.refuseWith = 503;
      connections[0]?.cut();
      await until(
        () => scripted.attempts >= 4 || undefined,
        LIMIT,
        "attempts",
      );
      scripted.refuseWith = undefined;
      assertEquals(await read, ["1", "2", "complete"]);
      assertEquals(connections.length, 2);
    });
  },
});
