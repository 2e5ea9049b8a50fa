// Whatever topics come, end and begin anew, and whenever a reader of a prefix comes or loses
// its connection: it gets each event of each topic that it may have, once and in order.
// Compared with plain arrays.
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { subscribe } from "../../../relay/client/mod.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import { propertyParameters } from "../../support/property.ts";
import {
  startStoredRelay,
  STORE_KINDS,
  type StoreKind,
} from "../../support/relay/stores.ts";
import { readPrefix } from "../../support/subscribers/prefix_stream.ts";
import { LIMIT, until } from "../../support/within.ts";

type Status = "complete" | "failed" | "cancelled";

const NAMES = ["p:a", "p:b", "p:", "q"] as const;

type Name = typeof NAMES[number];

/** An epoch of a topic, as plainly as it can be said. */
interface Epoch {
  readonly epoch: string;
  readonly data: string[];
  end: Status | undefined;
}

/** The epoch of a topic at which a reader begins, and how many of its events it does not get. */
interface From {
  readonly index: number;
  readonly skipped: number;
}

const topic = fc.constantFrom<Name>(...NAMES);

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant("publish" as const),
      topic,
      count: fc.integer({ min: 1, max: 4 }),
      isWhole: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("end" as const),
      topic,
      status: fc.constantFrom<Status>("complete", "failed", "cancelled"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("join" as const),
      door: fc.constantFrom(
        "websocket" as const,
        "sse" as const,
        "client" as const,
      ),
      after: fc.constantFrom("start" as const, "now" as const, undefined),
      stay: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("cut" as const) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("mend" as const) }) },
);

type Command = typeof command extends fc.Arbitrary<infer Value> ? Value
  : never;

/** Notes what came of each topic, as {@linkcode expected} says it. */
class Notes {
  readonly lines = new Map<string, string[]>();
  hasBegun = false;

  take(message: Readonly<Record<string, unknown>>): void {
    const name = String(message["topic"]);
    if (message["type"] === "following") return void (this.hasBegun = true);
    const lines = this.lines.get(name) ?? [];
    this.lines.set(name, lines);
    switch (message["type"]) {
      case "subscribed": {
        const line = `begin ${message["epoch"]}`;
        // A reader that came back is told of the epoch that it knows.
        if (!lines.includes(line)) lines.push(line);
        return;
      }
      case "events":
        for (const { data } of message["events"] as { data: string }[]) {
          lines.push(data);
        }
        return;
      case "end":
        return void lines.push(`end ${message["status"]}`);
      case "event":
        return void lines.push(`${message["data"]}`);
      case "gap":
      case "error":
      case "refused":
        lines.push(JSON.stringify(message));
    }
  }
}

interface Reader {
  readonly notes: Notes;
  readonly from: ReadonlyMap<Name, From>;
  close(): Promise<void>;
}

function overWebSocket(
  url: string,
  query: Readonly<Record<string, unknown>>,
  notes: Notes,
): () => Promise<void> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
  const closed = new Promise<void>((resolve) => {
    socket.onclose = () => resolve();
  });
  socket.onopen = () =>
    socket.send(JSON.stringify({ type: "subscribe", topic: "p:*", ...query }));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if ("topic" in message) notes.take(message);
  };
  return async () => {
    socket.close();
    await closed;
  };
}

/** Reads as the subscriber's library does, which comes back by itself. */
function throughClient(
  url: string,
  query: { after: string | undefined; stay: boolean },
  notes: Notes,
): () => Promise<void> {
  const subscription = subscribe(`${url}/topics/p:*`, {
    ...query,
    reconnect: { minTimeout: 1, maxTimeout: 10 },
  });
  const reading = (async () => {
    for await (const message of subscription) notes.take({ ...message });
  })();
  const watching = until(
    () => subscription.state === "open" || undefined,
    LIMIT,
    "the relay's answer",
  ).then(() => notes.hasBegun = true);
  return async () => {
    await watching;
    await subscription.close();
    await reading;
  };
}

/** Reads as an `EventSource` does: with the id of the last event that was whole. */
function overSse(
  url: string,
  { after, stay }: { after: string | undefined; stay: boolean },
  notes: Notes,
): () => Promise<void> {
  const abort = new AbortController();
  const { signal } = abort;
  let last: string | undefined;
  const visit = async () => {
    const query = new URLSearchParams({
      stay: String(stay),
      ...(after && { after }),
    });
    const { body } = await fetch(`${url}/topics/p:*?${query}`, {
      signal,
      headers: last === undefined ? {} : { "Last-Event-ID": last },
    });
    for await (const { id, message } of readPrefix(body!, signal)) {
      last = id;
      notes.take(message);
    }
  };
  const reading = (async () => {
    while (!signal.aborted) {
      await visit().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  return async () => {
    abort.abort();
    await reading;
  };
}

/** Returns what a reader must receive of a topic. */
function expected(
  epochs: readonly Epoch[],
  { index, skipped }: From,
): string[] {
  return epochs.slice(index).flatMap(({ epoch, data, end }, at) => [
    `begin ${epoch}`,
    ...data.slice(at === 0 ? skipped : 0),
    ...(end ? [`end ${end}`] : []),
  ]);
}

async function run(
  kind: StoreKind,
  commands: readonly Command[],
): Promise<void> {
  await using world = await startStoredRelay(kind);
  const { relay } = world;
  await using line = await CuttableLine.start(relay.port);
  const history = new Map<Name, Epoch[]>(NAMES.map((name) => [name, []]));
  const readers: Reader[] = [];
  let number = 0;
  const epochsOf = (name: Name) => history.get(name) ?? [];

  async function publish(
    name: Name,
    count: number,
    isWhole: boolean,
  ): Promise<void> {
    const epochs = epochsOf(name);
    const data = Array.from({ length: count }, () => `${++number}`);
    const response = await relay.request(
      `/topics/${name}${isWhole ? "?end" : ""}`,
      {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(epochs.at(-1)?.end !== undefined && {
            "rivulet-if-ended": "renew",
          }),
        },
        body: JSON.stringify(data.map((data) => ({ data }))),
      },
    );
    const { epoch } = await response.json();
    assertEquals(response.status, 200);
    let last = epochs.at(-1);
    if (last?.epoch !== epoch) {
      epochs.push(last = { epoch, data: [], end: undefined });
    }
    last!.data.push(...data);
    if (isWhole) last!.end = "complete";
  }

  async function end(name: Name, status: Status): Promise<void> {
    const last = epochsOf(name).at(-1);
    if (!last || last.end) return;
    const response = await relay.request(`/topics/${name}/end`, {
      method: "POST",
      body: JSON.stringify({ status }),
    });
    await response.body?.cancel();
    last.end = status;
  }

  async function join(
    { door, after, stay }: Extract<Command, { does: "join" }>,
  ): Promise<void> {
    line.mend();
    const from = NAMES.filter((name) => name !== "q").map((name) => {
      const epochs = epochsOf(name);
      const last = epochs.at(-1);
      // A topic that has ended is not followed before it begins anew.
      const isOver = !last || last.end !== undefined;
      const place = isOver ? { index: epochs.length, skipped: 0 } : {
        index: epochs.length - 1,
        skipped: after === "now" ? last.data.length : 0,
      };
      return [name, place] as const;
    });
    const notes = new Notes();
    const query = { after, stay };
    const close = door === "sse"
      ? overSse(line.url, query, notes)
      : door === "client"
      ? throughClient(line.url, query, notes)
      : overWebSocket(relay.url, query, notes);
    readers.push({ notes, from: new Map(from), close });
    await until(() => notes.hasBegun || undefined, LIMIT, "the first message");
  }

  try {
    for (const each of commands) {
      switch (each.does) {
        case "publish":
          await publish(each.topic, each.count, each.isWhole);
          break;
        case "end":
          await end(each.topic, each.status);
          break;
        case "join":
          await join(each);
          break;
        case "cut":
          line.cut();
          break;
        case "mend":
          line.mend();
          break;
      }
    }
    line.mend();
    for (const name of NAMES) {
      await publish(name, 1, false);
      await end(name, "complete");
    }
    for (const { notes, from } of readers) {
      for (const [name, place] of from) {
        const all = expected(epochsOf(name), place);
        const lines = () => notes.lines.get(name) ?? [];
        await until(
          () => lines().length >= all.length || undefined,
          LIMIT,
          () =>
            `${name} ${JSON.stringify(all)}: got ${JSON.stringify(lines())}`,
        );
        assertEquals(lines(), all, name);
      }
      assertEquals(notes.lines.get("q"), undefined);
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

for (const kind of STORE_KINDS) {
  Deno.test(`A reader of a prefix gets each event of its topics once, over WebSocket and SSE, and through the library (${kind})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { minLength: 5, maxLength: 30, size: "max" }),
        (commands) => run(kind, commands),
      ),
      propertyParameters(kind === "memory" ? 15 : 6),
    );
  });
}
