// The pages that may use the relay, and the names by which it can be reached.
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { OriginPatternError } from "../../../../../relay/doors/http/origins/origin_pattern.ts";
import {
  type OriginHeaders,
  Origins,
} from "../../../../../relay/doors/http/origins/origins.ts";
import { Problem } from "../../../../../relay/problem.ts";
import { createRelay, RelayOptionsError } from "../../../../../relay/mod.ts";
import { propertyParameters } from "../../../../support/property.ts";

/** Returns the outcome of a request, in a word. */
function outcome(
  list: readonly string[],
  headers: OriginHeaders,
  isLocal = false,
): string {
  try {
    const verdict = new Origins(list, { isLocal }).check(headers);
    if (verdict.kind !== "listed") return verdict.kind;
    assertEquals(verdict.origin, headers.origin);
    return verdict.isExact ? "exact" : "with others";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.code;
  }
}

const NO = "origin_not_allowed";

const APP = "https://app.example.com";
const BELOW = "https://*.example.com";

// deno-fmt-ignore
const ORIGINS: readonly (readonly [list: readonly string[], origin: string | undefined, outcome: string])[] = [
  [[], undefined, "none"],
  [[], "http://relay.example:8787", "own"],
  [[], "https://relay.example:8787", "own"],
  [[], "HTTP://Relay.Example.:8787", "own"],
  [[], "http://relay.example", NO],
  [[], "http://relay.example:87870", NO],
  [[], "http://relay.example.evil.example:8787", NO],
  [[], "app://relay.example:8787", NO],
  [[], APP, NO],
  [[], "null", NO],
  [[], "", NO],
  [[], "relay.example:8787", NO],
  [[], "http://relay.example:8787/", NO],
  [[], "http://relay.example:8787, http://relay.example:8787", NO],
  [[], "http://relay.example:8787 http://relay.example:8787", NO],
  [[], "http://evil.example@relay.example:8787", NO],
  [[], "http://a:1:2", NO],
  [[APP], undefined, "none"],
  [[APP], APP, "exact"],
  [[APP], "https://APP.example.com", "exact"],
  [[APP], "https://app.example.com:443", "exact"],
  [[APP], "https://app.example.com.", "exact"],
  [["https://APP.example.com.:443"], APP, "exact"],
  [[APP], "http://app.example.com", NO],
  [[APP], "https://app.example.com:8443", NO],
  [[APP], "https://app.example.com/", NO],
  [[APP], "https://app.example.com..", NO],
  [[APP], "https://user@app.example.com", NO],
  [[APP], "https://app.example.com@evil.example", NO],
  [[APP], "https://app.example.com.evil.example", NO],
  [[APP], "https://app%2Eexample.com", NO],
  [[APP], "https:\\\\app.example.com", NO],
  [[APP], "https:app.example.com", NO],
  [[APP], "https://app.example.com\t", NO],
  [[APP], "https://x.app.example.com", NO],
  [[APP], "https://example.com", NO],
  [[APP], "null", NO],
  [[APP], "http://relay.example:8787", "own"],
  [[APP, "http://b.example:3000"], "http://b.example:3000", "exact"],
  [["http://b.example:3000"], "http://b.example", NO],
  [["http://[::1]:3000"], "http://[0:0::1]:3000", "exact"],
  [["https://b\u00fccher.example"], "https://xn--bcher-kva.example", "exact"],
  [["app://localhost"], "app://localhost", "exact"],
  [["app://localhost"], "http://localhost", NO],
  [["http://relay.example:8787"], "http://relay.example:8787", "exact"],
  [[BELOW], "https://a.example.com", "with others"],
  [[BELOW], "https://A.b-c.Example.com:443", "with others"],
  [[BELOW], "https://example.com", NO],
  [[BELOW], "https://.example.com", NO],
  [[BELOW], "https://a..example.com", NO],
  [[BELOW], "https://evil-example.com", NO],
  [[BELOW], "https://evil.example/.example.com", NO],
  [[BELOW], "https://evil.example#.example.com", NO],
  [[BELOW], "https://evil.example:1.example.com", NO],
  [[BELOW], "https://a.example.com.evil.example", NO],
  [[BELOW], "https://*.example.com", NO],
  [[BELOW], "http://a.example.com", NO],
  [[BELOW], "https://a.example.com:8443", NO],
  [["https://*.example.com:8443"], "https://a.example.com:8443", "with others"],
  [["https://*.b\u00fccher.example"], "https://a.xn--bcher-kva.example", "with others"],
  [[BELOW, APP], APP, "exact"],
  [["null"], "null", "with others"],
  [["null"], "NULL", NO],
  [["null"], APP, NO],
  [["null"], "garbage", NO],
  [["*"], undefined, "none"],
  [["*"], APP, "any"],
  [["*"], "null", "any"],
  [["*"], "garbage", "any"],
  [["*", APP], APP, "exact"],
  [["*"], "http://relay.example:8787", "own"],
];

for (const [list, origin, expected] of ORIGINS) {
  Deno.test(`Origin ${JSON.stringify(origin)} is ${expected} to [${list}]`, () => {
    assertEquals(
      outcome(list, { host: "relay.example:8787", origin }),
      expected,
    );
  });
}

Deno.test("Origins takes a page for its own, whichever port its scheme has", () => {
  for (
    const [origin, host, expected] of [
      ["https://relay.example", "relay.example", "own"],
      ["https://relay.example", "relay.example:443", "own"],
      ["http://relay.example", "relay.example:80", "own"],
      ["https://relay.example", "relay.example:80", NO],
      ["http://[::1]:8787", "[::1]:8787", "own"],
      ["http://relay.example", undefined, NO],
      ["http://relay.example", "", NO],
      ["http://relay.example", "relay.example/", NO],
      ["http://relay.example", "evil@relay.example", NO],
    ] as const
  ) assertEquals(outcome([], { origin, host }), expected, `${origin} ${host}`);
});

Deno.test("Origins refuses what another page has put into itself, and follows links", () => {
  for (
    const [list, site, destination, expected] of [
      [[], "cross-site", "image", NO],
      [[], "cross-site", "iframe", NO],
      [[], "cross-site", "empty", NO],
      [[], "cross-site", undefined, NO],
      [[], "same-site", "script", NO],
      [[], "whatever", "script", NO],
      [[], "cross-site", "document", "none"],
      [[], "same-origin", "script", "none"],
      [[], "none", "document", "none"],
      [[], undefined, "empty", "none"],
      // Nobody knows whose it is.
      [[APP], "cross-site", "image", NO],
      [["*"], "cross-site", "image", "none"],
    ] as const
  ) {
    const headers = {
      host: "relay.example",
      "sec-fetch-site": site,
      "sec-fetch-dest": destination,
    };
    assertEquals(outcome(list, headers), expected, `${site} ${destination}`);
  }
});

const WRONG = "host_not_allowed";

// deno-fmt-ignore
const HOSTS: readonly (readonly [list: readonly string[], host: string | undefined, outcome: string])[] = [
  [[], "127.0.0.1:8787", "none"],
  [[], "127.0.0.1.:8787", "none"],
  [[], "10.1.2.3", "none"],
  [[], "[::1]:8787", "none"],
  [[], "localhost:8787", "none"],
  [[], "LOCALHOST.", "none"],
  [[], "demo.localhost:8787", "none"],
  [[], undefined, "none"],
  [[], "evil.example:8787", WRONG],
  [[], "relay", WRONG],
  [[], "notlocalhost", WRONG],
  [[], "localhost.evil.example", WRONG],
  [[], "127.0.0.1.evil.example", WRONG],
  [[], "127.0.0.1.nip.io:8787", WRONG],
  [[], "", "invalid_request"],
  [[], "localhost@evil.example", "invalid_request"],
  [[], "evil.example/localhost", "invalid_request"],
  [[], "evil.example#.localhost", "invalid_request"],
  [[], "a b", "invalid_request"],
  [[APP], "app.example.com", "none"],
  [[APP], "APP.example.com.:1234", "none"],
  [[APP], "b.example.com", WRONG],
  [[BELOW], "b.example.com", "none"],
  [[BELOW], "example.com", WRONG],
  [[BELOW], "evil-example.com", WRONG],
  [["app://evil"], "evil", WRONG],
  [["null"], "null", WRONG],
  [["*"], "evil.example", "none"],
];

for (const [list, host, expected] of HOSTS) {
  Deno.test(`Host ${JSON.stringify(host)} is ${expected} to an open relay with [${list}]`, () => {
    assertEquals(outcome(list, { host }, true), expected);
    if (expected === WRONG) assertEquals(outcome(list, { host }), "none");
  });
}

Deno.test("A page cannot pass for an open relay's own by a name that leads to it", () => {
  const headers = {
    host: "evil.example:8787",
    origin: "http://evil.example:8787",
  };
  assertEquals(outcome([], headers, true), WRONG);
  assertEquals(outcome([APP], headers, true), WRONG);
});

Deno.test("A refusal says which option would allow it, and does not repeat what is no origin", () => {
  for (
    const [headers, told] of [
      [{ host: "relay.example" }, "--origin https://relay.example to"],
      [{ host: `${"a.".repeat(200)}b` }, "--origin https://that.host to"],
      [{ host: "localhost", origin: APP }, `--origin ${APP} to`],
      [{ host: "localhost", origin: "null" }, "--origin null to"],
    ] as const
  ) {
    const origins = new Origins([], { isLocal: true });
    assertThrows(() => origins.check(headers), Problem, told);
  }
  for (
    const origin of [
      "<script>",
      `${APP}?secret`,
      `https://${"a.".repeat(200)}b`,
      `${APP}${"/".repeat(9)}`,
    ]
  ) {
    const origins = new Origins([], { isLocal: true });
    const { message } = assertThrows(
      () => origins.check({ host: "localhost", origin }),
      Problem,
    );
    assertEquals(message.includes(origin), false, message);
  }
});

const NO_PATTERNS = [
  "",
  " ",
  "app.example.com",
  "app.example.com:443",
  "//app.example.com",
  "https://",
  "https://app.example.com/",
  "https://app.example.com/x",
  "https://app.example.com?x",
  "https://app.example.com#x",
  "https://user@app.example.com",
  "https://app.example.com:99999",
  "https://app..example.com",
  "https://a b",
  "https://a%2eb",
  " https://app.example.com",
  "https://app.example.com,https://b.example",
  "wss://app.example.com",
  "file://",
  "file:///a",
  "https://*",
  "https://*.",
  "https://*.*.example.com",
  "https://a.*.example.com",
  "https://a*.example.com",
  "https://*example.com",
  "https://*..example.com",
  "https://*.0.0.1",
  "https://*.[::1]",
  "https://*.example.com/",
  "app://*.example.com",
  "*://app.example.com",
  "*.example.com",
  "**",
  "NULL",
];

for (const entry of NO_PATTERNS) {
  Deno.test(`${JSON.stringify(entry)} means no origin, and no relay starts with it`, () => {
    const { code, message } = assertThrows(
      () => new Origins([APP, entry], { isLocal: false }),
      OriginPatternError,
      `'${entry}'`,
    );
    assertEquals(code, "invalid_origin");
    const error = assertThrows(
      () => createRelay({ origins: [APP, entry] }),
      RelayOptionsError,
      "origins[1]: ",
    );
    // As a part of a longer sentence.
    assertStringIncludes(error.message, message.replace(/^E/, "e"));
  });
}

/** Pieces that may be mistaken for the end of a host, or for the domain. */
// deno-fmt-ignore
const PIECES = [
  "https://", "http://", "https:", "//", "example.com", "example", ".com", "evil.example", "EXAMPLE.COM", "a", "a.",
  ".", "..", "-", "_", "@", "/", "\\", "#", "?", ":", ":443", ":8443", ":0", "%2e", "%00", "*", "*.", ",", ";", "&", "=",
  " ", "\t", "\n", "\r", "\0", "\u3002", "\uff0e", "\u200b", "\u00ad", "\u0131", "[", "]", "[::1]", "xn--", "null", "'", '"',
];

Deno.test("Nothing is below a domain whose host is not, whatever it is written as", () => {
  const piece = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...PIECES) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 3 }) },
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")),
    fc.tuple(
      fc.array(piece, { maxLength: 4 }),
      fc.array(piece, {
        maxLength: 2,
      }),
    ).map(([before, after]) =>
      `https://${before.join("")}.example.com${after.join("")}`
    ),
  );
  const origins = new Origins([BELOW], { isLocal: false });
  fc.assert(
    fc.property(text, (origin) => {
      try {
        origins.check({ host: "relay.example", origin });
      } catch (error) {
        if (error instanceof Problem) return;
        throw error;
      }
      // The URL that a browser would open for this address.
      const { protocol, hostname, port, username, password, pathname, search } =
        new URL(origin);
      assertEquals(
        [protocol, port, username, password, pathname, search],
        ["https:", "", "", "", "/", ""],
      );
      const labels = hostname.replace(/\.$/, "").split(".");
      assertEquals(labels.slice(-2), ["example", "com"]);
      assertEquals(labels.length > 2 && !labels.includes(""), true, hostname);
    }),
    propertyParameters(20_000),
  );
});

Deno.test("All that a browser says of a host below a domain is below it", () => {
  const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9_]{0,20}[a-z0-9])?$/);
  const origins = new Origins([BELOW], { isLocal: false });
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 5 }), (labels) => {
      const { origin } = new URL(`https://${labels.join(".")}.example.com/x`);
      const verdict = origins.check({ host: "relay.example", origin });
      assertEquals(verdict, { kind: "listed", origin, isExact: false });
    }),
    propertyParameters(1_000),
  );
});
