import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { RelayOptions } from "../../../../relay/options/relay_options.ts";
import { createRelay, RelayOptionsError } from "../../../../relay/mod.ts";
import type { TopicEnd } from "../../../../relay/topics/end.ts";
import { LogCapture } from "../../../support/observing/log_capture.ts";
import { RawServer } from "../../../support/http/raw_server.ts";
import {
  events,
  RecordingSite,
  redirect,
} from "../../../support/upstreams/recording_site.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import { LIMIT, within } from "../../../support/within.ts";

function put(
  relay: TestRelay,
  topic: string,
  url: string,
  more: Record<string, unknown> = {},
): Promise<Response> {
  return relay.request(`/topics/${topic}`, {
    method: "PUT",
    body: JSON.stringify({ source: { url, reconnect: false, ...more } }),
  });
}

/** Returns the end of a topic that is made from a URL. */
async function endOf(relay: TestRelay, url: string): Promise<TopicEnd> {
  const response = await put(relay, "t", url);
  await response.body?.cancel();
  assertEquals(response.status, 201, url);
  const ended = relay.relay.topics.get("t")!.ended; // it was made
  const end = await within(ended, LIMIT, `the end of ${url}`);
  relay.relay.topics.delete("t");
  return end;
}

Deno.test("PUT makes no topic from an address of the relay's own network, unless that is allowed", async (t) => {
  await using site = await RecordingSite.start({
    "/": events("data: a\n\n"),
    "/back": redirect("/"),
  });
  const { port } = site;
  const urls = [
    `http://127.0.0.1:${port}/`,
    `http://localhost:${port}/`,
    `http://LOCALHOST:${port}/`,
    `http://0x7f.1:${port}/`,
    `http://2130706433:${port}/back`,
  ];
  await t.step("not allowed", async () => {
    await using log = await LogCapture.start();
    await using relay = await startRelay({ rights: { allowSources: ["*"] } });
    for (const url of urls) {
      const { status, reason = "" } = await endOf(relay, url);
      assertEquals(status, "failed", url);
      assertStringIncludes(reason, "no address that the operator has allowed");
    }
    // If the host is not an address itself, its address is not told.
    const { reason = "" } = await endOf(relay, `http://localhost:${port}/`);
    assertEquals(/127\.|::1/.test(reason), false, reason);
    assertStringIncludes(log.text, "127.0.0.1");
    assertEquals(site.connections, 0);
  });
  await t.step("allowed", async () => {
    await using relay = await startRelay({
      rights: {
        allowSources: ["http://*:*"],
        allowAddresses: ["127.0.0.0/8", "::1"],
      },
    });
    for (const url of urls) {
      assertEquals(await endOf(relay, url), { status: "complete" }, url);
    }
    assertEquals(site.requests.length, urls.length + 1);
  });
});

Deno.test("A topic made by PUT is not redirected to where it may not be made from", async () => {
  await using inside = await RecordingSite.start({}, "127.0.0.2");
  await using site = await RecordingSite.start({
    "/metadata": redirect("http://169.254.169.254/latest/meta-data/"),
    "/inside": redirect(inside.origin),
    "/scheme": redirect("file:///etc/passwd"),
  });
  await using relay = await startRelay({
    rights: { allowSources: ["*"], allowAddresses: ["127.0.0.1"] },
  });
  for (
    const [path, why] of [
      ["/metadata", "no address that the operator has allowed"],
      ["/inside", "no address that the operator has allowed"],
      ["/scheme", "made from there"],
    ]
  ) {
    const { status, reason = "" } = await endOf(relay, site.origin + path);
    assertEquals(status, "failed");
    assertStringIncludes(reason, why ?? "");
    assertEquals(/169\.|127\.0\.0\.2|passwd/.test(reason), false, reason);
  }
  assertEquals(inside.connections, 0);
});

Deno.test("PUT is refused where there are as many upstreams as there may be, and leaves no topic", async () => {
  using server = new RawServer();
  await using relay = await startRelay({
    rights: { allowSources: [server.origin], allowAddresses: ["127.0.0.1"] },
    limits: { maxUpstreams: 1 },
  });
  const streaming = server.stream();
  const first = await put(relay, "a", server.origin);
  assertEquals([first.status, (await first.json()).name], [201, "a"]);
  const connection = await streaming;
  const refused = await put(relay, "b", server.origin);
  assertEquals([refused.status, (await refused.json()).code], [
    503,
    "too_many_upstreams",
  ]);
  assertEquals(Number(refused.headers.get("retry-after")) > 0, true);
  // It is there for those who wait for it, if anybody does.
  const left = relay.relay.topics.get("b");
  assertEquals(left === undefined || relay.relay.topics.isAwaited(left), true);
  relay.relay.topics.delete("a");
  await within(connection.closed(), LIMIT, "the first upstream to be closed");
  const again = server.stream();
  // The slot is back once the connection is gone on the relay's side.
  const made = await within(
    (async () => {
      for (;;) {
        const response = await put(relay, "b", server.origin);
        await response.body?.cancel();
        if (response.status !== 503) return response.status;
      }
    })(),
    LIMIT,
    "the slot",
  );
  assertEquals(made, 201);
  await again;
});

Deno.test("A relay is not made with what is no pattern of URLs", () => {
  const table: [RelayOptions, string][] = [
    [
      { rights: { allowSources: ["example.com"] } },
      "rights.allowSources[0]: expected the pattern",
    ],
    [
      { rights: { allowSources: ["*", "https://*example.com/"] } },
      "rights.allowSources[1]: expected the pattern",
    ],
    [
      { rights: { allowAddresses: ["localhost"] } },
      "rights.allowAddresses[0]: expected an address or a range of them, such as 10.0.0.0/8",
    ],
    [
      { rights: { allowAddresses: ["10.0.0.0/33"] } },
      "rights.allowAddresses[0]: expected an address or a range of them, such as 10.0.0.0/8",
    ],
  ];
  for (const [options, message] of table) {
    assertThrows(() => createRelay(options), RelayOptionsError, message);
  }
});
