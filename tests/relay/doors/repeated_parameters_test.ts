// A parameter that the relay reads and that is there twice: a table of the routes by their
// parameters. What is for a provider goes on as it came.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { LIST_PARAMETERS } from "../../../relay/doors/http/topics/topic_query.ts";
import {
  parametersOf,
  READING_DOORS,
} from "../../../relay/doors/subscription_request.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { startRelay } from "../../support/relay/relay.ts";
import {
  RawClient,
  requestUpgrade,
} from "../../support/subscribers/raw_websocket.ts";

const SSE = { accept: "text/event-stream" };
const JSON_ACCEPT = { accept: "application/json" };
const SENT = { "content-type": "application/json" };

interface Route {
  readonly request: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly parameters: readonly string[];
}

const ONE = '{"data":"x"}';

/** Every route that reads a query: those of `after` alone for a prefix are in the stream's. */
const ROUTES: readonly Route[] = [
  { request: "GET /topics", headers: JSON_ACCEPT, parameters: LIST_PARAMETERS },
  { request: "GET /topics", headers: SSE, parameters: LIST_PARAMETERS },
  {
    request: "GET /topics/t*",
    headers: SSE,
    parameters: parametersOf("stream"),
  },
  {
    request: "GET /topics/t",
    headers: SSE,
    // It refuses the last three by their names, unless they are as it is anyway.
    parameters: [...parametersOf("stream"), "mode", "window", "snapshot"],
  },
  {
    request: "GET /topics/t",
    headers: JSON_ACCEPT,
    parameters: parametersOf("page"),
  },
  {
    request: "PUT /topics/t",
    headers: SENT,
    body: "{}",
    parameters: ["renew"],
  },
  {
    request: "POST /topics/t",
    headers: SENT,
    body: ONE,
    parameters: ["end", "within"],
  },
];

/** The values that the parameters take. */
const VALUES: Readonly<Record<string, string>> = {
  after: "start",
  limit: "1",
  mode: "all",
  window: "1000",
  within: "1000",
  skip: "0",
  state: "open",
  status: "complete",
  source: "none",
  sort: "name",
};

function valueOf(name: string): string {
  return VALUES[name] ?? "true";
}

/** The query of a parameter that is there twice, in each way. */
function queriesOf(name: string): string[] {
  const value = valueOf(name);
  const code = name.charCodeAt(0).toString(16);
  return [
    `${name}=${value}&${name}=${value}`,
    `${name}=${value}&x=1&%${code}${name.slice(1)}=other`,
    `${name}&${name}=`,
  ];
}

for (const { request, headers = {}, body, parameters } of ROUTES) {
  const accept = headers["accept"] ?? "";
  Deno.test(`${request} ${accept} refuses a parameter that is there twice`, async () => {
    await using relay = await startRelay();
    const [method = "", path = ""] = request.split(" ");
    const ask = (query: string) =>
      relay.request(`${path}?${query}`, {
        method,
        headers,
        ...(body !== undefined && { body }),
      });
    for (const name of parameters) {
      for (const query of queriesOf(name)) {
        const response = await ask(query);
        const { code, detail } = await response.json();
        assertEquals([response.status, code], [400, "invalid_query"], query);
        assertStringIncludes(detail, `'${name}'`, query);
      }
    }
    // Nothing was done.
    const topics = await (await relay.request("/topics")).json();
    assertEquals(topics.topics, []);
    // The relay does not read these.
    const ignored = await ask("x=1&x=2");
    assertEquals(ignored.status < 400 || ignored.status === 404, true);
    await ignored.body?.cancel();
  });
}

Deno.test("An upgrade refuses a parameter that is there twice", async () => {
  await using relay = await startRelay();
  for (const name of parametersOf("websocket")) {
    for (const query of queriesOf(name)) {
      await using client = await RawClient.connect(relay.url);
      const target = `/topics/t?${query}`;
      const { status, body } = await requestUpgrade(client, target);
      assertEquals([status, JSON.parse(body).code], [400, "invalid_query"]);
      assertStringIncludes(JSON.parse(body).detail, `'${name}'`);
    }
  }
});

Deno.test("The table of repeated parameters has every parameter of a subscription", () => {
  const known = new Set(ROUTES.flatMap(({ parameters }) => parameters));
  for (const door of READING_DOORS) {
    for (const name of parametersOf(door)) assertEquals(known.has(name), true);
  }
});

Deno.test("A provider gets a query with repeated parameters as it came", async () => {
  await using world = await startGateway();
  const run = await world.begin({
    headers: { "rivulet-topic": "t" },
    path: "responses?after=1&after=2&end=x&end=y",
  });
  assertEquals(
    run.exchange.target.replace(/^.*\?/, ""),
    "after=1&after=2&end=x&end=y",
  );
  const created = {
    type: "response.completed",
    sequence_number: 0,
    response: { id: "resp_1", status: "completed" },
  };
  await run.exchange.stream(`data: ${JSON.stringify(created)}\n\n`);
  await run.exchange.end();
  await (await run.answer).rest();
  // Where only one value could be meant, the relay has the response itself.
  const own = await world.request("/v1/responses/resp_1?stream=true");
  assertStringIncludes(await own.text(), "resp_1");
  const query = "stream=true&starting_after=9&starting_after=0";
  const answer = world.request(`/v1/responses/resp_1?${query}`);
  const { target, ...asked } = await world.provider.next().then((exchange) => ({
    target: exchange.target,
    exchange,
  }));
  assertEquals(target.replace(/^.*\?/, ""), query);
  await asked.exchange.json(200, {});
  await (await answer).body?.cancel();
});
