import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { banner } from "../../../relay/commands/banner.ts";
import { commandOptions } from "../../../relay/options/schema.ts";

const ADDRESS = {
  hostname: "127.0.0.1",
  port: 1,
  url: "http://127.0.0.1:1",
};

const KEY = "a-secret-that-is-long-enough-for-this";

function bannerOf(options: object): string {
  return banner(ADDRESS, commandOptions.parse(options));
}

Deno.test("banner says who may do what", () => {
  const table: [object, string][] = [
    [{}, "Only this machine can reach the relay, as no key is configured."],
    [
      { rights: { insecureOpen: true }, host: "0.0.0.0" },
      "Everybody who reaches the relay can read and write every topic.",
    ],
    // A proxy on this machine may let others in.
    [
      { rights: { insecureOpen: true } },
      "Everybody who reaches the relay can read and write every topic.",
    ],
    [{ rights: { jwtKey: KEY } }, "Tokens are required."],
    [{ rights: { jwtKey: KEY, insecureOpen: true } }, "Tokens are required."],
    [
      { rights: { jwks: "https://x/" }, host: "0.0.0.0" },
      "Tokens are required.",
    ],
  ];
  for (const [options, expected] of table) {
    assertEquals(bannerOf(options).split("\n").at(-1), expected);
  }
});

Deno.test("banner says how to follow the first topic, with a token where one is needed", () => {
  const fixtures = [{ name: "demo", path: "x" }, { name: "other", path: "x" }];
  const open = bannerOf({ fixtures });
  assertStringIncludes(open, "\n  curl -N http://127.0.0.1:1/topics/demo\n");
  assertStringIncludes(open, 'new WebSocket("ws://127.0.0.1:1/topics/demo")');
  assertStringIncludes(open, "a page of the relay's own");
  const closed = bannerOf({ fixtures, rights: { jwtKey: KEY } });
  assertStringIncludes(
    closed,
    "\n  curl -N --header 'Authorization: Bearer TOKEN' http://127.0.0.1:1/topics/demo\n",
  );
  assertStringIncludes(
    closed,
    "deno run -A jsr:@rivulet/rivulet/cli token --read demo --ttl 1h",
  );
  assert(!closed.includes(KEY));
  assert(!closed.includes("new WebSocket"));
});

Deno.test("banner says whose key a provider is told, and not the key", () => {
  const text = bannerOf({
    gateway: {
      providers: [
        { name: "a", url: "http://x/v1", key: "sk-of-the-relay" },
        { name: "b", url: "http://x/v1" },
      ],
    },
  });
  assert(!text.includes("sk-of-the-relay"));
  const keys = [...text.matchAll(/^ {2}key +(.*)$/gm)].map(([, key]) => key);
  assertEquals(keys, ["the relay's", "the caller's"]);
});

Deno.test("banner gives the base URL that each client of a provider takes (H9)", () => {
  const text = bannerOf({
    gateway: {
      providers: [
        { name: "openai", url: "http://x/v1" },
        { name: "anthropic", url: "http://x/v1" },
      ],
    },
  });
  assertStringIncludes(
    text,
    "\n  base URL   http://127.0.0.1:1/openai/v1, or http://127.0.0.1:1/v1\n",
  );
  assertStringIncludes(
    text,
    "\n  base URL   http://127.0.0.1:1/anthropic (ANTHROPIC_BASE_URL)\n             http://127.0.0.1:1/anthropic/v1 for SDKs that add no version\n",
  );
});

Deno.test("banner begins with the page where there is a topic to look at, and names it otherwise", () => {
  const lines = (options: object, own?: string): string[] =>
    banner(ADDRESS, commandOptions.parse(options), own).split("\n").slice(0, 2);
  assertEquals(lines({}, "demo"), [
    "Look at it: http://127.0.0.1:1/",
    "Rivulet relay on http://127.0.0.1:1",
  ]);
  assertEquals(lines({}), [
    "Rivulet relay on http://127.0.0.1:1",
    "  page       http://127.0.0.1:1/",
  ]);
  for (const own of ["demo", undefined]) {
    assertEquals(lines({ page: false }, own).join().includes(":1/"), false);
  }
});
