import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { Problem } from "../../../../relay/problem.ts";
import type { Access } from "../../../../relay/rights/access.ts";
import { createAuthority } from "../../../../relay/rights/create_authority.ts";
import type { Keys } from "../../../../relay/rights/keys/key_source.ts";
import { RemoteKeys } from "../../../../relay/rights/keys/remote_keys.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { freePort } from "../../../support/http/free_port.ts";
import { EndingServer } from "../../../support/model/ending_server.ts";
import { LogCapture } from "../../../support/observing/log_capture.ts";
import { passTime } from "../../../support/pass_time.ts";
import { signToken } from "../../../support/rights/signed_token.ts";
import { LIMIT, within } from "../../../support/within.ts";

const a = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const b = generateKeyPairSync("ec", { namedCurve: "P-256" });

function jwk(key: KeyObject, kid: string): unknown {
  return { ...key.export({ format: "jwk" }), kid };
}

const A = jwk(a.publicKey, "a");
const B = jwk(b.publicKey, "b");

/** In milliseconds since the epoch. */
const NOW = 1_700_000_000_000;

function set(...keys: unknown[]): () => Response {
  return () => Response.json({ keys });
}

/** A server of a JWK set, and who asks it. */
class World implements AsyncDisposable {
  readonly clock = new FakeClock(NOW);
  readonly closing = new AbortController();
  /** The method of each request, and what it accepts. */
  readonly requests: string[] = [];
  /** Returns the answer to the next requests. */
  answer: () => Response | Promise<Response>;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(...keys: unknown[]) {
    this.answer = set(...keys);
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      ({ method, headers }) => {
        this.requests.push(`${method} ${headers.get("accept")}`);
        return this.answer();
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/jwks?secret=s3cret`;
  }

  keys(): RemoteKeys {
    const { url, clock, closing: { signal } } = this;
    return new RemoteKeys({ url, clock, signal });
  }

  authority(): { authorize(token: string): Promise<Access> } {
    const { url, clock, closing: { signal } } = this;
    const authority = createAuthority({ jwks: url, clock, signal });
    return { authorize: async (token) => await authority.authorize(token) };
  }

  /** A token of either key, or one of a key of another name. */
  token(pair: { privateKey: KeyObject }, kid: string): string {
    return signToken(
      { exp: this.clock.now() / 1_000 + 60, rivulet: { read: ["*"] } },
      pair.privateKey,
      { kid },
    );
  }

  /** The server does not answer any more, in whatever way. */
  fail(): void {
    this.answer = () => new Response("s3cret", { status: 500 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing.abort();
    await this.#server.shutdown();
  }
}

async function refusalOf(promise: Promise<unknown>): Promise<Problem> {
  return await assertRejects(() => promise, Problem);
}

async function assertUnavailable(
  promise: Promise<unknown>,
  retryAfter: number,
): Promise<void> {
  const { status, code, headers } = await refusalOf(promise);
  assertEquals([status, code, headers["Retry-After"]], [
    503,
    "keys_unavailable",
    `${retryAfter}`,
  ]);
}

Deno.test("RemoteKeys asks once for the keys of many tokens", async () => {
  await using world = new World(A, B);
  const authority = world.authority();
  assertEquals(world.requests.length, 0);
  await Promise.all(
    [a, b, a, b].map((pair) =>
      authority.authorize(world.token(pair, pair === a ? "a" : "b"))
    ),
  );
  assertEquals(world.requests, [
    "GET application/jwk-set+json, application/json",
  ]);
  assertEquals(world.clock.pending, 0);
});

Deno.test("RemoteKeys asks again for a key that it does not know, but not all the time", async () => {
  await using world = new World(A);
  const { clock, requests } = world;
  const authority = world.authority();
  await authority.authorize(world.token(a, "a"));
  world.answer = set(B);
  await clock.advance(29_999);
  for (let attempt = 0; attempt < 3; attempt++) {
    const problem = await refusalOf(authority.authorize(world.token(b, "b")));
    // It is no key of RSA, and there are no others yet.
    assertEquals([problem.code, problem.facts.reason], [
      "invalid_token",
      "algorithm",
    ]);
  }
  assertEquals(requests.length, 1);
  await clock.advance(1);
  const token = world.token(b, "b");
  const others = [1, 2, 3].map(() => authority.authorize(world.token(b, "b")));
  // It may be the same as the others: the last one to be verified is kept.
  await Promise.all(others);
  const access = await authority.authorize(token);
  assertEquals(requests.length, 2);
  assertStrictEquals(await authority.authorize(token), access);
  // The one that was replaced holds no longer.
  const problem = await refusalOf(authority.authorize(world.token(a, "a")));
  assertEquals(problem.facts.reason, "algorithm");
  await clock.advance(30_000);
  const unknown = await refusalOf(authority.authorize(world.token(b, "c")));
  assertEquals(unknown.facts.reason, "unknown_key");
  assertEquals(requests.length, 3);
});

Deno.test("RemoteKeys does not ask for keys that others have had asked for", async () => {
  await using world = new World(A);
  const { clock, requests } = world;
  const keys = world.keys();
  const old = await keys.current();
  world.answer = set(A, B);
  await clock.advance(30_000);
  const newer = await keys.newer(old);
  assertEquals(newer?.length, 2);
  await clock.advance(30_000);
  assertStrictEquals(await keys.newer(old), newer);
  assertEquals(requests.length, 2);
});

Deno.test("RemoteKeys asks again after ten minutes, also for tokens that were verified", async () => {
  await using world = new World(A, B);
  const { clock, requests } = world;
  const authority = world.authority();
  const token = signToken(
    { exp: NOW / 1_000 + 3_600, rivulet: {} },
    a.privateKey,
    { kid: "a" },
  );
  const access = await authority.authorize(token);
  world.answer = set(B);
  await clock.advance(599_999);
  assertStrictEquals(await authority.authorize(token), access);
  assertEquals(requests.length, 1);
  await clock.advance(1);
  const { facts } = await refusalOf(authority.authorize(token));
  assertEquals([facts.reason, requests.length], ["algorithm", 2]);
});

Deno.test("RemoteKeys says that it has none, and when it asks again", async () => {
  await using world = new World(A);
  await using _capture = await LogCapture.start();
  const { clock, requests } = world;
  const authority = world.authority();
  world.fail();
  await assertUnavailable(authority.authorize(world.token(a, "a")), 5);
  world.answer = set(A);
  await clock.advance(3_999);
  await assertUnavailable(authority.authorize(world.token(a, "a")), 2);
  assertEquals(requests.length, 1);
  await clock.advance(1_001);
  await authority.authorize(world.token(a, "a"));
  assertEquals(requests.length, 2);
});

Deno.test("RemoteKeys keeps the keys it has while there is no answer", async () => {
  await using world = new World(A);
  await using capture = await LogCapture.start();
  const { clock, requests } = world;
  const authority = world.authority();
  await authority.authorize(world.token(a, "a"));
  world.fail();
  for (let hour = 0; hour < 3; hour++) {
    await clock.advance(3_600_000);
    await authority.authorize(world.token(a, "a"));
    // It cannot be said whether there is such a key.
    await assertUnavailable(authority.authorize(world.token(b, "b")), 5);
    await assertUnavailable(authority.authorize(world.token(b, "b")), 5);
    assertEquals(requests.length, 2 + hour);
  }
  assert(capture.text.includes("the old ones are kept"), capture.text);
  world.answer = set(A, B);
  await clock.advance(5_000);
  await authority.authorize(world.token(b, "b"));
  await authority.authorize(world.token(a, "a"));
  assertEquals(requests.length, 5);
});

Deno.test("RemoteKeys asks again once either clock says that its keys are old (B7)", async () => {
  await using world = new World(A);
  const { clock, requests } = world;
  const keys = world.keys();
  await keys.current();
  clock.jump(599_999);
  await keys.current();
  assertEquals(requests.length, 1);
  // The machine has slept, and the keys may have been withdrawn meanwhile.
  clock.jump(1);
  await clock.advance(30_000);
  await keys.current();
  assertEquals(requests.length, 2);
  // The calendar was set back: that makes no key newer.
  clock.jump(-86_400_000);
  await clock.advance(599_999);
  await keys.current();
  assertEquals(requests.length, 2);
  await clock.advance(1);
  await keys.current();
  assertEquals(requests.length, 3);
});

Deno.test("RemoteKeys has nobody wait twice for a server that is silent", async () => {
  await using world = new World(A);
  await using _capture = await LogCapture.start();
  const { clock, requests } = world;
  const keys = world.keys();
  const known = await keys.current();
  const silence = Promise.withResolvers<Response>();
  world.answer = () => silence.promise;
  await clock.advance(600_000);
  const start = clock.now();
  const waiting = keys.current();
  assert(waiting instanceof Promise);
  assertStrictEquals(await passTime(clock, waiting), known);
  assert(clock.now() - start >= 5_000);
  for (let attempt = 0; attempt < 3; attempt++) {
    await clock.advance(5_000);
    assertStrictEquals(keys.current(), known);
  }
  assert(requests.length <= 4);
  world.closing.abort();
  silence.resolve(new Response());
});

function endless(cancel?: () => void): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
    ...(cancel && { cancel }),
  });
}

Deno.test("RemoteKeys takes no answer that is none", async (t) => {
  const privateJwk = jwk(a.privateKey, "a");
  const oct = { kty: "oct", k: "x".repeat(64), kid: "o" };
  const table: [string, () => Response, RegExp][] = [
    ["another status", () => new Response("no", { status: 404 }), /404/],
    ["a status without body", () => new Response(null, { status: 204 }), /204/],
    [
      "a redirect",
      () => new Response(null, { status: 302, headers: { Location: "/b" } }),
      /302/,
    ],
    ["no JSON", () => new Response("<html>s3cret"), /JSON/],
    ["nothing", () => new Response(""), /JSON/],
    ["no set", () => Response.json([A]), /JWK set/],
    ["an empty set", set(), /empty/],
    ["a set of secrets", set(oct), /public keys/],
    ["a set with a private key", set(A, privateJwk), /private/],
    [
      "a set that is too long",
      () => Response.json({ keys: [A], x: "x".repeat(256 * 1024) }),
      /262144 bytes/,
    ],
    [
      "an endless set",
      () => new Response(endless()),
      /262144 bytes/,
    ],
  ];
  for (const [name, answer, message] of table) {
    await t.step(name, async () => {
      await using world = new World();
      await using capture = await LogCapture.start();
      world.answer = answer;
      const keys = world.keys();
      await assertUnavailable(Promise.resolve(keys.current()), 5);
      assert(message.test(capture.text), capture.text);
      assert(!capture.text.includes("s3cret"), capture.text);
      assertEquals(world.requests.length, 1);
      assertEquals(world.clock.pending, 0);
    });
  }
});

Deno.test("RemoteKeys reads no answer of another status", async () => {
  await using world = new World();
  await using _capture = await LogCapture.start();
  const cancelled = Promise.withResolvers<void>();
  world.answer = () =>
    new Response(endless(cancelled.resolve), { status: 500 });
  await assertUnavailable(Promise.resolve(world.keys().current()), 5);
  await within(cancelled.promise, LIMIT, "the end of the connection");
});

Deno.test("RemoteKeys takes no answer that breaks off", async () => {
  for (const then of ["cut", "reset"] as const) {
    await using server = await EndingServer.start([
      { type: "application/json", body: ['{"keys":['], then },
    ]);
    await using capture = await LogCapture.start();
    const url = `${server.origin}/`;
    const clock = new FakeClock();
    const { signal } = new AbortController();
    const keys = new RemoteKeys({ url, clock, signal });
    await assertUnavailable(Promise.resolve(keys.current()), 5);
    assert(capture.text.includes(url), capture.text);
    assertEquals([server.requests.length, clock.pending], [1, 0]);
  }
});

Deno.test("RemoteKeys passes over secrets in a set", async () => {
  const oct = {
    kty: "oct",
    k: "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4",
    kid: "o",
  };
  await using world = new World(oct, A);
  const keys: Keys = await world.keys().current();
  assertEquals(keys.map(({ kid }) => kid), ["a"]);
});

Deno.test("RemoteKeys gives up an answer that takes too long", async (t) => {
  const first = new TextEncoder().encode('{"keys":[');
  const table: [
    string,
    (held: Promise<void>) => Response | Promise<Response>,
  ][] = [
    ["to begin", (held) => held.then(() => new Response())],
    [
      "to end",
      (held) =>
        new Response(
          new ReadableStream<Uint8Array>({
            start: (controller) => controller.enqueue(first),
            pull: () => held,
          }),
        ),
    ],
  ];
  for (const [name, answer] of table) {
    await t.step(name, async () => {
      await using world = new World();
      await using capture = await LogCapture.start();
      const held = Promise.withResolvers<void>();
      world.answer = () => answer(held.promise);
      const start = world.clock.now();
      await assertUnavailable(
        passTime(world.clock, Promise.resolve(world.keys().current())),
        5,
      );
      assert(world.clock.now() - start >= 5_000);
      assert(/within 5000 ms/.test(capture.text), capture.text);
      assertEquals(world.clock.pending, 0);
      held.resolve();
    });
  }
});

Deno.test("RemoteKeys says what server is not there, without its query", async () => {
  await using capture = await LogCapture.start();
  const place = `127.0.0.1:${freePort()}/jwks`;
  const url = `http://u:s3cret@${place}?secret=s3cret`;
  const { signal } = new AbortController();
  const keys = new RemoteKeys({ url, clock: new FakeClock(), signal });
  await assertUnavailable(Promise.resolve(keys.current()), 5);
  assert(capture.text.includes(`http://${place}`), capture.text);
  assert(/refused/i.test(capture.text), capture.text);
  assert(!capture.text.includes("s3cret"), capture.text);
});

Deno.test("RemoteKeys stops when the relay closes, and complains of nothing", async () => {
  await using world = new World();
  await using capture = await LogCapture.start();
  const asked = Promise.withResolvers<void>();
  const silence = Promise.withResolvers<Response>();
  world.answer = () => {
    asked.resolve();
    return silence.promise;
  };
  const current = Promise.resolve(world.keys().current());
  await within(asked.promise, LIMIT, "the request");
  world.closing.abort();
  await assertUnavailable(current, 5);
  assertEquals([capture.text, world.clock.pending], ["", 0]);
  silence.resolve(new Response());
});
