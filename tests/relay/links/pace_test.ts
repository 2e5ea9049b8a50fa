// A source at full speed waits for the subscribers of other relays as for its own.
import { assertEquals } from "@std/assert";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { lacksNats, NatsServer } from "../../support/nats/nats_server.ts";
import { MortalRelay } from "../../support/relay/mortal_relay.ts";
import { StallWatch } from "../../support/stall_watch.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const EVENTS = 100_000;

/** A server of a stream that begins when the test says so, and is sent as fast as it is read. */
class FastUpstream implements AsyncDisposable {
  readonly #server = createServer((request, response) => {
    const isFirst = request.headers["last-event-id"] === undefined;
    // Whoever comes again has had it all.
    response.writeHead(isFirst ? 200 : 204, {
      "Content-Type": "text/event-stream",
    });
    if (isFirst) void this.#send(response);
    else response.end();
  });
  readonly #begun = Promise.withResolvers<void>();
  #port = 0;

  static async start(): Promise<FastUpstream> {
    const upstream = new FastUpstream();
    const { promise, resolve } = Promise.withResolvers<void>();
    upstream.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    upstream.#port = (upstream.#server.address() as AddressInfo).port; // of a TCP server
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  begin(): void {
    this.#begun.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => void this.#server.close(() => resolve()));
  }

  async #send(response: ServerResponse): Promise<void> {
    response.write("retry: 1\n\n");
    await this.#begun.promise;
    for (let number = 1; number <= EVENTS;) {
      let text = "";
      for (let count = 0; count < 500; count++, number++) {
        text += `id: ${number}\ndata: ${number}\n\n`;
      }
      if (response.write(text)) continue;
      await new Promise<void>((resolve) => response.once("drain", resolve));
    }
    response.end();
  }
}

class Relays implements AsyncDisposable {
  readonly upstream: FastUpstream;
  readonly #relays: MortalRelay[] = [];
  #nats: NatsServer | undefined;

  constructor(upstream: FastUpstream) {
    this.upstream = upstream;
  }

  async start(...args: string[]): Promise<string> {
    const relay = new MortalRelay(["--port", "0", ...args]);
    this.#relays.push(relay);
    const url = await within(relay.listening, LIMIT, "a relay to listen");
    if (url !== undefined) return url;
    throw new Error(`The relay ended: ${await relay.ended()}`);
  }

  /** Starts a server of NATS; returns the arguments of a relay with its topics there. */
  async nats(): Promise<readonly string[]> {
    const server = this.#nats = await NatsServer.start();
    return ["--store", `nats://${server.host}`];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const relay of this.#relays) await relay.kill("SIGKILL");
    await this.#nats?.[Symbol.asyncDispose]();
    await this.upstream[Symbol.asyncDispose]();
  }
}

/** The events and gaps that a subscriber was told. */
interface Told {
  readonly events: number;
  readonly gaps: readonly string[];
}

/** Follows the topic to its end, over a connection of its own. */
class Subscriber {
  readonly told: Promise<Told>;
  isThere = false;

  constructor(url: string) {
    this.told = this.#follow(url);
  }

  async #follow(url: string): Promise<Told> {
    const response = await fetch(`${url}/topics/fast?after=start`, {
      headers: { Accept: "text/event-stream", Connection: "close" },
    });
    this.isThere = true;
    const text = await response.text();
    const gaps = text.match(/^data: .*"type":"gap".*$/gm) ?? [];
    const events = text.match(/^data: \d+$/gm)?.length ?? 0;
    return { events, gaps };
  }
}

/** Has subscribers follow while the source sends all it has. */
async function follow(
  { upstream }: Relays,
  urls: readonly string[],
): Promise<readonly Told[]> {
  const subscribers = urls.map((url) => new Subscriber(url));
  await until(
    () => subscribers.every(({ isThere }) => isThere) || undefined,
    LIMIT,
    "the subscribers",
  );
  upstream.begin();
  const told = Promise.all(subscribers.map((subscriber) => subscriber.told));
  return await within(told, LIMIT, "the ends");
}

/** A relay waits for a subscriber that takes nothing for as long as this at least, in milliseconds. */
const PATIENCE = 50;

/** The most times that a case is tried. */
const TRIES = 5;

/**
 * Asserts that each subscriber was told each event.
 *
 * The subscribers are in this process. If it gets no processor for longer than a relay
 * waits, a gap is right, and nothing is shown: the case is tried again.
 *
 * @param start Starts the relays, and returns the URLs of which each gets a subscriber.
 */
async function assertOutrunsNobody(
  start: (relays: Relays, source: readonly string[]) => Promise<string[]>,
): Promise<void> {
  for (let left = TRIES - 1;; left--) {
    await using relays = new Relays(await FastUpstream.start());
    const source = ["--source", `fast=${relays.upstream.url}`];
    const urls = await start(relays, source);
    using stalls = new StallWatch();
    const told = await follow(relays, urls);
    const { longest } = stalls;
    const hasGap = told.some(({ gaps }) => gaps.length > 0);
    if (hasGap && longest >= PATIENCE && left > 0) {
      console.log(`Tried again: nothing ran for ${longest.toFixed()} ms`);
      continue;
    }
    for (const { events, gaps } of told) {
      assertEquals([gaps, events], [[], EVENTS]);
    }
    return;
  }
}

/** Fewer than the events of 128 KiB, which an upstream may send before it is read. */
const RETENTION = ["--max-events", "4000"];

for (const levels of [0, 1, 2]) {
  for (const at of levels === 0 ? ["root"] : ["root", "leaf"]) {
    Deno.test(`A source of the ${at} outruns no subscriber of a tree with ${levels} levels below`, async () => {
      await assertOutrunsNobody(async (relays, source) => {
        const urls = [
          await relays.start(
            "--links",
            ...RETENTION,
            ...at === "root" ? source : [],
          ),
        ];
        for (let level = 1; level <= levels; level++) {
          const isFiller = at === "leaf" && level === levels;
          const parent = urls.at(-1)!; // there is a root
          const store = ["--links", "--store", parent];
          urls.push(await relays.start(...store, ...isFiller ? source : []));
        }
        return urls.flatMap((url) => [url, url]);
      });
    });
  }
}

/**
 * For a store that is not done at once, and for workers, whose processes wait for each other's
 * turn: what is about to be kept comes on top.
 */
const MORE_RETENTION = ["--max-events", "8000"];

/** As many subscribers that the kernel gives some of them to each of two workers. */
function urlsOf(url: string): string[] {
  return Array.from({ length: 6 }, () => url);
}

Deno.test("A source of a worker outruns no subscriber of another one", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await assertOutrunsNobody(async (relays, source) => {
    const workers = ["--workers", "2", ...MORE_RETENTION];
    return urlsOf(await relays.start(...workers, ...source));
  });
});

Deno.test(
  "A source outruns no subscriber of another worker whose topics are in NATS",
  {
    ignore: Deno.build.os !== "linux" || lacksNats(),
  },
  async () => {
    await assertOutrunsNobody(async (relays, source) => {
      const store = await relays.nats();
      const workers = ["--workers", "2", ...MORE_RETENTION];
      return urlsOf(await relays.start(...workers, ...store, ...source));
    });
  },
);

Deno.test(
  "A source of a relay with its topics in NATS outruns no subscriber of an edge",
  {
    ignore: lacksNats(),
  },
  async () => {
    await assertOutrunsNobody(async (relays, source) => {
      const store = await relays.nats();
      const parent = await relays.start(
        ...["--links", ...MORE_RETENTION, ...store, ...source],
      );
      const edge = await relays.start("--store", parent);
      return [parent, edge, parent, edge];
    });
  },
);
