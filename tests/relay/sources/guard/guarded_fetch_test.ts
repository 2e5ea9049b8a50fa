import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Clock, systemClock } from "../../../../src/fetch/clock.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { AddressPolicy } from "../../../../relay/sources/guard/address_policy.ts";
import { createGuardedFetch } from "../../../../relay/sources/guard/guarded_fetch.ts";
import type { LookUp } from "../../../../relay/sources/guard/resolve_host.ts";
import { SourcePolicy } from "../../../../relay/sources/guard/source_policy.ts";
import { SourceRefusedError } from "../../../../relay/sources/guard/source_refused_error.ts";
import { LogCapture } from "../../../support/observing/log_capture.ts";
import { RawServer, STREAM_HEAD } from "../../../support/http/raw_server.ts";
import {
  type ClosingFetch,
  closingFetch,
} from "../../../support/upstreams/closing_fetch.ts";
import {
  events,
  RecordingSite,
  redirect,
  type SiteAnswer,
} from "../../../support/upstreams/recording_site.ts";
import { LIMIT, untilStill, within } from "../../../support/within.ts";

/** A name server that has these answers, and counts the questions. */
class Names {
  readonly asked: string[] = [];
  readonly #answers: Record<string, readonly string[]>;

  constructor(answers: Record<string, readonly string[]> = {}) {
    this.#answers = answers;
  }

  readonly lookUp: LookUp = (hostname) => {
    this.asked.push(hostname);
    const addresses = this.#answers[hostname];
    return addresses
      ? Promise.resolve(addresses)
      : Promise.reject(new Error(`getaddrinfo ENOTFOUND ${hostname}`));
  };
}

function guarded(
  {
    names = new Names(),
    sources = ["*"],
    addresses = ["127.0.0.0/28"],
    clock = systemClock,
  }: {
    names?: { readonly lookUp: LookUp };
    sources?: readonly string[];
    addresses?: readonly string[];
    clock?: Clock;
  } = {},
): ClosingFetch {
  return closingFetch((upstreams) =>
    createGuardedFetch({
      sources: new SourcePolicy(sources),
      addresses: new AddressPolicy(addresses),
      lookUp: names.lookUp,
      upstreams,
    }), clock);
}

/** Rejects as the guard does; an address that was found is not in the message. */
async function assertRefused(
  asked: Promise<Response>,
  code: string,
  label?: string,
): Promise<SourceRefusedError> {
  const error = await assertRejects(
    () => asked,
    SourceRefusedError,
    undefined,
    label,
  );
  assertEquals(error.code, code, label);
  if (error.refusal.code === "address_not_allowed") {
    assertEquals(error.message.includes(error.refusal.address), false, label);
  }
  return error;
}

Deno.test("A guarded fetch connects to the address that was checked, and asks for the host", async (t) => {
  await using site = await RecordingSite.start(
    { "*": events("data: a\n\n") },
    "127.0.0.5",
  );
  // The machine has another address for localhost: it would be refused.
  for (const host of ["site.test", "localhost", "SITE.test"]) {
    await t.step(host, async () => {
      const name = host.toLowerCase();
      const names = new Names({ [name]: ["127.0.0.5"] });
      using fetch = guarded({ names });
      const url = `http://${host}:${site.port}/a?b=c#d`;
      const response = await fetch(url, {
        headers: { "X-Key": "k", Accept: "text/event-stream" },
      });
      assertEquals([response.status, response.statusText], [200, "OK"]);
      assertEquals(response.headers.get("content-type"), "text/event-stream");
      assertEquals(await response.text(), "data: a\n\n");
      const { path, headers } = site.requests.at(-1)!; // it has answered
      assertEquals([path, headers.host], ["/a?b=c", `${name}:${site.port}`]);
      assertEquals([headers["x-key"], headers.accept], [
        "k",
        "text/event-stream",
      ]);
      assertEquals(headers["accept-encoding"], "identity");
      assertEquals(names.asked, [name]);
    });
  }
});

Deno.test("A guarded fetch tries the addresses of a host, and no others", async () => {
  await using site = await RecordingSite.start(
    { "*": events("data: a\n\n") },
    "127.0.0.5",
  );
  const names = new Names({
    "some.test": ["127.0.0.6", "127.0.0.5"],
    "none.test": ["127.0.0.6", "127.0.0.7"],
  });
  using fetch = guarded({ names });
  const response = await fetch(`http://some.test:${site.port}/`);
  assertEquals(await response.text(), "data: a\n\n");
  const error = await assertRejects(
    () => fetch(`http://none.test:${site.port}/`),
    TypeError,
    "ECONNREFUSED",
  );
  assertEquals(/127\./.test(error.message), false);
});

Deno.test("A guarded fetch logs where there was no answer, and no other", async () => {
  await using log = await LogCapture.start();
  await using site = await RecordingSite.start({ "*": events("") });
  const names = new Names({ "a.test": ["127.0.0.1"], "b.test": ["127.0.0.6"] });
  using fetch = guarded({ names });
  const response = await fetch(`http://a.test:${site.port}/?key=sesame`);
  assertEquals(await response.text(), "");
  using server = new RawServer();
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = fetch(server.origin, { signal });
  await (await server.accept()).readHead();
  controller.abort();
  await assertRejects(() => aborted);
  assertEquals(log.text, "");
  await assertRejects(() => fetch(`http://b.test:${site.port}/?key=sesame`));
  assertStringIncludes(log.text, "127.0.0.6");
  assertStringIncludes(log.text, "b.test");
  assertEquals(log.text.includes("sesame"), false);
});

Deno.test("A guarded fetch tries four addresses of a host at most", async () => {
  await using site = await RecordingSite.start(
    { "*": events("data: a\n\n") },
    "127.0.0.5",
  );
  const none = ["127.0.0.6", "127.0.0.7", "127.0.0.8"];
  const names = new Names({
    "fourth.test": [...none, "127.0.0.5"],
    "fifth.test": [...none, "127.0.0.9", "127.0.0.5"],
  });
  using fetch = guarded({ names });
  const response = await fetch(`http://fourth.test:${site.port}/`);
  assertEquals(await response.text(), "data: a\n\n");
  const asked = fetch(`http://fifth.test:${site.port}/`);
  await assertRejects(() => asked, TypeError, "ECONNREFUSED");
  assertEquals(site.connections, 1);
});

Deno.test("A guarded fetch gives an address ten seconds to connect, and any time to answer", async (t) => {
  await t.step("no connection over TLS", async () => {
    const clock = new FakeClock();
    using server = new RawServer();
    using fetch = guarded({ clock });
    const asked = fetch(server.origin.replace("http", "https"));
    const failed = assertRejects(
      () => within(asked, LIMIT, "the end"),
      TypeError,
      "the connection failed",
    );
    const connection = await server.accept();
    await clock.advance(9_999);
    assertEquals(clock.pending, 1);
    await clock.advance(1);
    await failed;
    await within(connection.closed(), LIMIT, "the connection to be closed");
    assertEquals(clock.pending, 0);
  });
  await t.step("no answer for a while", async () => {
    const clock = new FakeClock();
    using server = new RawServer();
    using fetch = guarded({ clock });
    const asked = fetch(server.origin);
    const connection = await server.accept();
    await connection.readHead();
    await clock.advance(60_000);
    await connection.write(
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
    );
    assertEquals(await (await asked).text(), "a");
    assertEquals(clock.pending, 0);
  });
});

Deno.test("A guarded fetch without the permission to connect has no answer, and that is all", async () => {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "--no-prompt",
      "--allow-net=192.0.2.1:80",
      "tests/support/upstreams/guarded_fetch_program.ts",
      "http://a.test/",
      "http://127.0.0.1/",
      "https://a.test/",
    ],
    cwd: new URL("../../../../", import.meta.url),
    stderr: "inherit",
  }).output();
  assertEquals(success, true);
  assertEquals(
    new TextDecoder().decode(stdout),
    "the connection failed\n".repeat(3),
  );
});

// deno-fmt-ignore
const REFUSED: [string, readonly string[]][] = [
  ["one that is private", ["10.0.0.1"]],
  ["a private one after a good one", ["127.0.0.5", "10.0.0.1"]],
  ["a private one before a good one", ["10.0.0.1", "127.0.0.5"]],
  ["a private one after a public one", ["8.8.8.8", "192.168.0.1"]],
  ["one of IPv6", ["127.0.0.5", "fd00::1"]],
  ["a mapped one", ["127.0.0.5", "::ffff:10.0.0.1"]],
  ["metadata", ["169.254.169.254"]],
  ["just beyond the range", ["127.0.0.16"]],
  ["no address at all", ["127.0.0.5", "elsewhere.test"]],
];

Deno.test("A guarded fetch checks every address of a host", async (t) => {
  await using site = await RecordingSite.start({}, "127.0.0.5");
  for (const [name, addresses] of REFUSED) {
    await t.step(name, async () => {
      const names = new Names({ "site.test": addresses });
      using fetch = guarded({ names });
      const { refusal } = await assertRefused(
        fetch(`http://site.test:${site.port}/`),
        "address_not_allowed",
      );
      assertEquals(refusal.host, `site.test:${site.port}`);
    });
  }
  assertEquals(site.connections, 0);
});

Deno.test("A guarded fetch checks an address in every spelling, and looks nothing up for it", async (t) => {
  await using site = await RecordingSite.start({ "*": events("") });
  const names = new Names();
  for (
    const host of [
      "127.0.0.1",
      "127.1",
      "0x7f.1",
      "0X7F000001",
      "2130706433",
      "017700000001",
      "127.0.0.1.",
      "①②⑦.0.0.1",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
      "[0:0:0:0:0:ffff:7f00:0001]",
      "[64:ff9b::127.0.0.1]",
      "[::127.0.0.1]",
      "[::1]",
      "[::]",
      "0",
      "169.254.169.254",
      "[fd00:ec2::254]",
    ]
  ) {
    await t.step(host, async () => {
      using fetch = guarded({ names, addresses: [] });
      const url = `http://${host}:${site.port}/`;
      await assertRefused(fetch(url), "address_not_allowed");
    });
  }
  assertEquals([site.connections, names.asked], [0, []]);
  using allowed = guarded({ names, addresses: ["127.0.0.1"] });
  for (const host of ["127.0.0.1", "0x7f.1", "2130706433"]) {
    const response = await allowed(`http://${host}:${site.port}/`);
    assertEquals([response.status, await response.text()], [200, ""]);
  }
  assertEquals([site.connections, names.asked], [3, []]);
});

Deno.test("A guarded fetch says the same of a host that there is not as of one that is refused", async () => {
  const names = new Names({ "private.test": ["10.0.0.1"], "empty.test": [] });
  using fetch = guarded({ names });
  const messages = new Set<string>();
  for (
    const [host, code] of [
      ["private.test", "address_not_allowed"],
      ["empty.test", "unknown_host"],
      ["no.test", "unknown_host"],
    ] as const
  ) {
    messages.add((await assertRefused(fetch(`http://${host}/`), code)).message);
  }
  assertEquals(messages.size, 1);
});

Deno.test("A guarded fetch follows redirects, each of its own address, and five at most", async (t) => {
  await using site = await RecordingSite.start({
    "/end": events("data: a\n\n"),
  });
  const names = new Names({ "a.test": ["127.0.0.1"], "b.test": ["127.0.0.1"] });
  using fetch = guarded({ names });
  for (const status of [301, 302, 303, 307, 308]) {
    await t.step(`${status}`, async () => {
      site.on("/start", redirect("/end", status));
      const response = await fetch(`${site.origin}/start`);
      assertEquals(await response.text(), "data: a\n\n");
    });
  }
  for (const status of [200, 300, 304, 404, 503]) {
    await t.step(`${status} is no redirect`, async () => {
      site.on("/start", redirect("/end", status));
      const response = await fetch(`${site.origin}/start`);
      assertEquals(response.status, status);
      await response.body?.cancel();
    });
  }
  await t.step("one that leads nowhere", async () => {
    site.on("/start", (response) => response.writeHead(302).end());
    const response = await fetch(`${site.origin}/start`);
    assertEquals(response.status, 302);
    await response.body?.cancel();
  });
  site.on("/1", redirect("/2"));
  site.on("/2", redirect(`http://a.test:${site.port}/3`));
  site.on("/3", redirect(`//b.test:${site.port}/4`));
  site.on("/4", redirect("5?x=y"));
  site.on("/5?x=y", redirect("#z"));
  await t.step("five in a row", async () => {
    site.on("/5?x=y", redirect("end"));
    site.requests.length = names.asked.length = 0;
    const response = await fetch(`${site.origin}/1`);
    assertEquals(await response.text(), "data: a\n\n");
    assertEquals(site.paths, ["/1", "/2", "/3", "/4", "/5?x=y", "/end"]);
    assertEquals(names.asked, ["a.test", "b.test", "b.test", "b.test"]);
  });
  await t.step("six in a row", async () => {
    site.on("/0", redirect("/1"));
    await assertRejects(() => fetch(`${site.origin}/0`), TypeError, "5 times");
    assertEquals(site.paths.at(-1), "/5?x=y");
  });
});

Deno.test("A guarded fetch refuses a redirect to where it may not go", async (t) => {
  await using metadata = await RecordingSite.start({
    "*": events("data: secret\n\n"),
  }, "127.0.0.2");
  await using site = await RecordingSite.start({});
  const names = new Names({
    "a.test": ["127.0.0.1"],
    "inside.test": ["127.0.0.2"],
  });
  using fetch = guarded({
    names,
    sources: [`http://*:${site.port}/a/*`, `http://*:${metadata.port}/a/*`],
    addresses: ["127.0.0.1"],
  });
  // deno-fmt-ignore
  const table: [string, string][] = [
    ["http://169.254.169.254/latest/meta-data/", "source_not_allowed"],
    [`http://169.254.169.254:${site.port}/a/meta-data`, "address_not_allowed"],
    [`http://0xa9fea9fe:${site.port}/a/`, "address_not_allowed"],
    [`http://127.0.0.2:${metadata.port}/a/`, "address_not_allowed"],
    [`http://[::ffff:127.0.0.2]:${metadata.port}/a/`, "address_not_allowed"],
    [`http://inside.test:${metadata.port}/a/`, "address_not_allowed"],
    [`http://no.test:${metadata.port}/a/`, "unknown_host"],
    ["/b/", "source_not_allowed"],
    ["/a/../b/", "source_not_allowed"],
    ["/a/..%2fb/", "source_not_allowed"],
    [`http://user:password@a.test:${site.port}/a/`, "source_not_allowed"],
    [`https://a.test:${site.port}/a/`, "source_not_allowed"],
    ["ftp://a.test/a/", "source_not_allowed"],
    ["file:///etc/passwd", "source_not_allowed"],
    ["data:text/event-stream,data:%20a", "source_not_allowed"],
  ];
  for (const [location, code] of table) {
    await t.step(location, async () => {
      site.on("/a/start", redirect(location));
      await assertRefused(fetch(`http://a.test:${site.port}/a/start`), code);
    });
    await t.step(`${location}, after another redirect`, async () => {
      site.on("/a/start", redirect("/a/next"));
      site.on("/a/next", redirect(location));
      await assertRefused(fetch(`http://a.test:${site.port}/a/start`), code);
    });
  }
  await t.step("what is no URL", async () => {
    site.on("/a/start", redirect("http://"));
    await assertRejects(
      () => fetch(`http://a.test:${site.port}/a/start`),
      TypeError,
      "no URL",
    );
  });
  assertEquals(metadata.connections, 0);
});

Deno.test("A guarded fetch tells another origin nothing of what the first one was told", async () => {
  await using site = await RecordingSite.start({ "/end": events("") });
  await using other = await RecordingSite.start({});
  const names = new Names({ "a.test": ["127.0.0.1"], "b.test": ["127.0.0.1"] });
  const a = `http://a.test:${site.port}`;
  const b = `http://b.test:${site.port}`;
  const headers = {
    Accept: "text/event-stream",
    "Cache-Control": "no-cache",
    "Last-Event-ID": "7",
    Authorization: "Bearer secret",
    Cookie: "a=secret",
    "X-Key": "secret",
  };
  using fetch = guarded({ names });
  const others = ["text/event-stream", "no-cache", "7"];
  const told = ({ requests }: RecordingSite) =>
    requests.map(({ path, headers }) => {
      const { accept, "cache-control": cache, "last-event-id": id } = headers;
      assertEquals([accept, cache, id], others);
      const secrets = [headers.authorization, headers.cookie, headers["x-key"]];
      // With the secrets nine: Host, Accept-Encoding and Connection, too.
      assertEquals(Object.keys(headers).length, secrets[0] ? 9 : 6);
      return [headers.host, path, secrets.join(" ")];
    });
  site.on("/1", redirect("/2"));
  site.on("/2", redirect(`${b}/3`));
  site.on("/3", redirect("/4"));
  site.on("/4", redirect(`${a}/end`));
  const response = await fetch(`${a}/1`, { headers });
  await response.body?.cancel();
  const all = "Bearer secret a=secret secret";
  const none = "  ";
  assertEquals(told(site), [
    [`a.test:${site.port}`, "/1", all],
    [`a.test:${site.port}`, "/2", all],
    [`b.test:${site.port}`, "/3", none],
    [`b.test:${site.port}`, "/4", none],
    [`a.test:${site.port}`, "/end", none],
  ]);
  // Another port is another origin.
  site.on("/port", redirect(`http://a.test:${other.port}/`));
  await (await fetch(`${a}/port`, { headers })).body?.cancel();
  assertEquals(told(other), [[`a.test:${other.port}`, "/", none]]);
});

Deno.test("A guarded fetch closes the connection that has redirected it", async () => {
  using server = new RawServer();
  await using site = await RecordingSite.start({ "*": events("data: a\n\n") });
  using fetch = guarded();
  const asked = fetch(server.origin);
  const connection = await server.accept();
  await connection.readHead();
  await connection.write(
    `HTTP/1.1 302 Found\r\nLocation: ${site.origin}\r\n\r\nand so on`,
  );
  assertEquals(await (await asked).text(), "data: a\n\n");
  await within(connection.closed(), LIMIT, "the connection to be closed");
});

Deno.test("A guarded fetch refuses a URL that is not allowed, before it looks anything up", async () => {
  const names = new Names({ "a.test": ["127.0.0.1"] });
  using fetch = guarded({ names, sources: ["http://a.test/events"] });
  for (const url of ["http://a.test/", "https://a.test/events", "data:,a"]) {
    await assertRefused(fetch(url), "source_not_allowed");
  }
  assertEquals(names.asked, []);
});

// deno-fmt-ignore
const NO_ANSWER: [string, string][] = [
  ["a connection that is closed", ""],
  ["a head that breaks off", "HTTP/1.1 200 OK\r\nContent-Ty"],
  ["what is no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
  ["a head without end", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(20_000)}\r\n\r\n`],
  ["another protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"],
  ["a status that there is not", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"],
  ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["compression", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"],
  ["compression of a redirect", "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Encoding: br\r\nContent-Length: 0\r\n\r\n"],
];

Deno.test("A guarded fetch rejects with a TypeError where there is no answer, and leaves nothing open", async (t) => {
  for (const [name, text] of NO_ANSWER) {
    await t.step(name, async () => {
      using server = new RawServer();
      using fetch = guarded();
      const asked = fetch(server.origin);
      const answered = (async () => {
        const connection = await server.accept();
        await connection.readHead();
        await connection.write(text).catch(() => {}); // it may have had enough
        return connection;
      })();
      const connection = await answered;
      if (/^(?:HTTP.*\r\nContent-Ty)?$/s.test(text)) {
        connection[Symbol.dispose]();
      }
      const error = await assertRejects(
        () => within(asked, LIMIT, "the answer"),
        TypeError,
      );
      assertEquals(/127\./.test(error.message), false);
      await within(connection.closed(), LIMIT, "the connection to be closed");
    });
  }
});

Deno.test("A guarded fetch passes a body on as it comes, and says when it breaks off", async (t) => {
  // deno-fmt-ignore
  const table: [string, string, string, boolean][] = [
    ["chunks", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "0\r\n\r\n", true],
    ["chunks that break off", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "", false],
    ["a length", "Content-Length: 3\r\n\r\nab", "c", true],
    ["a length that is not reached", "Content-Length: 3\r\n\r\nab", "", false],
    ["until the end", "\r\nab", "", true],
  ];
  for (const [name, start, rest, isWhole] of table) {
    await t.step(name, async () => {
      using server = new RawServer();
      using fetch = guarded();
      const asked = fetch(server.origin);
      const connection = await server.accept();
      await connection.readHead();
      await connection.write(`HTTP/1.1 200 OK\r\n${start}`);
      const reader = (await asked).body!.getReader(); // it has one
      const { value } = await reader.read();
      assertEquals(new TextDecoder().decode(value), "ab");
      await connection.write(rest);
      connection[Symbol.dispose]();
      const read = async () => {
        while (!(await reader.read()).done);
      };
      if (isWhole) await read();
      else await assertRejects(read, Error);
    });
  }
  await t.step("none", async () => {
    using server = new RawServer();
    using fetch = guarded();
    const asked = fetch(server.origin);
    const connection = await server.accept();
    await connection.readHead();
    await connection.write("HTTP/1.1 204 No Content\r\n\r\n");
    const { status, body } = await asked;
    assertEquals([status, body], [204, null]);
    await within(connection.closed(), LIMIT, "the connection to be closed");
  });
});

Deno.test("A guarded fetch reads no faster than its body is read", async () => {
  const total = 64 * 1024 * 1024;
  let written = 0;
  const flood: SiteAnswer = (response) => {
    const block = new Uint8Array(64 * 1024);
    const more = (): void => {
      while (written < total) {
        written += block.length;
        if (!response.write(block)) return void response.once("drain", more);
      }
      response.end();
    };
    more();
  };
  await using site = await RecordingSite.start({ "/": flood });
  using fetch = guarded();
  const { body } = await fetch(site.origin);
  const reader = body!.getReader(); // it has one
  let read = (await reader.read()).value?.length ?? 0;
  // Until the buffers on the way are full: then nothing is written any more.
  await untilStill(() => written, "the site to wait");
  assertEquals(written < total, true);
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    read += value.length;
  }
  assertEquals(read, total);
});

/** Returns the reason why there is no answer. */
function reasonOf(asked: Promise<Response>): Promise<unknown> {
  return assertRejects(() => within(asked, LIMIT, "the end"));
}

Deno.test("A guarded fetch is ended by its signal at any time, with its reason", async (t) => {
  const reason = new Error("enough");
  await t.step("before it has begun", async () => {
    await using site = await RecordingSite.start({ "*": events("") });
    using fetch = guarded();
    const asked = fetch(site.origin, { signal: AbortSignal.abort(reason) });
    assertEquals(await reasonOf(asked), reason);
    assertEquals(site.connections, 0);
  });
  await t.step("while the host is looked up", async () => {
    await using site = await RecordingSite.start({ "*": events("") });
    const found = Promise.withResolvers<readonly string[]>();
    const controller = new AbortController();
    using fetch = guarded({
      names: {
        lookUp: () => {
          controller.abort(reason);
          return found.promise;
        },
      },
    });
    const asked = fetch(`http://a.test:${site.port}`, {
      signal: controller.signal,
    });
    assertEquals(await reasonOf(asked), reason);
    // A later result is ignored, be it an address or an error.
    found.reject(new Error("late"));
    assertEquals(site.connections, 0);
  });
  await t.step("before the answer", async () => {
    using server = new RawServer();
    const controller = new AbortController();
    using fetch = guarded();
    const asked = fetch(server.origin, { signal: controller.signal });
    const connection = await server.accept();
    await connection.readHead();
    controller.abort(reason);
    assertEquals(await reasonOf(asked), reason);
    await within(connection.closed(), LIMIT, "the connection to be closed");
  });
  await t.step("within the body", async () => {
    using server = new RawServer();
    const controller = new AbortController();
    const streaming = server.stream("data: a\n\n");
    using fetch = guarded();
    const response = await fetch(server.origin, {
      signal: controller.signal,
    });
    const connection = await streaming;
    const reader = response.body!.getReader(); // it has one
    await reader.read();
    const next = reader.read();
    controller.abort(reason);
    await assertRejects(() => within(next, LIMIT, "the end"));
    await within(connection.closed(), LIMIT, "the connection to be closed");
  });
});

Deno.test("A guarded fetch closes its connection when the body is cancelled, while it is waited for too", async () => {
  using server = new RawServer();
  using fetch = guarded();
  const asked = fetch(server.origin);
  const connection = await server.accept();
  await connection.readHead();
  await connection.write(STREAM_HEAD);
  const reader = (await asked).body!.getReader(); // it has one
  const next = reader.read();
  await within(reader.cancel(), LIMIT, "the body to be cancelled");
  assertEquals((await next).done, true);
  await within(connection.closed(), LIMIT, "the connection to be closed");
});

Deno.test("A guarded fetch is for GET", async () => {
  using fetch = guarded();
  const asked = fetch("http://127.0.0.1:1/", { method: "POST", body: "a" });
  await assertRejects(() => asked, TypeError, "GET");
});
