// A relay whose store keeps nothing, and stores with which a relay cannot
// start.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import { passTime } from "../support/pass_time.ts";
import { RelayCommand } from "../support/relay/relay_command.ts";
import { startRelay, type TestRelay } from "../support/relay/relay.ts";
import { TemporaryFolder } from "../support/relay/sqlite_world.ts";
import { type ProgramRun, runDeno } from "../support/run_deno.ts";
import { LIMIT, until, within } from "../support/within.ts";

const MIB = 1024 * 1024;
const BIG = "x".repeat(50_000);

function chunk(content: string, reason: string | null = null): string {
  return `data: ${
    JSON.stringify({
      id: "c",
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta: { content }, finish_reason: reason }],
    })
  }\n\n`;
}

/** An upstream whose events come when they are told to: `/events`, and a provider. */
class Upstream implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #source = Promise.withResolvers<ReadableStreamDefaultController>();
  #run = Promise.withResolvers<ReadableStreamDefaultController>();

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => {
        const { pathname } = new URL(request.url);
        const place = pathname === "/events" ? this.#source : this.#run;
        const body = new ReadableStream({
          start: (controller) => place.resolve(controller),
        });
        return new Response(body, {
          headers: { "Content-Type": "text/event-stream" },
        });
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async send(text: string): Promise<void> {
    (await this.#source.promise).enqueue(new TextEncoder().encode(text));
  }

  async stream(text: string): Promise<void> {
    (await this.#run.promise).enqueue(new TextEncoder().encode(text));
  }

  async endRun(): Promise<void> {
    (await this.#run.promise).close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** The answer to a caller, as far as it has come. */
class Answer {
  readonly #reader: ReadableStreamDefaultReader<string>;

  constructor({ body }: Response) {
    this.#reader = body!.pipeThrough(new TextDecoderStream()).getReader(); // an event stream
  }

  #text = "";

  read(): Promise<ReadableStreamReadResult<string>> {
    return this.#reader.read();
  }

  /** Reads until what has come matches. */
  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#text)) {
      const read = await within(this.read(), LIMIT, `${pattern}`);
      assert(!read.done, this.#text);
      this.#text += read.value;
    }
  }
}

interface Page {
  readonly events: readonly { readonly data: string }[];
  readonly end?: {
    readonly offset: number;
    readonly status: string;
    readonly reason?: string;
  };
}

async function page(relay: TestRelay, topic: string): Promise<Page> {
  const response = await relay.request(`/topics/${topic}`, {
    headers: { Accept: "application/json" },
  });
  assertEquals(response.status, 200, topic);
  return await response.json();
}

async function publish(
  relay: TestRelay,
  topic: string,
  body: string,
): Promise<{ status: number; code?: string; failure?: string }> {
  const response = await relay.request(`/topics/${topic}`, {
    method: "POST",
    headers: { "Content-Type": "text/plain" },
    body,
  });
  return { ...await response.json(), status: response.status };
}

async function readyz(relay: TestRelay): Promise<[number, unknown]> {
  const response = await relay.request("/readyz");
  const text = await response.text();
  return [response.status, response.ok ? undefined : JSON.parse(text).code];
}

async function metric(relay: TestRelay, name: string): Promise<number> {
  const text = await (await relay.request("/metrics")).text();
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
}

Deno.test("A relay without room refuses publications, ends runs truncated, holds sources up, and goes on when there is room", async () => {
  await using folder = new TemporaryFolder();
  await using upstream = new Upstream();
  await using relay = await startRelay({
    store: `sqlite:${folder.path}/store.db`,
    retention: { maxStore: MIB },
    sources: [{ name: "source", url: `${upstream.url}/events` }],
    gateway: { providers: [{ name: "p", url: `${upstream.url}/v1` }] },
  });
  await upstream.send("id: 1\ndata: 1\n\n");
  await until(
    async () => (await page(relay, "source")).events.length === 1 || undefined,
    LIMIT,
    "the first event of the source",
  );
  const asked = relay.request("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Rivulet-Topic": "run" },
    body: JSON.stringify({ model: "m", messages: [], stream: true }),
  });
  await upstream.stream(chunk("first"));
  const answer = new Answer(await within(asked, LIMIT, "the run's head"));

  let refused: Awaited<ReturnType<typeof publish>> | undefined;
  let kept = 0;
  while (!refused) {
    const answer = await publish(relay, "large", BIG);
    if (answer.status === 200) kept++;
    else refused = answer;
    assert(kept < 100, "there is a bound");
  }
  const { status, code, failure } = refused;
  assertEquals([status, code, failure], [507, "store_failed", "full"]);
  assertEquals(await readyz(relay), [503, "store_failed"]);
  assertEquals(await metric(relay, "rivulet_store_failed"), 1);
  assert(await metric(relay, "rivulet_store_failures_total") > 0);

  // The source and the run go on.
  await upstream.send("id: 2\ndata: 2\n\n");
  await upstream.stream(chunk("second"));
  await answer.until(/second/);
  await upstream.stream(`${chunk("", "stop")}data: [DONE]\n\n`);
  await upstream.endRun();
  await answer.until(/first.*second.*DONE/s);
  assert((await within(answer.read(), LIMIT, "the end of the answer")).done);

  const deleted = await relay.request("/topics/large", { method: "DELETE" });
  assertEquals(deleted.status, 204);
  await until(
    async () => (await readyz(relay))[0] === 200 || undefined,
    LIMIT,
    "the relay to be ready",
  );
  await upstream.send("id: 3\ndata: 3\n\n");
  const { events } = await until(
    async () => {
      const found = await page(relay, "source");
      return found.events.length >= 3 ? found : undefined;
    },
    LIMIT,
    "the other events of the source",
  );
  assertEquals(events.map(({ data }) => data), ["1", "2", "3"]);
  const run = await until(
    async () => {
      const found = await page(relay, "run");
      return found.end && found;
    },
    LIMIT,
    "the end of the run's topic",
  );
  assertEquals(run.events.length, 1);
  assertEquals(
    [run.end?.status, run.end?.reason],
    [
      "truncated",
      "The relay could not store the rest, which the caller alone has",
    ],
  );
  assertEquals((await publish(relay, "small", "hi")).status, 200);
  assertEquals(await metric(relay, "rivulet_store_failed"), 0);
  assert(await metric(relay, "rivulet_store_commit_seconds_count") > 0);
  assert(await metric(relay, "rivulet_store_bytes_total") > kept * BIG.length);
  await until(
    async () =>
      await metric(relay, "rivulet_store_file_bytes") > 0 || undefined,
    LIMIT,
    "the size of the file",
  );
});

Deno.test("A topic that ends while nothing can be stored stays ended, and has its end once there is room", async () => {
  await using folder = new TemporaryFolder();
  const clock = new FakeClock();
  const options = {
    store: `sqlite:${folder.path}/store.db`,
    retention: { maxStore: MIB },
    clock,
  };
  const end = { status: "failed", reason: "why" };
  const post = (relay: TestRelay, path: string, body: unknown) =>
    relay.request(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  {
    await using relay = await startRelay(options);
    assertEquals((await publish(relay, "t", "one")).status, 200);
    while ((await publish(relay, "large", BIG)).status === 200);
    const refused = await post(relay, "/topics/t/end", end);
    assertEquals(
      [refused.status, (await refused.json()).code],
      [507, "store_failed"],
    );
    // Followers are told, and the topic is not taken up again as it is in the file.
    await clock.advance(15_000);
    assertEquals((await page(relay, "t")).end, { offset: 2, ...end });
    const deleted = await relay.request("/topics/large", { method: "DELETE" });
    assertEquals(deleted.status, 204);
    await passTime(
      clock,
      until(
        async () => {
          const answer = await post(relay, "/topics/t/end", end);
          await answer.body?.cancel();
          return answer.status === 200 || undefined;
        },
        LIMIT,
        "the end to be kept",
      ),
    );
  }
  await using relay = await startRelay(options);
  assertEquals((await page(relay, "t")).end, { offset: 2, ...end });
});

Deno.test("What is told of a topic while nothing can be stored is stored once there is room", async (t) => {
  for (const how of ["with the next events", "after a while"]) {
    await t.step(how, async () => {
      await using folder = new TemporaryFolder();
      const clock = new FakeClock();
      const options = {
        store: `sqlite:${folder.path}/store.db`,
        retention: { maxStore: MIB },
        clock,
      };
      {
        await using relay = await startRelay(options);
        const topic = relay.relay.topics.create("t");
        await topic.append([{ data: "one" }]);
        while ((await publish(relay, "large", BIG)).status === 200);
        topic.source = "an upstream";
        // It is refused by now.
        assertEquals((await publish(relay, "other", BIG)).status, 507);
        const deleted = await relay.request("/topics/large", {
          method: "DELETE",
        });
        assertEquals(deleted.status, 204);
        const written = how === "after a while" ? "other" : "t";
        await passTime(
          clock,
          until(
            async () => {
              const { status } = await publish(relay, written, "two");
              return status === 200 || undefined;
            },
            LIMIT,
            "room",
          ),
        );
        if (how === "after a while") await clock.advance(15_000);
        await topic.log.settled();
      }
      await using relay = await startRelay(options);
      assertEquals(relay.relay.topics.get("t")?.source, "an upstream");
    });
  }
});

function start(path: string): Promise<ProgramRun> {
  return runDeno(
    ["run", "-A", "relay/main.ts", "--port", "0", "--store", `sqlite:${path}`],
    { RIVULET_LOG_LEVEL: "error" },
  );
}

Deno.test("A second relay on the file of a store does not start", async () => {
  await using folder = new TemporaryFolder();
  const path = `${folder.path}/store.db`;
  await using relay = await RelayCommand.start({
    args: ["--store", `sqlite:${path}`],
  });
  const { code, stdout, stderr } = await start(path);
  assertEquals([code, stdout], [3, ""], stderr);
  assertMatch(stderr, /^rivulet: --store: [^\n]+another process uses the file/);
  const response = await fetch(`${relay.url}/readyz`);
  await response.body?.cancel();
  assertEquals(response.status, 200);
});

Deno.test("A relay does not start with a file that it cannot use", async (t) => {
  await using folder = new TemporaryFolder();
  const made = (name: string, pragma: string): string => {
    const path = `${folder.path}/${name}`;
    using db = new DatabaseSync(path);
    db.exec(`CREATE TABLE meta(a); ${pragma}`);
    return path;
  };
  const ID = 0x5269766c;
  const table: [string, string, RegExp][] = [
    [
      "of another program",
      made("other.db", "PRAGMA application_id=7"),
      /another program.*got 7/,
    ],
    [
      "of a later version",
      made("newer.db", `PRAGMA application_id=${ID}; PRAGMA user_version=99`),
      /later version.*got 99/,
    ],
    ["without a folder", `${folder.path}/none/store.db`, /folder is not there/],
  ];
  for (const [name, path, message] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await start(path);
      assertEquals([code, stdout], [2, ""], stderr);
      assertMatch(stderr, /^rivulet: --store: Cannot use the store [^\n]+\n$/);
      assertMatch(stderr, message);
      assert(stderr.includes(path), stderr);
    });
  }
});
