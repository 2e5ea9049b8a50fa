import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import { Problem } from "../../../relay/problem.ts";
import {
  type CredentialRequest,
  findCredential,
  withoutToken,
} from "../../../relay/rights/credential.ts";
import { propertyParameters } from "../../support/property.ts";
import fc from "fast-check";

type Door = CredentialRequest["door"];

const DOORS: readonly Door[] = ["http", "gateway", "upgrade"];

function find(
  door: Door,
  headers: IncomingHttpHeaders | Headers,
  query = "",
  allowQueryToken = true,
): ReturnType<typeof findCredential> {
  return findCredential({
    door,
    headers,
    query: new URLSearchParams(query),
    allowQueryToken,
  });
}

const encode = (token: string): string =>
  `bearer.${Buffer.from(token).toString("base64url")}`;

interface Case {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly allowQueryToken?: boolean;
  /** The token and its header at each door that finds one. */
  readonly found: {
    readonly [D in Door]?: readonly [string, (string | undefined)?];
  };
}

const everywhere = (token: string, header?: string): Case["found"] => ({
  http: [token, header],
  gateway: [token, header],
  upgrade: [token, header],
});

const CASES: readonly Case[] = [
  { name: "nothing", headers: {}, found: {} },
  {
    name: "Authorization",
    headers: { authorization: "Bearer T" },
    found: everywhere("T", "authorization"),
  },
  {
    name: "Authorization in other letters, with more spaces",
    headers: { authorization: " bEARER   T " },
    found: everywhere("T", "authorization"),
  },
  {
    name: "Authorization of another scheme",
    headers: { authorization: "Basic VA==" },
    found: {},
  },
  {
    name: "Authorization of another scheme that speaks of this one",
    headers: { authorization: "Basic Bearer T" },
    found: {},
  },
  {
    name: "Authorization without a token",
    headers: { authorization: "Bearer " },
    found: {},
  },
  {
    name: "two in Authorization, which are none of two",
    headers: { authorization: "Bearer T, Bearer U" },
    found: everywhere("T, Bearer U", "authorization"),
  },
  {
    name: "Rivulet-Token before all others",
    headers: {
      "rivulet-token": "T",
      authorization: "Bearer U",
      "sec-websocket-protocol": encode("V"),
      "x-api-key": "W",
      "api-key": "X",
    },
    query: "access_token=Y",
    found: everywhere("T", "rivulet-token"),
  },
  {
    name: "an empty Rivulet-Token",
    headers: { "rivulet-token": "", authorization: "Bearer U" },
    found: everywhere("U", "authorization"),
  },
  {
    name: "a subprotocol",
    headers: { "sec-websocket-protocol": `rivulet.v1, ${encode("Tü")}` },
    // A JWT is ASCII; what is not is no token, but breaks nothing.
    found: { upgrade: ["T\xc3\xbc", "sec-websocket-protocol"] },
  },
  {
    name: "a subprotocol before it",
    headers: { "sec-websocket-protocol": `${encode("T")},rivulet.v1` },
    found: { upgrade: ["T", "sec-websocket-protocol"] },
  },
  {
    name: "other subprotocols",
    headers: { "sec-websocket-protocol": "rivulet.v1, bearer, xbearer.VA" },
    found: {},
  },
  {
    name: "the query",
    headers: {},
    query: "a=b&access_token=T",
    found: everywhere("T"),
  },
  {
    name: "an empty one in the query",
    headers: {},
    query: "access_token=",
    found: {},
  },
  {
    name: "the query where it does not count",
    headers: {},
    query: "access_token=T",
    allowQueryToken: false,
    found: {},
  },
  {
    name: "another one in a query that does not count",
    headers: { authorization: "Bearer T" },
    query: "access_token=U",
    allowQueryToken: false,
    found: everywhere("T", "authorization"),
  },
  {
    name: "the same one everywhere",
    headers: {
      authorization: "Bearer T",
      "sec-websocket-protocol": `${encode("T")}, ${encode("T")}`,
    },
    query: "access_token=T&access_token=T",
    found: everywhere("T", "authorization"),
  },
  {
    name: "x-api-key",
    headers: { "x-api-key": "T", "api-key": "U" },
    found: { gateway: ["T", "x-api-key"] },
  },
  {
    name: "api-key",
    headers: { "api-key": "T" },
    found: { gateway: ["T", "api-key"] },
  },
  {
    name: "x-goog-api-key",
    headers: { "x-goog-api-key": "T" },
    found: { gateway: ["T", "x-goog-api-key"] },
  },
  {
    name: "Authorization beside a provider's key",
    headers: { authorization: "Bearer T", "x-api-key": "U" },
    found: everywhere("T", "authorization"),
  },
];

for (const { name, headers, query, allowQueryToken, found } of CASES) {
  Deno.test(`findCredential finds ${name}`, () => {
    for (const door of DOORS) {
      const [token, header] = found[door] ?? [];
      const expected = token === undefined ? undefined : { token, header };
      for (const given of [headers, new Headers(headers)]) {
        assertEquals(
          find(door, given, query, allowQueryToken),
          expected,
          door,
        );
      }
    }
  });
}

Deno.test("findCredential takes no choice between tokens that differ", () => {
  const table: [Door[], Record<string, string>, string][] = [
    [[...DOORS], { authorization: "Bearer T" }, "access_token=U"],
    [[...DOORS], {}, "access_token=T&access_token=U"],
    [["upgrade"], {
      authorization: "Bearer T",
      "sec-websocket-protocol": encode("U"),
    }, ""],
    [["upgrade"], {
      "sec-websocket-protocol": `${encode("T")}, ${encode("U")}`,
    }, ""],
    [["upgrade"], { "sec-websocket-protocol": encode("T") }, "access_token=U"],
  ];
  for (const [doors, headers, query] of table) {
    for (const door of doors) {
      const problem = assertThrows(() => find(door, headers, query), Problem);
      assertEquals([problem.status, problem.code], [400, "ambiguous_token"]);
      assertEquals(
        problem.headers["WWW-Authenticate"],
        'Bearer realm="rivulet", error="invalid_request"',
      );
    }
  }
});

Deno.test("findCredential refuses a subprotocol that is not encoded as it should be", () => {
  for (const encoded of ["", "VA==", "V", "V+/", "V A", "ü", "V\u0000"]) {
    const headers = { "sec-websocket-protocol": `bearer.${encoded}` };
    const problem = assertThrows(() => find("upgrade", headers), Problem);
    assertEquals(
      [problem.status, problem.code, problem.facts.reason],
      [401, "invalid_token", "malformed"],
      encoded,
    );
    assert(!problem.message.includes("VA"));
    for (const door of ["http", "gateway"] as const) {
      assertEquals(find(door, headers), undefined);
    }
  }
});

Deno.test("withoutToken leaves out tokens, and nothing else", () => {
  const table: [string, string][] = [
    ["/topics/a", "/topics/a"],
    ["/topics/a?", "/topics/a?"],
    ["/topics/a?access_token=T", "/topics/a"],
    ["/topics/a?access_token", "/topics/a"],
    ["/?a=1&access_token=T&b=%7e+%20", "/?a=1&b=%7e+%20"],
    ["/?access_token=T&a=1&access_token=U", "/?a=1"],
    ["/?access%5Ftoken=T&a", "/?a"],
    ["/?ACCESS_token=T", "/"],
    ["/?access_token=T#b?access_token=c", "/#b?access_token=c"],
    ["/?access_tokens=1", "/?access_tokens=1"],
    ["/?a=access_token=1", "/?a=access_token=1"],
    ["/access_token=1", "/access_token=1"],
    ["/?%zz=%&access_token=%zz", "/?%zz=%"],
    ["http://x/a?access_token=T&a=b", "http://x/a?a=b"],
    ["*", "*"],
    ["", ""],
  ];
  for (const [url, expected] of table) {
    assertEquals(withoutToken(url), expected, url);
  }
});

Deno.test("withoutToken leaves none that would be found", () => {
  const part = fc.constantFrom(
    ..."access_token|access%5ftoken|%61ccess_token|=|&|?|#|a|secret|%|+|/"
      .split("|"),
  );
  let found = 0;
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const url = `http://relay/?${parts.join("")}`;
      if (new URL(url).searchParams.has("access_token")) found++;
      const left = withoutToken(url);
      assert(!new URL(left).searchParams.has("access_token"), left);
      assertEquals(withoutToken(left), left);
    }),
    propertyParameters(3_000),
  );
  assert(found > 100);
});
