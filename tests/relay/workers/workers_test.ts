// A relay with workers, in processes of their own: to clients it is one relay, and a
// worker that is killed costs nobody an event that was acknowledged.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SubscriptionError } from "../../../relay/client/error.ts";
import type { RelayStatus } from "../../../relay/status/relay_status.ts";
import { subscribe } from "../../../relay/client/subscribe.ts";
import { Exposition } from "../../support/observing/exposition.ts";
import { lacksNats, NatsServer } from "../../support/nats/nats_server.ts";
import { MortalRelay } from "../../support/relay/mortal_relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { remoteEnd } from "../../support/relay/remote_topic.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { runDeno } from "../../support/run_deno.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const IGNORE = Deno.build.os !== "linux";

/** A relay with two workers. */
class World implements AsyncDisposable {
  readonly relay: MortalRelay;
  readonly url: string;

  private constructor(relay: MortalRelay, url: string) {
    this.relay = relay;
    this.url = url;
  }

  static async start(...args: string[]): Promise<World> {
    const relay = new MortalRelay(["--port", "0", "--workers", "2", ...args]);
    const url = await within(relay.listening, LIMIT, "a relay to listen");
    if (url !== undefined) return new World(relay, url);
    throw new Error(`The relay ended: ${await relay.ended()}`);
  }

  /** Requests over a connection of its own, which any worker may get. */
  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(this.url + path, {
      ...init,
      headers: { ...init.headers, Connection: "close" },
    });
  }

  /** Publishes an event until that is acknowledged; once, whatever happens meanwhile. */
  async publish(topic: string, data: string): Promise<void> {
    const publishOnce = async (): Promise<true | undefined> => {
      try {
        const response = await this.ask(`/topics/${topic}`, {
          method: "POST",
          headers: { "Content-Type": "text/plain", "Idempotency-Key": data },
          body: data,
        });
        const text = await response.text();
        assert(response.ok || response.status === 503, text);
        return response.ok || undefined;
      } catch (error) {
        if (error instanceof TypeError) return undefined; // the worker was killed
        throw error;
      }
    };
    await until(publishOnce, LIMIT, `${data} to be acknowledged`);
  }

  /** Reads the figures. */
  async figures(): Promise<Exposition> {
    return new Exposition(await (await this.ask("/metrics")).text());
  }

  /** Waits until both workers listen, after so many were started again. */
  async whole(restarts: number): Promise<void> {
    await until(
      async () => {
        try {
          const figures = await this.figures();
          // Right after a kill, nobody has noticed it.
          const known = valueOf(figures, "rivulet_worker_restarts_total") ?? 0;
          return known >= restarts &&
              valueOf(figures, "rivulet_workers") === 2 || undefined;
        } catch {
          return undefined; // the worker that was asked was killed
        }
      },
      LIMIT,
      "both workers to listen",
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.relay.kill("SIGKILL");
  }
}

function valueOf(
  { families }: Exposition,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const family = [...families.values()].find((one) => one.name === name);
  return family?.samples.find((sample) =>
    Object.entries(labels).every(([label, value]) =>
      sample.labels[label] === value
    )
  )?.value;
}

/** Kills workers under load: nothing that was acknowledged is lost, and ends are true. */
async function killWorkers(world: World): Promise<void> {
  const topics = ["t-0", "t-1", "t-2", "t-3"];
  const counts = new Map<string, number>();
  const followers = topics.flatMap((topic) =>
    Array.from({ length: 6 }, async (_, follower) => {
      const seen: string[] = [];
      const url = `${world.url.replace("http", "ws")}/topics/${topic}`;
      try {
        for await (const message of subscribe(url, { after: "start" })) {
          assert(message.type !== "gap", "Nothing is missed");
          if (message.type !== "event") continue;
          seen.push(message.data);
          counts.set(`${topic} ${follower}`, seen.length);
        }
        return { topic, seen, end: undefined };
      } catch (error) {
        if (!(error instanceof SubscriptionError)) throw error;
        const { status, reason } = error;
        return { topic, seen, end: { status, reason } };
      }
    })
  );
  const followed = Promise.all(followers);
  followed.catch(() => {}); // looked at below
  const rounds = 60;
  const publishers = topics.map(async (topic) => {
    for (let number = 0; number < rounds; number++) {
      await world.publish(topic, `${topic}.${number}`);
    }
  });
  const published = Promise.all(publishers);
  published.catch(() => {}); // looked at below
  for (const [index, part] of [0.2, 0.5, 0.8].entries()) {
    await until(
      () =>
        topics.some((topic) =>
          (counts.get(`${topic} 0`) ?? 0) >= part * rounds
        ) ||
        undefined,
      LIMIT,
      `a part of ${part}`,
    );
    const [victim] = world.relay.workers;
    Deno.kill(victim!, "SIGKILL"); // there are two
    await world.whole(index + 1);
  }
  await within(published, LIMIT, "all publications");
  for (const topic of topics) {
    const response = await world.ask(`/topics/${topic}/end`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ status: "failed", reason: `of ${topic}` }),
    });
    assertEquals(response.status, 200, await response.text());
  }
  for (
    const { topic, seen, end } of await within(
      Promise.all(followers),
      LIMIT,
      "all ends",
    )
  ) {
    const all = Array.from(
      { length: rounds },
      (_, index) => `${topic}.${index}`,
    );
    assertEquals(seen, all);
    assertEquals(end, { status: "failed", reason: `of ${topic}` });
  }
  const figures = await world.figures();
  assertEquals(valueOf(figures, "rivulet_worker_restarts_total"), 3);
  const ended = { state: "ended" };
  assertEquals(valueOf(figures, "rivulet_topics", ended), topics.length);
  const said = await world.relay.kill("SIGTERM");
  assertStringIncludes(said, "SIGKILL");
  assertStringIncludes(said, '"worker":2');
}

Deno.test(
  "Workers lose no acknowledged event when they are killed under load, and end truly",
  {
    ignore: IGNORE,
  },
  async () => {
    await using world = await World.start("--drain", "1s");
    await killWorkers(world);
  },
);

Deno.test(
  "Workers whose topics are in NATS lose no acknowledged event when they are killed, and end truly",
  {
    ignore: IGNORE || lacksNats(),
  },
  async () => {
    await using nats = await NatsServer.start();
    await using world = await World.start(
      ...["--drain", "1s", "--store", `nats://${nats.host}`],
    );
    await killWorkers(world);
  },
);

Deno.test("Workers are one relay to who scrapes, probes and stops it", {
  ignore: IGNORE,
}, async () => {
  await using world = await World.start(
    ...["--drain", "60s", "--max-publish-rate", "5"],
  );
  const codes = new Set<number>();
  const began = performance.now();
  let sent = 0;
  // A busy machine may send more slowly than the rate for a while.
  const isSlow = () => !codes.has(429) && performance.now() - began < LIMIT;
  for (; sent < 60 || isSlow(); sent++) {
    const response = await world.ask("/topics/t", {
      method: "POST",
      headers: { "Content-Type": "text/plain" },
      body: `${sent}`,
    });
    await response.body?.cancel();
    codes.add(response.status);
  }
  const seconds = (performance.now() - began) / 1_000;
  // The rate of a client is that at both workers: twice as many would pass if each had
  // its own.
  const allowed = Math.min(sent, 1.5 * 5 * (1 + seconds));
  assertEquals(codes, new Set([200, 429]));
  const figures = await world.figures();
  const http = { door: "http" };
  const published = valueOf(figures, "rivulet_published_events_total", http) ??
    0;
  assert(published >= 5 && published <= allowed, `${published}`);
  const page = await world.ask("/topics/t", {
    headers: { Accept: "application/json" },
  });
  assertEquals((await page.json()).next, published + 1);
  // Who says what is to be done, and leaves at once, has said it.
  const left = await RawWebSocket.open(world.url, "/ws");
  await left.say({ type: "cancel", topic: "t", reason: "enough" });
  await left[Symbol.asyncDispose]();
  const end = await remoteEnd(world.url, "t");
  assertEquals(end, { status: "cancelled", reason: "enough" });
  for (const worker of ["1", "2", "store"]) {
    const cpu = valueOf(figures, "rivulet_worker_cpu_seconds_total", {
      worker,
    });
    assert(cpu !== undefined && cpu > 0, worker);
  }
  for (const path of ["/healthz", "/readyz"]) {
    const response = await world.ask(path);
    assertEquals([response.status, await response.json()], [
      200,
      { status: "ok" },
    ]);
  }
  // They are sent away one after the other, which takes longer than the test.
  const readers = await Promise.all(
    Array.from(
      { length: 12 },
      () =>
        world.ask("/topics/other", {
          headers: { Accept: "text/event-stream" },
        }),
    ),
  );
  await using socket = await RawWebSocket.open(world.url, "/topics/other");
  await socket.message("subscribed");
  for (let asked = 0; asked < 8; asked++) {
    const status: RelayStatus = await (await world.ask("/status")).json();
    const { connections, totals, topics, store } = status;
    assertEquals(
      [status.workers, store.kind, store.isShared, status.ends],
      [2, "memory", false, { cancelled: 1 }],
    );
    assertEquals([connections.sse, connections.websocket], [12, 1]);
    assertEquals(topics, { pending: 1, open: 0, ended: 1 });
    assertEquals(totals.publishedEvents, published);
  }
  const { workers } = world.relay;
  world.relay.signal("SIGTERM");
  await until(
    async () => {
      try {
        const { code } = await (await world.ask("/readyz")).json();
        return code === "draining" || undefined;
      } catch (error) {
        // A worker that has nobody to send away has closed its listener meanwhile.
        if (error instanceof TypeError) return undefined;
        throw error;
      }
    },
    LIMIT,
    "the drain",
  );
  world.relay.signal("SIGTERM");
  // Nobody else has the topics: subscribers wait for the next relay.
  const { reconnectIn } = await socket.message("goodbye");
  assert((reconnectIn as number[])[1]! > 1_000); // it is a range
  await within(world.relay.ended(), LIMIT, "the end");
  for (const { body } of readers) await body?.cancel().catch(() => {});
  assertEquals(workers.filter(isAlive), []);
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

Deno.test("Workers end when the process with the store is killed", {
  ignore: IGNORE,
}, async () => {
  await using world = await World.start();
  await world.publish("t", "a");
  const { workers } = world.relay;
  assertEquals(workers.length, 2);
  await world.relay.kill("SIGKILL");
  await until(
    () => !workers.some(isAlive) || undefined,
    LIMIT,
    "the workers to end",
  );
});

Deno.test(
  "A relay with workers removes what killed ones have left, and nothing else",
  {
    ignore: IGNORE,
  },
  async () => {
    await using temporary = new TemporaryFolder();
    const { path } = temporary;
    // It may be of a relay that is about to listen.
    await Deno.mkdir(`${path}/rivulet-store-empty`);
    const folders = () =>
      Array.from(Deno.readDirSync(path), ({ name }) => name);
    const start = async () => {
      const args = ["--port", "0", "--workers", "2"];
      const relay = new MortalRelay(args, { TMPDIR: path });
      assert(await within(relay.listening, LIMIT, "a relay to listen"));
      return relay;
    };
    const killed = await start();
    const [left] = folders().filter((name) => !name.endsWith("-empty"));
    assert(left !== undefined);
    await killed.kill("SIGKILL");
    const running = await start();
    assert(!folders().includes(left));
    const [own] = folders().filter((name) => !name.endsWith("-empty"));
    assert(own !== undefined);
    const other = await start();
    assert(folders().includes(own));
    assertEquals(folders().length, 3);
    await other.kill("SIGTERM");
    await running.kill("SIGTERM");
    assertEquals(folders(), ["rivulet-store-empty"]);
  },
);

Deno.test(
  "A relay says why it cannot have workers",
  { ignore: IGNORE },
  async () => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const main = ["--no-check", "--no-prompt", "relay/main.ts"];
    for (
      const [args, code, expected] of [
        [
          ["-A", ...main, "--workers", "2", "--port", `${taken.addr.port}`],
          3,
          "Stop what listens there, or give another --port",
        ],
        [
          [
            "-A",
            ...main,
            "--workers",
            "2",
            "--port",
            "0",
            "--record",
            "/proc/no",
          ],
          2,
          "--record: expected a folder",
        ],
        [
          ["--allow-net", "--allow-env", ...main, "--workers", "2"],
          2,
          `--allow-run=${Deno.execPath()}`,
        ],
        [["-A", ...main, "demo", "--workers", "2"], 2, "--workers: expected 1"],
        [["-A", ...main, "--workers", "0"], 2, "1 at least, or auto, got '0'"],
      ] as const
    ) {
      const run = await runDeno(["run", ...args]);
      assertEquals(run.code, code, run.stderr);
      assertStringIncludes(run.stderr, expected);
      assertEquals(run.stdout, "");
    }
  },
);
