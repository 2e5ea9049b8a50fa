// Whatever turns there are, and whenever readers come, go and come back: each that stays
// gets every event of every epoch from its place on, once and in order, each epoch with
// its end. Compared with plain arrays.
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  subscribe,
  type SubscriptionMessage,
} from "../../../relay/client/mod.ts";
import { readEvents } from "../../../src/sse/read_events.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import { propertyParameters } from "../../support/property.ts";
import {
  startStoredRelay,
  STORE_KINDS,
  type StoreKind,
} from "../../support/relay/stores.ts";
import { LIMIT, until } from "../../support/within.ts";

type Status = "complete" | "failed" | "cancelled" | "truncated";

/** An epoch, as plainly as it can be said. */
interface Epoch {
  readonly epoch: string;
  readonly data: string[];
  end: Status | undefined;
}

/**
 * The place at which a reader begins: at the beginning, or after an event of a
 * former epoch.
 */
interface Place {
  readonly back: number;
  readonly offset: number;
}

type Door = "websocket" | "sse" | "client";

const command = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant("publish" as const),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant("end" as const),
      status: fc.constantFrom<Status>("complete", "failed", "cancelled"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant("whole" as const),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant("join" as const),
      door: fc.constantFrom<Door>("websocket", "sse", "client"),
      place: fc.option(
        fc.record({ back: fc.nat(5), offset: fc.nat(6) }),
        { nil: undefined },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("cut" as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("leave" as const) }) },
);

type Command = typeof command extends fc.Arbitrary<infer Value> ? Value
  : never;

/** A reader, and what it has got. */
interface Reader {
  readonly lines: string[];
  /** The index of the epoch at which it has begun, and the offset after which. */
  readonly from: { readonly index: number; readonly after: number };
  close(): Promise<void>;
}

/** Returns the events that a reader must receive from a place on. */
function expected(
  history: readonly Epoch[],
  { index, after }: Reader["from"],
): string[] {
  return history.slice(index).flatMap(({ epoch, data, end }, at) => [
    `begin ${epoch}`,
    ...data.slice(at === 0 ? after : 0),
    ...(end ? [`end ${end}`] : []),
  ]);
}

/** Notes what came, as {@linkcode expected} says it. */
class Notes {
  readonly lines: string[] = [];

  take(message: Readonly<Record<string, unknown>>): void {
    switch (message["type"]) {
      case "subscribed": {
        const line = `begin ${message["epoch"]}`;
        // A reader that came back is told of the epoch that it knows.
        if (!this.lines.includes(line)) this.lines.push(line);
        return;
      }
      case "events":
        for (const { data } of message["events"] as { data: string }[]) {
          this.lines.push(data);
        }
        return;
      case "event":
        this.lines.push(String(message["data"]));
        return;
      case "end":
        this.lines.push(`end ${message["status"]}`);
        return;
      case "gap":
        this.lines.push(`gap ${message["reason"]}`);
    }
  }
}

function overWebSocket(url: string, notes: Notes): () => Promise<void> {
  const socket = new WebSocket(url.replace("http", "ws"));
  const closed = new Promise<void>((resolve) => {
    socket.onclose = () => resolve();
  });
  socket.onmessage = ({ data }) => notes.take(JSON.parse(data));
  return async () => {
    socket.close();
    await closed;
  };
}

function overSse(url: string, notes: Notes): () => Promise<void> {
  const abort = new AbortController();
  const reading = (async () => {
    const { signal } = abort;
    const { body } = await fetch(url);
    for await (const { event, data } of readEvents(body!, { signal })) {
      notes.take(
        event.startsWith("rivulet.")
          ? JSON.parse(data)
          : { type: "event", data },
      );
    }
  })();
  const over = reading.catch((error) => assert(abort.signal.aborted, error));
  return async () => {
    abort.abort();
    await over;
  };
}

function overClient(
  url: string,
  after: string | undefined,
  notes: Notes,
): () => Promise<void> {
  const subscription = subscribe(url, {
    stay: true,
    after,
    window: 64,
    reconnect: { minTimeout: 1, maxTimeout: 2 },
  });
  const reading = (async () => {
    for await (const message of subscription) {
      const plain: SubscriptionMessage = message;
      notes.take({ ...plain });
    }
  })();
  return async () => {
    await subscription.close();
    await reading;
  };
}

async function run(
  kind: StoreKind,
  commands: readonly Command[],
): Promise<void> {
  await using world = await startStoredRelay(kind);
  const { relay } = world;
  await using line = await CuttableLine.start(relay.port);
  const history: Epoch[] = [];
  const readers: Reader[] = [];
  let number = 0;

  /** Publishes events, in a new epoch if the last one has ended. */
  async function publish(count: number, query = ""): Promise<void> {
    const data = Array.from({ length: count }, () => `${++number}`);
    const last = history.at(-1);
    const isNew = !last || last.end !== undefined;
    const response = await relay.request(`/topics/t${query}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(isNew && { "rivulet-if-ended": "renew" }),
      },
      body: JSON.stringify(data.map((data) => ({ data }))),
    });
    const { epoch } = await response.json();
    assertEquals(response.status, 200);
    const end = query === "" ? undefined : "complete";
    if (isNew) return void history.push({ epoch, data, end });
    assertEquals(epoch, last.epoch);
    last.data.push(...data);
    last.end = end;
  }

  async function endTurn(status: Status): Promise<void> {
    const last = history.at(-1);
    if (!last || last.end) return;
    const response = await relay.request("/topics/t/end", {
      method: "POST",
      body: JSON.stringify({ status }),
    });
    await response.body?.cancel();
    last.end = status;
  }

  function join(door: Door, place: Place | undefined): void {
    const newest = Math.max(history.length - 1, 0);
    const index = place ? Math.max(newest - place.back, 0) : newest;
    const from = history[index];
    const most = (from?.data.length ?? 0) + (from?.end ? 1 : 0);
    const offset = Math.min(place?.offset ?? 0, most);
    const after = from && offset > 0 ? `${from.epoch}:${offset}` : undefined;
    const notes = new Notes();
    const start = { index: after ? index : newest, after: after ? offset : 0 };
    const path = `/topics/t`;
    const query = `?stay${after ? `&after=${after}` : ""}`;
    const close = door === "client"
      ? overClient(`${line.url}${path}`, after, notes)
      : door === "sse"
      ? overSse(`${relay.url}${path}${query}`, notes)
      : overWebSocket(`${relay.url}${path}${query}`, notes);
    readers.push({ lines: notes.lines, from: start, close });
  }

  try {
    for (const each of commands) {
      switch (each.does) {
        case "publish":
          await publish(each.count);
          break;
        case "whole":
          await publish(each.count, "?end");
          break;
        case "end":
          await endTurn(each.status);
          break;
        case "join": {
          join(each.door, each.place);
          // It has its place before anything else happens.
          const { lines } = readers.at(-1)!;
          await until(() => lines[0], LIMIT, "the first message");
          break;
        }
        case "cut":
          // A reader without an event has no position to come back to. It goes on with
          // the newest epoch, and is told of a gap.
          if (readers.some(({ lines }) => lines.length === 1)) break;
          line.cut();
          line.mend();
          break;
        case "leave":
          await readers.shift()?.close();
          break;
      }
    }
    await publish(1);
    await endTurn("complete");
    for (const { lines, from } of readers) {
      const all = expected(history, from);
      await until(
        () => lines.length >= all.length || undefined,
        LIMIT,
        () => `${JSON.stringify(all)}: got ${JSON.stringify(lines)}`,
      );
      assertEquals(lines, all);
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

for (const kind of STORE_KINDS) {
  Deno.test(`Readers that stay get every epoch whole, on every door (${kind})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { minLength: 5, maxLength: 25, size: "max" }),
        (commands) => run(kind, commands),
      ),
      propertyParameters(kind === "memory" ? 12 : 6),
    );
  });
}
