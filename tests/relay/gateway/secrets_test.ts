// No key, Authorization header or cookie is in anything that the relay says by itself.
import { assert, assertEquals } from "@std/assert";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { LogCapture } from "../../support/observing/log_capture.ts";
import { passTime } from "../../support/pass_time.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";

/** Each where its name says; none can come by chance. */
const SECRETS = {
  relayKey: "sk-relay-0123456789",
  authorization: "sk-caller-authorization-0123456789",
  apiKey: "sk-caller-api-key-0123456789",
  cookie: "cookie-0123456789",
  proxy: "cHJveHk6c2VjcmV0MDEyMzQ1Njc4OQ==",
  query: "query-key-0123456789",
  googleKey: "google-key-0123456789",
} as const;

const HEADERS = {
  "content-type": "application/json",
  "authorization": `Bearer ${SECRETS.authorization}`,
  "x-api-key": SECRETS.apiKey,
  "x-goog-api-key": SECRETS.googleKey,
  "cookie": `session=${SECRETS.cookie}`,
  "proxy-authorization": `Basic ${SECRETS.proxy}`,
};

const QUERY = `?key=${SECRETS.query}`;

async function readAll(folder: string): Promise<string> {
  let text = "";
  for await (const { name } of Deno.readDir(folder)) {
    text += `${name}\n${await Deno.readTextFile(`${folder}/${name}`)}\n`;
  }
  return text;
}

for (
  const [whose, keys, told] of [
    ["the relay's", { key: SECRETS.relayKey }, [SECRETS.relayKey]],
    ["the caller's", {}, [
      SECRETS.authorization,
      SECRETS.apiKey,
      SECRETS.googleKey,
    ]],
  ] as const
) {
  Deno.test(`B6: Nothing that the relay says has a secret in it, with ${whose} key`, async () => {
    // As providers quote what they refuse.
    const quote = `Incorrect API key provided: ${told.join(" ")} ${QUERY}`;
    await using log = await LogCapture.start();
    const clock = new FakeClock(Date.UTC(2026, 0, 1));
    const folder = await Deno.makeTempDir();
    let said = "";
    {
      await using world = await startGateway({
        clock,
        gateway: { record: folder },
      }, { ...keys, idempotent: true });
      const ask = (name: string): Promise<CallerStream> =>
        world.request(`/v1/chat/completions${QUERY}`, {
          method: "POST",
          headers: {
            ...HEADERS,
            "rivulet-topic": name,
            "idempotency-key": name,
          },
          body: JSON.stringify({ stream: true }),
        }).then((response) => new CallerStream(response));
      const look = async (): Promise<void> => {
        for (const { name } of world.relay.topics) {
          const page = await world.request(`/topics/${name}`, {
            headers: { accept: "application/json" },
          });
          said += await page.text();
          const head = await world.request(`/topics/${name}`, {
            method: "HEAD",
          });
          said += JSON.stringify([...head.headers]);
          await head.body?.cancel();
        }
        said += await (await world.request("/topics")).text();
      };
      const { start, delta, ends } = WIRE_FORMATS["Chat"]!;

      // Refusals: the caller alone gets the provider's own words.
      for (const status of [401, 429, 500]) {
        const asked = ask(`refused-${status}`);
        const exchange = await world.provider.next();
        await exchange.json(status, { error: { message: quote } });
        await (await asked).rest();
        await look();
      }
      // An error within a stream.
      const failing = ask("failing");
      const failed = await world.provider.next();
      assertEquals(failed.target.endsWith(QUERY), whose === "the caller's");
      await failed.stream(
        `${start}${delta("a")}data: ${
          JSON.stringify({ error: { code: "invalid_api_key", message: quote } })
        }\n\n`,
        { "set-cookie": `a=${SECRETS.cookie}` },
      );
      await failed.end();
      const caller = await failing;
      said += JSON.stringify([...caller.response.headers]);
      // The caller alone has all that the provider says.
      assert((await caller.rest()).text.includes(quote));
      const end = await world.ended("failing");
      assertEquals((await world.events("failing")).length, 3);
      assert(end.reason?.startsWith("invalid_api_key"), end.reason);
      said += JSON.stringify(end);
      // A whole one, and one that joins it.
      const whole = ask("whole");
      const exchange = await world.provider.next();
      await exchange.stream(start + delta("b") + ends[0]![1]);
      await exchange.end();
      await (await whole).rest();
      const joined = await ask("whole");
      said += JSON.stringify([...joined.response.headers]);
      said += (await joined.rest()).text;
      // One that dies, is asked again, and given up.
      const dying = ask("dying");
      for (let i = 0; i < 3; i++) {
        (await passTime(clock, world.provider.next())).reset();
      }
      said += (await (await dying).rest()).text;
      // A refusal of the relay itself.
      said += (await (await ask("whole!")).rest()).text;
      const mismatch = await world.request(`/v1/chat/completions${QUERY}`, {
        method: "POST",
        headers: { ...HEADERS, "idempotency-key": "whole" },
        body: JSON.stringify({ stream: true, model: "other" }),
      });
      said += await mismatch.text();
      await look();
      // The run that waits to retry gives up.
      await clock.advance(100_000);
      await look();
    }
    const recorded = await readAll(folder);
    await Deno.remove(folder, { recursive: true });
    assert(recorded.includes("whole"), "nothing was recorded");
    assert(said.includes("provider_unreachable"), said);
    assert(log.text.includes("ended after"), "nothing was logged");
    for (const [name, secret] of Object.entries(SECRETS)) {
      for (
        const [where, text] of Object.entries({ said, recorded, log: log.text })
      ) {
        const at = text.indexOf(secret);
        assert(
          at < 0,
          `${name} is in ${where}: ${
            text.slice(Math.max(0, at - 200), at + 50)
          }`,
        );
      }
    }
  });
}

Deno.test("A provider that cannot be reached is named without what was asked of it", async () => {
  await using log = await LogCapture.start();
  const clock = new FakeClock();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  await new Promise((resolve) => server.close(resolve));
  await using relay = await startRelay({
    clock,
    gateway: {
      providers: [{
        name: "gone",
        url: `http://127.0.0.1:${port}/v1`,
        key: SECRETS.relayKey,
      }],
    },
  });
  // Too short to be looked for everywhere, and yet a secret.
  const short = "k=s3";
  const asked = relay.request(`/v1/models${QUERY}&${short}`, {
    headers: HEADERS,
  });
  const caller = new CallerStream(await passTime(clock, asked));
  assertEquals(caller.status, 502);
  const { text } = await caller.rest();
  for (const secret of [short, ...Object.values(SECRETS)]) {
    assert(!text.includes(secret), text);
    assert(!log.text.includes(secret), log.text);
  }
});
