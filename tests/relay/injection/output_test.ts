// The relay's output about others, for people and for programs: a record is a
// line, and a number a number, whoever has chosen the words in it.
import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { hostileText } from "../../support/upstreams/hostile_text.ts";
import { Exposition } from "../../support/observing/exposition.ts";
import { propertyParameters } from "../../support/property.ts";
import { latin1, RawHttp } from "../../support/http/raw_http.ts";
import { RawProvider } from "../../support/gateway/raw_provider.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import { startRelay } from "../../support/relay/relay.ts";

/** Some text of each kind, the same for every test of a run. */
function texts(count: number): string[] {
  const { seed } = propertyParameters(count);
  return fc.sample(hostileText, { numRuns: count, seed });
}

/** Without what no header's value can have, so that the rest gets through. */
function headerValue(text: string): string {
  // deno-lint-ignore no-control-regex -- they are what is meant
  return text.replaceAll(/[\x00-\x08\x0A-\x1F\x7F]|[^\x00-\xFF]/g, "").trim()
    .slice(0, 500);
}

/** A path that `fetch` takes: it knows none of over 65,534 bytes. */
function pathOf(text: string): string {
  return encodeURIComponent(text.slice(0, 2_000).toWellFormed());
}

/** Whatever the relay logs, with hostile words in it. */
async function provoke(
  { url }: RelayCommand,
  provider: RawProvider,
  text: string,
): Promise<void> {
  const value = headerValue(text);
  const path = pathOf(text);
  const json = { "Content-Type": "application/json" };
  const requests: Promise<Response>[] = [
    fetch(`${url}/nowhere/${path}`),
    fetch(`${url}/topics/${path}`),
    fetch(`${url}/topics/t?after=${path}`),
    fetch(`${url}/topics/t`, { headers: { "User-Agent": value } }),
    fetch(`${url}/topics/t`, { headers: { Origin: value || "x" } }),
    fetch(`${url}/topics/t`, {
      method: "POST",
      headers: json,
      body: JSON.stringify({ data: text, event: text, [text]: text }),
    }),
    fetch(`${url}/topics/ended/end`, {
      method: "POST",
      headers: json,
      body: JSON.stringify({ status: "failed", reason: text.slice(0, 900) }),
    }),
  ];
  for (const request of requests) await (await request).body?.cancel();
  const asked = fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { ...json, "Rivulet-Topic": `run-${crypto.randomUUID()}` },
    body: '{"stream":true}',
  });
  const exchange = await provider.next();
  await exchange.body();
  await exchange.stream(
    `data: ${JSON.stringify({ error: { message: text } })}\n\n`,
  );
  await exchange.end();
  await (await asked).body?.cancel();
  await using raw = await RawHttp.open(url);
  await raw.send(latin1(`GET /${value} HTTP/1.1\r\nX: ${value}\r\n\r\n`));
  raw.client.end();
  await raw.rest();
}

for (const format of ["text", "json"] as const) {
  Deno.test(`The relay's log has a line for each record, as ${format}`, async () => {
    await using provider = await RawProvider.start();
    const relay = await RelayCommand.start({
      args: [
        ...["--log-level", "debug", "--log-format", format],
        ...["--provider", `raw=${provider.url}`],
      ],
    });
    try {
      await (await fetch(`${relay.url}/topics/ended`, { method: "PUT" })).body
        ?.cancel();
      for (const text of texts(25)) await provoke(relay, provider, text);
    } finally {
      await relay[Symbol.asyncDispose]();
    }
    const log = await relay.stderr;
    assert(log.endsWith("\n"));
    const lines = log.slice(0, -1).split("\n");
    assert(lines.length > 100, `there are ${lines.length} lines`);
    for (const line of lines) {
      // Nothing that ends a line somewhere, moves a cursor, or cannot be seen.
      assert(
        !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(line),
        JSON.stringify(line),
      );
      if (format === "json") {
        const record = JSON.parse(line);
        assertMatch(record["@timestamp"], /^20[0-9-]+T[0-9:.]+Z$/);
        assertMatch(record.logger, /^rivulet\./);
      } else {
        assertMatch(line, /^20[0-9-]+[T ][0-9:.]+ ?\S* \[[A-Z]{3}\] rivulet·/);
      }
    }
  });
}

Deno.test("Metrics have the same labels, whatever was said", async () => {
  await using relay = await startRelay({ rights: { publicMetrics: true } });
  const metrics = async (): Promise<Set<string>> => {
    const response = await relay.request("/metrics");
    assertEquals(response.status, 200);
    const { families } = new Exposition(await response.text());
    return new Set(
      [...families.values()].flatMap(({ samples }) =>
        samples.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`)
      ),
    );
  };
  const before = await metrics();
  for (const whole of texts(50)) {
    // A body that is refused before it has come is waited for.
    const text = whole.slice(0, 2_000);
    const path = pathOf(text);
    const requests = [
      relay.request(`/${path}`),
      relay.request(`/topics/${path}`),
      relay.request("/topics/__proto__", { method: "PUT" }),
      relay.request("/topics/t", { headers: { Origin: headerValue(text) } }),
      relay.request("/topics/t", {
        method: "POST",
        headers: { "Content-Type": headerValue(text) || "x" },
        body: text,
      }),
      relay.request("/topics/t/end", {
        method: "POST",
        body: JSON.stringify({ status: text, reason: text }),
      }),
    ];
    for (const request of requests) await (await request).body?.cancel();
  }
  const after = await metrics();
  // No more of them, but for those of what happens for the first time.
  const allowed = after.size - before.size;
  assert(allowed < 60, `${allowed} more: ${[...after.difference(before)]}`);
  for (const sample of after) assertMatch(sample, /^\w+ \{["\w:.,+{}-]*\}$/);
});
