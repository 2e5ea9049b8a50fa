import { assert, assertEquals, assertMatch } from "@std/assert";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import {
  runRemote,
  startRemote,
} from "../../../support/relay/remote_command.ts";
import { LIMIT, within } from "../../../support/within.ts";

const ALL = { events: 100_000, bytes: 100_000_000 };

/** The events of a topic. */
async function eventsOf(
  { relay }: TestRelay,
  name: string,
): Promise<{ event: string; data: string; id: string }[]> {
  const log = relay.topics.get(name)?.log;
  assert(log);
  const events: { event: string; data: string; id: string }[] = [];
  while (log.first + events.length < log.next) {
    const { entries } = await log.read(log.first + events.length, ALL);
    events.push(...entries.map(({ event }) => ({ ...event })));
  }
  return events;
}

/** An input that is written to as time goes by. */
function pipe(): {
  input: ReadableStream<Uint8Array>;
  write(text: string): void;
  end(): void;
} {
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const input = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given;
    },
  });
  return {
    input,
    write: (text) => controller.enqueue(new TextEncoder().encode(text)),
    end: () => controller.close(),
  };
}

Deno.test("publish sends what stdin has, in each of its forms", async (t) => {
  const table: [
    string,
    string[],
    string,
    [event: string, data: string, id: string][],
  ][] = [
    ["nothing", [], "", []],
    ["lines", [], "one\n\ntwo\r\nü", [
      ["message", "one", ""],
      ["message", "", ""],
      ["message", "two", ""],
      ["message", "ü", ""],
    ]],
    ["named lines", ["--event", "step"], "lint\n", [["step", "lint", ""]]],
    [
      "JSON",
      ["--json"],
      '{"data":"a\\nb"}\n\n{"event":"e","data":{"x":[1]},"id":"7","more":1}\n',
      [
        ["message", "a\nb", ""],
        ["e", '{"x":[1]}', "7"],
      ],
    ],
    [
      "an event stream",
      ["--sse"],
      "id: 1\ndata: a\ndata: b\n\nevent: e\ndata: c\n\ndata: cut off",
      [["message", "a\nb", "1"], ["e", "c", "1"]],
    ],
  ];
  for (const [name, flags, input, expected] of table) {
    for (const key of [[], ["--key", "k"]]) {
      await t.step(`${name} ${key.join(" ")}`, async () => {
        await using server = await startRelay();
        await server.relay.topics.create("t").append([{ data: "before" }]);
        const result = await runRemote(
          server.url,
          ["publish", "t", ...flags, ...key],
          { input },
        );
        assertEquals(result, { status: 0, output: "", errors: "" });
        const events = await eventsOf(server, "t");
        assertEquals(
          events.slice(1).map(({ event, data, id }) => [event, data, id]),
          expected,
        );
      });
    }
  }
});

Deno.test("publish sends each line as it comes, and --end ends the topic", async () => {
  await using server = await startRelay();
  const { input, write, end } = pipe();
  const publishing = startRemote(server.url, ["publish", "t", "--end"], {
    input,
    isTerminal: true,
  });
  const following = startRemote(server.url, ["follow", "t"]);
  for (const [line, sum] of [["a\n", "a\n"], ["b\n", "a\nb\n"]] as const) {
    write(line);
    await within(
      following.system.written(() => following.system.output === sum),
      LIMIT,
      `line ${line}`,
    );
  }
  assertEquals(server.relay.topics.get("t")?.state.kind, "open");
  end();
  assertEquals(await within(publishing.status, LIMIT, "the end"), 0);
  assertEquals(await within(following.status, LIMIT, "the end"), 0);
  const epoch = server.relay.topics.get("t")?.log.epoch;
  assert(
    publishing.system.errors.endsWith(
      `Published 2 events: ${epoch}:1 to ${epoch}:2\n`,
    ),
    publishing.system.errors,
  );
});

Deno.test("publish --end makes a topic of an input without an event, too", async () => {
  await using server = await startRelay();
  for (const name of ["new", "there"]) {
    if (name === "there") server.relay.topics.create(name);
    const args = ["publish", name, "--end"];
    const result = await runRemote(server.url, args);
    assertEquals(result, { status: 0, output: "", errors: "" });
    const { state } = server.relay.topics.get(name) ?? {};
    assert(state?.kind === "ended");
    assertEquals(state.end, { status: "complete" });
  }
});

Deno.test("publish sends a long input in order, faster than one request a line", async () => {
  await using server = await startRelay({
    limits: { maxPublishRate: 1_000_000 },
    retention: { maxEvents: 100_000 },
  });
  const lines = Array.from({ length: 30_000 }, (_, index) => `line ${index}`);
  const result = await runRemote(server.url, ["publish", "t"], {
    input: lines.join("\n"),
  });
  assertEquals(result.status, 0, result.errors);
  const events = await eventsOf(server, "t");
  assertEquals(events.map(({ data }) => data), lines);
});

/** Stands before a relay, and treats each request as it is told to. */
function meddler(
  server: TestRelay,
  treat: (
    request: Request,
    forward: () => Promise<Response>,
    count: number,
  ) => Promise<Response> | Response,
): Deno.HttpServer<Deno.NetAddr> {
  let count = 0;
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      const { method, headers } = request;
      const body = await request.text();
      count += 1;
      return await treat(
        request,
        () => fetch(server.url + pathname, { method, headers, body }),
        count,
      );
    },
  );
}

Deno.test("publish sends again what it does not know to have come, and it is there once", async (t) => {
  const failures: Record<
    string,
    (forward: () => Promise<Response>) => Promise<Response> | Response
  > = {
    "the answer is lost": async (forward) => {
      await (await forward()).body?.cancel();
      return new Response("proxy: lost it", { status: 502 });
    },
    "the relay is busy": () =>
      Response.json({ code: "draining", detail: "later" }, {
        status: 503,
        headers: { "Retry-After": "0" },
      }),
    "the disk is full": () =>
      Response.json({ code: "store_failed", detail: "full" }, { status: 507 }),
  };
  for (const [name, fail] of Object.entries(failures)) {
    await t.step(name, async () => {
      await using server = await startRelay();
      await using proxy = meddler(
        server,
        (_request, forward, count) =>
          count % 2 === 1 ? fail(forward) : forward(),
      );
      const url = `http://127.0.0.1:${proxy.addr.port}`;
      const result = await runRemote(url, ["publish", "t", "--end"], {
        input: "a\nb\n",
      });
      assertEquals(result, { status: 0, output: "", errors: "" });
      const events = await eventsOf(server, "t");
      assertEquals(events.map(({ data }) => data), ["a", "b"]);
      assertEquals(server.relay.topics.get("t")?.state.kind, "ended");
    });
  }
});

Deno.test("publish gives up when its patience is over, and at what stays refused", async (t) => {
  await using server = await startRelay();
  await server.relay.topics.create("over").end("complete");
  await using busy = meddler(
    server,
    () => Response.json({ code: "draining", detail: "later" }, { status: 503 }),
  );
  const nobody = "http://127.0.0.1:1";
  const busyUrl = `http://127.0.0.1:${busy.addr.port}`;
  const table: [string, string, string[], number, RegExp][] = [
    ["it has ended", server.url, ["over"], 1, /409 topic_ended/],
    ["with a key", server.url, ["over", "--key=k"], 1, /409 topic_ended/],
    ["busy", busyUrl, ["t", "--retry-for=0s"], 1, /503 draining\): later/],
    ["busy, with a key", busyUrl, ["t", "--key=k"], 1, /adds what is missing/],
    ["away", nobody, ["t", "--retry-for=0s"], 3, /Expected an answer/],
    ["away, with a key", nobody, ["t", "--key=k"], 3, /adds what is missing/],
    ["two forms", server.url, ["t", "--json", "--sse"], 2, /--json, --sse/],
    ["a name of two lines", server.url, ["t", "--event", "a\nb"], 2, /--event/],
  ];
  for (const [name, url, args, status, message] of table) {
    await t.step(name, async () => {
      const result = await runRemote(url, ["publish", ...args], {
        input: "a\n",
      });
      assertEquals([result.status, result.output], [status, ""], result.errors);
      assertMatch(result.errors, message);
      assertMatch(result.errors, /^rivulet publish: [^\n]+\n$/);
    });
  }
});

Deno.test("publish names the line that is no event, after those before it", async (t) => {
  for (
    const [line, message] of [
      ["{", /in line 3/],
      ["[]", /in line 3.*expected object/],
      ['{"event":"e"}', /in line 3.*data/],
      ['{"data":"x","id":7}', /in line 3.*id/],
    ] as const
  ) {
    await t.step(line, async () => {
      await using server = await startRelay();
      const result = await runRemote(server.url, ["publish", "t", "--json"], {
        input: `{"data":"a"}\n{"data":"b"}\n${line}\n{"data":"c"}\n`,
      });
      assertEquals([result.status, result.output], [1, ""]);
      assertMatch(result.errors, message);
      const events = await eventsOf(server, "t");
      assertEquals(events.map(({ data }) => data), ["a", "b"]);
    });
  }
});

Deno.test("publish names the line that is larger than the relay takes", async () => {
  await using server = await startRelay();
  // The relay itself would have a timer for what is still on its way.
  await using strict = meddler(server, (request, forward) => {
    const length = Number(request.headers.get("content-length"));
    if (length < 300 * 1024) return forward();
    const problem = { code: "body_too_large", detail: "less" };
    return Response.json(problem, { status: 413 });
  });
  const url = `http://127.0.0.1:${strict.addr.port}`;
  const long = "x".repeat(400 * 1024);
  for (
    const [flags, input] of [
      [[], `a\n\n${long}\nb\n`],
      [["--json"], `{"data":"a"}\n\n{"data":"${long}"}\n{"data":"b"}\n`],
    ] as const
  ) {
    const args = ["publish", "t", ...flags];
    const { status, errors } = await runRemote(url, args, { input });
    assertEquals(status, 1);
    assertMatch(errors, /^rivulet publish: Line 3: .*413 body_too_large/);
  }
});

Deno.test("publish --key adds only what is missing when it is run again", async () => {
  await using server = await startRelay();
  const args = ["publish", "t", "--key", "build-7"];
  const broken = pipe();
  const { system, status } = startRemote(server.url, args, {
    input: broken.input,
  });
  broken.write("a\nb\n");
  await within(
    (async () => {
      const topic = await server.relay.topics.await("t");
      while (topic.log.next < 3) await new Promise((go) => setTimeout(go, 5));
    })(),
    LIMIT,
    "the first lines",
  );
  system.stop("SIGINT");
  assertEquals(await within(status, LIMIT, "the end"), 130);
  const { status: again, errors } = await runRemote(server.url, args, {
    input: "a\nb\nc\n",
  });
  assertEquals(again, 0, errors);
  const events = await eventsOf(server, "t");
  assertEquals(events.map(({ data }) => data), ["a", "b", "c"]);
});

Deno.test("publish ends at a signal, though stdin is silent", async () => {
  await using server = await startRelay();
  const { input } = pipe();
  const { system, status } = startRemote(server.url, ["publish", "t"], {
    input,
  });
  await within(system.written(() => system.listens), LIMIT, "its listening");
  system.stop("SIGTERM");
  assertEquals(await within(status, LIMIT, "the end"), 143);
});

Deno.test("publish says which line or flag cannot be sent, before it is sent", async () => {
  await using server = await startRelay();
  const long = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("a\n")),
    // For as long as it is read: a line without an end.
    pull: (controller) => controller.enqueue(new Uint8Array(1024 * 1024)),
  });
  const endless = await runRemote(server.url, ["publish", "t"], {
    input: long,
  });
  assertEquals(endless.status, 1);
  assertMatch(
    endless.errors,
    /Expected lines of at most 16777216 characters: line 2 is longer/,
  );
  assertEquals((await eventsOf(server, "t")).map(({ data }) => data), ["a"]);
  for (const field of ['"id": "a\\u0000"', '"id": "a\\n"', '"event": "a\\r"']) {
    const { input, write, end } = pipe();
    write(`{"data": 1}\n{"data": 2, ${field}}\n`);
    end();
    const { status, errors } = await runRemote(
      server.url,
      ["publish", "u", "--json"],
      { input },
    );
    assertEquals(status, 1);
    assertMatch(
      errors,
      /in line 2, .*expected an? (id|name) without line ends/,
    );
  }
  for (
    const [flag, value] of [
      ["--key", "a\nb"],
      ["--key", "\u043a"],
      ["--key", ""],
      ["--key", " a"],
      ["--key", "x".repeat(256)],
      ["--token", "a b"],
      ["--token", "\u043a"],
    ] as const
  ) {
    const { status, errors } = await runRemote(
      server.url,
      ["publish", "v", flag, value],
    );
    assertEquals(
      [status, errors.includes(`${flag}: expected`)],
      [2, true],
      value,
    );
    assert(flag !== "--token" || !errors.includes(value));
  }
});
