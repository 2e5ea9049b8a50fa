// Through three levels, readers are told what readers of the root are told.
import { assert, assertEquals } from "@std/assert";
import type { EndStatus } from "../../../relay/mod.ts";
import type { TestRelay } from "../../support/relay/relay.ts";
import type { Topic } from "../../../relay/topics/topic.ts";
import { Tree } from "../../support/links/tree.ts";
import { LIMIT, until, within } from "../../support/within.ts";

/** A way to fill a topic, and the end expected. */
interface Ending {
  readonly name: string;
  readonly fill: (topic: Topic) => Promise<void>;
  readonly end: readonly [
    status: EndStatus,
    reason?: string | undefined,
    whole?: boolean,
  ];
}

async function append(topic: Topic, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number++) {
    const event = number % 3 === 0 ? "third" : "message";
    await topic.append([{ event, data: `${number}`, id: `id-${number}` }]);
  }
}

const FILLS: Readonly<Record<string, Ending["fill"]>> = {
  nothing: async () => {},
  some: (topic) => append(topic, 1, 5),
  evicted: (topic) => append(topic, 1, 30),
  hole: async (topic) => {
    await append(topic, 1, 3);
    topic.skip(4, "slow");
    await append(topic, 8, 9);
    topic.skip(2, "evicted");
  },
};

const ENDS: readonly Ending["end"][] = [
  ["complete"],
  ["complete", undefined, false],
  ["failed", "out of tokens"],
  ["failed"],
  ["truncated", "the connection was reset"],
  ["cancelled", "enough"],
  ["expired", "too old"],
];

const ENDINGS: readonly Ending[] = Object.entries(FILLS).flatMap((
  [name, fill],
) =>
  ENDS.map((end, index) => ({ name: `${name}-${index}-${end[0]}`, fill, end }))
);

/** The doors, each with what it tells of a topic from a position on, up to its end. */
const DOORS: Readonly<
  Record<
    string,
    (relay: TestRelay, name: string, query: string) => Promise<unknown>
  >
> = {
  page: async ({ request }, name, query) => {
    const answer = await request(`/topics/${name}${query}`, {
      headers: { Accept: "application/json" },
    });
    return [answer.status, await answer.json()];
  },
  head: async ({ request }, name) => {
    const { status, headers } = await request(`/topics/${name}`, {
      method: "HEAD",
    });
    return [
      status,
      [...headers].filter(([name]) => name.startsWith("rivulet")),
    ];
  },
  stream: (relay, name, query) => readStream(relay, `${name}${query}`),
  raw: (relay, name, query) =>
    readStream(relay, `${name}${query === "" ? "?" : `${query}&`}raw`),
  websocket: (relay, name, query) => readSocket(relay, `${name}${query}`),
};

async function readStream(
  { request }: TestRelay,
  path: string,
): Promise<unknown> {
  const answer = await request(`/topics/${path}`, {
    headers: { Accept: "text/event-stream" },
  });
  let text = "";
  try {
    if (!answer.body) return [answer.status, ""];
    for await (const chunk of answer.body) {
      text += new TextDecoder().decode(chunk);
    }
    return [answer.status, text];
  } catch {
    return [answer.status, text, "cut"];
  }
}

async function readSocket(
  { url }: TestRelay,
  path: string,
): Promise<unknown> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/topics/${path}`);
  const messages: unknown[] = [];
  const closed = Promise.withResolvers<readonly [number, string]>();
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    // The session and the limits are the relay's own.
    if (message.type !== "welcome") messages.push(message);
  };
  socket.onclose = ({ code, reason }) => closed.resolve([code, reason]);
  return [...joined(messages), await closed.promise];
}

/** Events may come in other messages: what counts is which they are. */
function joined(messages: readonly unknown[]): unknown[] {
  return messages.flatMap((message) => {
    const { type, offset, events } = message as {
      readonly type: string;
      readonly offset: number;
      readonly events: readonly object[];
    };
    if (type !== "events") return [message];
    return events.map((event, index) => ({ ...event, offset: offset + index }));
  });
}

Deno.test("A tree of three levels tells every end at every door as its root does", async () => {
  await using tree = await Tree.start(3, { retention: { maxEvents: 10 } });
  const { root, leaf } = tree;
  for (const { name, fill, end } of ENDINGS) {
    const topic = root.relay.topics.create(name);
    topic.open();
    await fill(topic);
    topic.end(...end);
  }
  for (const { name } of ENDINGS) {
    const { epoch, next } = root.relay.topics.get(name)!.log; // just made
    const queries = [
      "",
      "?after=now",
      `?after=${epoch}:2`,
      `?after=${epoch}:${Math.max(1, next - 1)}`,
      `?after=${epoch}:${next}`,
      `?after=${epoch}:${next + 100}`,
      "?after=AAAAAAAAAAAA:3",
    ];
    const asked = Object.entries(DOORS).flatMap(([door, read]) =>
      queries.map(async (query) => {
        const what = `${name} at ${door} with '${query}'`;
        const told = Promise.all([
          read(leaf, name, query),
          read(root, name, query),
        ]);
        const [below, above] = await within(told, LIMIT, what);
        assertEquals(below, above, what);
      })
    );
    await Promise.all(asked);
  }
});

Deno.test("A tree tells readers as it happens what readers of the root are told", async () => {
  await using tree = await Tree.start(3, { retention: { maxEvents: 1_000 } });
  const { root, leaf } = tree;
  for (const { name, fill, end } of ENDINGS) {
    const topic = root.relay.topics.create(name);
    topic.open();
    const reading = [root, leaf].flatMap((relay) =>
      ["stream", "raw", "websocket"].map((door) =>
        DOORS[door]!(relay, name, "")
      )
    );
    const isFollowed = () =>
      [root, leaf].every(({ relay }) =>
        relay.topics.get(name)?.followers === 3
      ) || undefined;
    await until(isFollowed, LIMIT, "the readers");
    await fill(topic);
    topic.end(...end);
    const told = await within(Promise.all(reading), LIMIT, name);
    assertEquals(told.slice(3), told.slice(0, 3), name);
  }
});

Deno.test("A tree tells how the upstream is, lists what there is, and how far it is behind", async () => {
  await using tree = await Tree.start(3);
  const { root, leaf } = tree;
  const topic = root.relay.topics.create("t");
  topic.open();
  topic.setUpstream({ state: "retrying", attempt: 2, retryIn: 5, status: 503 });
  const socket = new WebSocket(`${leaf.url.replace("http", "ws")}/topics/t`);
  const upstreams: unknown[] = [];
  socket.onmessage = ({ data }) => {
    const { type, topic: _topic, ...message } = JSON.parse(data);
    if (type === "upstream") upstreams.push(message);
  };
  await until(() => upstreams.length === 1 || undefined, LIMIT, "its state");
  topic.setUpstream({ state: "open" });
  await until(
    () => upstreams.length === 2 || undefined,
    LIMIT,
    "its next state",
  );
  assertEquals(upstreams, [
    { state: "retrying", attempt: 2, retryIn: 5, status: 503 },
    { state: "open" },
  ]);
  const list = async ({ request }: TestRelay): Promise<unknown> =>
    await (await request("/topics")).json();
  const [above, below] = await Promise.all([list(root), list(leaf)]);
  assert(JSON.stringify(above).includes('"t"'));
  assertEquals(
    JSON.stringify(below).replace(/"(subscribers|lag)":\d+,?/g, ""),
    JSON.stringify(above).replace(/"(subscribers|lag)":\d+,?/g, ""),
  );
  const lag = await until(
    async () => {
      const text = await (await leaf.request("/metrics")).text();
      const [, seconds] = /^rivulet_store_lag_seconds (.*)$/m.exec(text) ?? [];
      return Number(seconds) > 0 ? Number(seconds) : undefined;
    },
    LIMIT,
    "the lag",
  );
  assert(lag < 10);
  const closed = Promise.withResolvers<void>();
  socket.onclose = () => closed.resolve();
  topic.end("complete");
  await within(closed.promise, LIMIT, "the end");
});

Deno.test("An edge that is behind gets what a position asks for before it says anything", async () => {
  await using tree = await Tree.start(2);
  const { root, leaf } = tree;
  const topic = root.relay.topics.create("t");
  await append(topic, 1, 3);
  const { topics } = leaf.relay;
  await topics.prepare("t");
  const below = topics.get("t");
  assert(below);
  const { epoch } = topic.log;
  await append(topic, 4, 9);
  // It has not heard of these: there was no turn of the loop.
  assertEquals(below.log.next, 4);
  assertEquals(topics.prepare("t", { after: { epoch, offset: 2 } }), undefined);
  assertEquals(topics.prepare("t", { after: "now" }), undefined);
  await topics.prepare("t", { after: { epoch, offset: 8 } });
  assertEquals(below.log.next, 10);
  const page = await leaf.request(`/topics/t?after=${epoch}:8`, {
    headers: { Accept: "application/json" },
  });
  assertEquals((await page.json()).events.length, 1);
  topic.end("complete");
});
