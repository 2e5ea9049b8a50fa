import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { Buffer } from "node:buffer";
import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { Problem } from "../../../../relay/problem.ts";
import type { Access } from "../../../../relay/rights/access.ts";
import {
  FixedKeys,
  type Keys,
} from "../../../../relay/rights/keys/key_source.ts";
import { parseKeys } from "../../../../relay/rights/keys/parse_keys.ts";
import {
  MAX_TOKEN,
  TokenAuthority,
  type TokenAuthorityOptions,
} from "../../../../relay/rights/tokens/token_authority.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { pem } from "../../../support/rights/keys.ts";
import { SECRET, signToken } from "../../../support/rights/signed_token.ts";

/** In seconds since the epoch. */
const NOW = 1_700_000_000;

const exp = NOW + 60;

const rivulet = { read: ["run-*"], write: ["w"], cancel: ["c", "d*"] };

const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const otherRsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");

function jwk(key: KeyObject, facts: Record<string, unknown>): unknown {
  return { ...key.export({ format: "jwk" }), ...facts };
}

/** An authority, and the time it has. */
function world(
  key = SECRET,
  options: Partial<TokenAuthorityOptions> = {},
): { authority: TokenAuthority; clock: FakeClock } {
  const clock = new FakeClock(NOW * 1_000);
  const keys = new FixedKeys(parseKeys(key));
  return { authority: new TokenAuthority({ keys, clock, ...options }), clock };
}

/** Whatever way it is told. */
async function authorize(
  authority: TokenAuthority,
  token: string | undefined,
): Promise<Access> {
  return await authority.authorize(token);
}

async function problemOf(
  authority: TokenAuthority,
  token: string | undefined,
): Promise<Problem> {
  return await assertRejects(() => authorize(authority, token), Problem);
}

async function assertInvalid(
  authority: TokenAuthority,
  token: string,
  reason: string,
): Promise<Problem> {
  const problem = await problemOf(authority, token);
  assertEquals(
    [problem.status, problem.code, problem.facts.reason],
    [401, "invalid_token", reason],
    problem.message,
  );
  const header = problem.headers["WWW-Authenticate"] ?? "";
  assert(header.includes('error="invalid_token"'), header);
  const told = `${problem.body}${header}`;
  for (const part of token.split(".")) {
    assert(part.length < 10 || !told.includes(part), "The token is told");
  }
  return problem;
}

/** An algorithm of each kind, with the key that verifies and the key that signs. */
const ALGORITHMS = [
  ["HS256", SECRET, SECRET],
  ["RS256", pem(rsa.publicKey), rsa.privateKey],
  ["ES256", pem(ec.publicKey), ec.privateKey],
  ["EdDSA", pem(ed.publicKey), ed.privateKey],
] as const;

for (const [name, publicKey, privateKey] of ALGORITHMS) {
  Deno.test(`TokenAuthority takes a token signed by ${name}`, async () => {
    const { authority } = world(publicKey);
    const access = await authorize(
      authority,
      signToken({ exp, rivulet }, privateKey),
    );
    assertEquals(access.expires, (exp + 30) * 1_000);
    assertEquals(access.isAdmin, false);
    const rights = ["read", "write", "cancel"] as const;
    const may = ["run-1", "w", "c", "d1", "other"].map((topic) =>
      rights.filter((right) => access.may(right, topic)).join()
    );
    assertEquals(may, ["read", "write", "cancel", "cancel", ""]);
  });

  Deno.test(`TokenAuthority takes none that another key has signed by ${name}`, async () => {
    const { authority } = world(publicKey);
    const others = {
      HS256: "another secret that is long enough, too",
      RS256: otherRsa.privateKey,
      ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
      EdDSA: generateKeyPairSync("ed25519").privateKey,
    };
    await assertInvalid(
      authority,
      signToken({ exp, rivulet }, others[name]),
      "signature",
    );
    // Any bit of it.
    const [head = "", body = "", signature = ""] = signToken(
      { exp, rivulet },
      privateKey,
    ).split(".");
    const changed = Buffer.from(signature, "base64url");
    changed[20]! ^= 1; // it is longer
    const forged = Buffer.from(
      JSON.stringify({ exp, rivulet: { admin: true } }),
    )
      .toString("base64url");
    for (
      const token of [
        `${head}.${body}.${changed.toString("base64url")}`,
        `${head}.${forged}.${signature}`,
        `${head}.${body}.`,
      ]
    ) await assertInvalid(authority, token, "signature");
  });

  Deno.test(`TokenAuthority takes no other algorithm than ${name} with its key`, async () => {
    const { authority } = world(publicKey);
    const keys = {
      HS256: SECRET,
      RS256: rsa.privateKey,
      ES256: ec.privateKey,
      EdDSA: ed.privateKey,
    };
    for (const [other, key] of Object.entries(keys)) {
      if (other === name) continue;
      const token = signToken({ exp, rivulet }, key);
      const problem = await assertInvalid(authority, token, "algorithm");
      assert(problem.message.includes(name), problem.message);
    }
    for (
      const alg of [
        ...["none", "None", "NONE", "", "HS384", "HS512", "RS384", "RS512"],
        ...["PS256", "ES384", "ES512", "ES256K", "Ed25519", "toString"],
        ...["hs256", "__proto__"],
      ]
    ) {
      const token = signToken({ exp, rivulet }, privateKey, { alg });
      await assertInvalid(authority, token, "algorithm");
      const [head, body] = token.split(".");
      await assertInvalid(authority, `${head}.${body}.`, "algorithm");
    }
  });
}

Deno.test("TokenAuthority takes no secret that is the public key itself", async () => {
  for (const { publicKey } of [rsa, ec, ed]) {
    const text = pem(publicKey);
    const { authority } = world(text);
    const der = publicKey.export({ type: "spki", format: "der" });
    const json = JSON.stringify(publicKey.export({ format: "jwk" }));
    for (const secret of [text, text.trim(), der, json]) {
      const payload = Buffer.from(JSON.stringify({ exp, rivulet }))
        .toString("base64url");
      for (const alg of ["HS256", "RS256", "ES256", "EdDSA"]) {
        const head = Buffer.from(JSON.stringify({ alg })).toString("base64url");
        const signature = createHmac("sha256", secret)
          .update(`${head}.${payload}`).digest("base64url");
        const token = `${head}.${payload}.${signature}`;
        const problem = await problemOf(authority, token);
        assertEquals(problem.code, "invalid_token");
      }
    }
  }
});

Deno.test("TokenAuthority asks for a token", async () => {
  const { authority } = world();
  for (const none of [undefined, ""]) {
    const problem = await problemOf(authority, none);
    assertEquals([problem.status, problem.code], [401, "token_required"]);
  }
});

Deno.test("TokenAuthority refuses what is no token", async () => {
  const { authority } = world();
  const good = signToken({ exp, rivulet });
  const [head = "", body = "", signature = ""] = good.split(".");
  const tokens = [
    ...[" ", ".", "..", "...", "a.b.c", "x", "\u0000", "Bearer", "é.é.é"],
    ...[`${head}.${body}`, `${good}.`, `.${good}`, `${head}..${signature}`],
    ...[`${good} `, ` ${good}`, `${good}, ${good}`, `${good}=`, `${good}\n`],
    `${head}.${body}.${signature}.${body}.${signature}`,
    // The header
    ...[[], null, 1, "x", {}, { alg: 1 }, { alg: "HS256", kid: 1 }].map(
      (header) =>
        `${
          Buffer.from(JSON.stringify(header)).toString("base64url")
        }.${body}.${signature}`,
    ),
    // Extensions that would have to be understood
    signToken({ exp, rivulet }, SECRET, { crit: ["x"], x: 1 }),
    signToken({ exp, rivulet }, SECRET, { crit: ["b64"], b64: false }),
    signToken({ exp, rivulet }, SECRET, { crit: [] }),
    // The body
    ...["", "x", "[]", "null", "1", '"x"', "{", '{"exp":'].map((payload) =>
      signToken(payload)
    ),
  ];
  for (const token of tokens) {
    const { status, code, facts } = await problemOf(authority, token);
    assertEquals([status, code], [401, "invalid_token"], token);
    assert(
      facts.reason === "malformed" || facts.reason === "signature",
      `${token} ${facts.reason}`,
    );
  }
});

Deno.test("TokenAuthority bounds the length of a token", async () => {
  const { authority } = world();
  const padded = (length: number): string => {
    const token = signToken({ exp, rivulet, x: "" });
    // Each three bytes take four characters.
    for (let pad = 0;; pad++) {
      const more = Math.floor((length - token.length) * 3 / 4) - 8 + pad;
      const longer = signToken({ exp, rivulet, x: "x".repeat(more) });
      if (longer.length >= length) return longer;
    }
  };
  const fits = padded(MAX_TOKEN);
  assertEquals(fits.length, MAX_TOKEN);
  assertEquals((await authorize(authority, fits)).isAdmin, false);
  await assertInvalid(authority, padded(MAX_TOKEN + 1), "too_long");
  await assertInvalid(authority, "a".repeat(10_000_000), "too_long");
});

Deno.test("TokenAuthority takes a token 30 s longer, and that much sooner", async () => {
  const cases: [Record<string, number>, number, string | undefined][] = [
    [{ exp: NOW - 29 }, 0, undefined],
    [{ exp: NOW - 29 }, 999, undefined],
    [{ exp: NOW - 29 }, 1_000, "expired"],
    [{ exp: NOW - 30 }, 0, "expired"],
    [{ exp: NOW - 3_600 }, 0, "expired"],
    [{ exp: 0 }, 0, "expired"],
    [{ exp: -1 }, 0, "expired"],
    [{ exp, nbf: NOW + 30 }, 0, undefined],
    [{ exp, nbf: NOW + 31 }, 999, "not_yet_valid"],
    [{ exp, nbf: NOW + 31 }, 1_000, undefined],
    [{ exp, nbf: NOW - 1 }, 0, undefined],
    // The time at which it was made does not matter.
    [{ exp, iat: NOW + 3_600 }, 0, undefined],
  ];
  for (const [times, later, reason] of cases) {
    const { authority, clock } = world();
    await clock.advance(later);
    const token = signToken({ ...times, rivulet });
    if (reason) await assertInvalid(authority, token, reason);
    else {
      const { expires } = await authorize(authority, token);
      assertEquals(expires, (times.exp! + 30) * 1_000); // each has one
      assert(expires > clock.now());
    }
  }
});

Deno.test("TokenAuthority does not remember a token beyond its end", async () => {
  const { authority, clock } = world();
  const token = signToken({ exp: NOW, rivulet });
  const access = await authorize(authority, token);
  await clock.advance(29_999);
  assertStrictEquals(authority.authorize(token), access);
  await clock.advance(1);
  assertEquals(clock.now(), access.expires);
  await assertInvalid(authority, token, "expired");
});

Deno.test("TokenAuthority compares audience and issuer where it is told to", async () => {
  const options = { audience: "relay", issuer: "https://idp/" };
  const cases: [Record<string, unknown>, string | undefined][] = [
    [{ aud: "relay", iss: "https://idp/" }, undefined],
    [{ aud: ["x", "relay"], iss: "https://idp/" }, undefined],
    [{ iss: "https://idp/" }, "audience"],
    [{ aud: "relay2", iss: "https://idp/" }, "audience"],
    [{ aud: [], iss: "https://idp/" }, "audience"],
    [{ aud: { relay: 1 }, iss: "https://idp/" }, "audience"],
    [{ aud: "relay" }, "issuer"],
    [{ aud: "relay", iss: "https://idp" }, "issuer"],
    [{ aud: "relay", iss: ["https://idp/"] }, "issuer"],
  ];
  for (const [facts, reason] of cases) {
    const token = signToken({ exp, rivulet, ...facts });
    const { authority } = world(SECRET, options);
    if (reason) await assertInvalid(authority, token, reason);
    else await authorize(authority, token);
  }
  // Without, they may be anything.
  const { authority } = world();
  await authorize(authority, signToken({ exp, rivulet, aud: "x", iss: "y" }));
});

Deno.test("TokenAuthority refuses claims that are not what they should be", async () => {
  const tooMany = Array.from({ length: 501 }, () => "*");
  const cases: unknown[] = [
    {},
    { rivulet },
    { exp: null, rivulet },
    { exp: `${exp}`, rivulet },
    { exp: {}, rivulet },
    // In milliseconds, it would never expire.
    { exp: exp * 1_000, rivulet },
    { exp: 1e308, rivulet },
    { exp, nbf: "0", rivulet },
    { exp, iat: "0", rivulet },
    { exp, sub: 1, rivulet },
    { exp, iss: {}, rivulet },
    { exp },
    { exp, rivulet: null },
    { exp, rivulet: [] },
    { exp, rivulet: "admin" },
    { exp, rivulet: { read: "*" } },
    { exp, rivulet: { read: null } },
    { exp, rivulet: { read: [1] } },
    { exp, rivulet: { read: [["*"]] } },
    { exp, rivulet: { read: [""] } },
    { exp, rivulet: { write: ["a".repeat(129)] } },
    { exp, rivulet: { cancel: { 0: "*" } } },
    { exp, rivulet: { admin: "true" } },
    { exp, rivulet: { admin: 1 } },
    { exp, rivulet: { read: tooMany, write: tooMany } },
  ];
  const { authority } = world();
  for (const payload of cases) {
    const token = signToken(payload);
    await assertInvalid(authority, token, "claims");
  }
  const { message } = await problemOf(
    authority,
    signToken({ exp, rivulet: { read: ["a", ""] } }),
  );
  assertEquals(
    message,
    "The token's claim rivulet.read[1]: expected a pattern of 1 to 128 characters",
  );
  const late = await problemOf(
    authority,
    signToken({ exp: exp * 1_000, rivulet }),
  );
  assertEquals(
    late.message,
    "The token's claim exp: expected a time in seconds, not in milliseconds",
  );
});

Deno.test("TokenAuthority gives no more than is asked for", async () => {
  const { authority } = world();
  const of = (rivulet: unknown) =>
    authorize(authority, signToken({ exp, rivulet }));
  const nothing = await of({});
  assertEquals(nothing.isAdmin, false);
  assert(!nothing.may("read", "a"));
  const admin = await of({ admin: true });
  assert(admin.isAdmin && admin.may("cancel", "a"));
  const reader = await of({
    read: ["a".repeat(128)],
    admin: false,
    delete: ["*"],
    __proto__: { write: ["*"] },
  });
  assert(reader.may("read", "a".repeat(128)) && !reader.may("read", "a"));
  assert(!reader.may("write", "a"));
  const text = `{"exp":${exp},"rivulet":{"__proto__":{"write":["*"]}}}`;
  assert(!(await authorize(authority, signToken(text))).may("write", "a"));
});

Deno.test("TokenAuthority names a caller by who has made the token, and for whom", async () => {
  const { authority } = world();
  const identityOf = async (facts: Record<string, unknown>) =>
    (await authorize(authority, signToken({ exp, rivulet, ...facts })))
      .identity;
  const a = await identityOf({ sub: "a" });
  assertEquals(await identityOf({ sub: "a", jti: "1", exp: exp + 1 }), a);
  const others = [
    a,
    await identityOf({ sub: "b" }),
    await identityOf({ sub: "" }),
    await identityOf({ sub: "a", iss: "i" }),
    await identityOf({ sub: "ia" }),
    await identityOf({ sub: "a", iss: "" }),
    // Without a name, each token is somebody.
    await identityOf({}),
    await identityOf({ jti: "1" }),
    await identityOf({ iss: "i" }),
  ];
  assertEquals(new Set(others).size, others.length);
  for (const identity of others) assertEquals(identity.length, 43);
});

/** The order of the group of P-256. */
const P256_ORDER = BigInt(
  "0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
);

/** Returns the other valid signature of ES256 that anybody can make from one. */
function otherSignature(signature: string): string {
  const bytes = Buffer.from(signature, "base64url");
  const s = BigInt(`0x${bytes.subarray(32).toString("hex")}`);
  const other = (P256_ORDER - s).toString(16).padStart(64, "0");
  return Buffer.concat([bytes.subarray(0, 32), Buffer.from(other, "hex")])
    .toString("base64url");
}

Deno.test("TokenAuthority takes a signature that was made from another for the same caller (A8)", async () => {
  const { authority } = world(pem(ec.publicKey));
  for (const facts of [{}, { sub: "a" }]) {
    const token = signToken({ exp, rivulet, ...facts }, ec.privateKey);
    const [head = "", body = "", signature = ""] = token.split(".");
    const other = `${head}.${body}.${otherSignature(signature)}`;
    assert(other !== token);
    const { identity } = await authorize(authority, token);
    assertEquals((await authorize(authority, other)).identity, identity);
  }
});

for (const [name, publicKey, privateKey] of ALGORITHMS) {
  Deno.test(`TokenAuthority takes a token of ${name} in one spelling only (A8)`, async () => {
    const { authority } = world(publicKey);
    const token = signToken({ exp, rivulet }, privateKey);
    const bytes = Buffer.from(token.split(".")[2]!, "base64url");
    const spellings = [
      ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    ]
      .map((last) => `${token.slice(0, -1)}${last}`)
      .filter((other) =>
        other !== token &&
        bytes.equals(Buffer.from(other.split(".")[2]!, "base64url"))
      );
    assert(spellings.length > 0);
    for (
      const other of [
        ...spellings,
        ...[`${token}=`, `${token}==`, `${token} `, `${token}\n`, `\t${token}`],
        token.replaceAll(".", ".\n"),
        `${token}.`,
      ]
    ) await assertInvalid(authority, other, "malformed");
    await authorize(authority, token);
  });
}

Deno.test("TokenAuthority chooses the key of a set by its name", async () => {
  const set = JSON.stringify({
    keys: [
      jwk(rsa.publicKey, { kid: "1" }),
      jwk(otherRsa.publicKey, { kid: "2", alg: "RS256", use: "sig" }),
      jwk(ec.publicKey, { kid: "3" }),
      { kty: "oct", k: Buffer.from(SECRET).toString("base64url"), kid: "4" },
    ],
  });
  const { authority } = world(set);
  const payload = { exp, rivulet };
  const good: [KeyObject | string, string | undefined][] = [
    [rsa.privateKey, "1"],
    [otherRsa.privateKey, "2"],
    [ec.privateKey, "3"],
    [SECRET, "4"],
    // One that names none is tried with all.
    [rsa.privateKey, undefined],
    [otherRsa.privateKey, undefined],
    [SECRET, undefined],
  ];
  for (const [key, kid] of good) {
    await authorize(authority, signToken(payload, key, kid ? { kid } : {}));
  }
  const bad: [KeyObject | string, string | undefined, string][] = [
    [rsa.privateKey, "2", "signature"],
    [rsa.privateKey, "3", "unknown_key"],
    [rsa.privateKey, "9", "unknown_key"],
    [rsa.privateKey, "", "unknown_key"],
    [ed.privateKey, undefined, "algorithm"],
    [ed.privateKey, "1", "algorithm"],
    ["x".repeat(32), undefined, "signature"],
  ];
  for (const [key, kid, reason] of bad) {
    const header = kid === undefined ? {} : { kid };
    await assertInvalid(authority, signToken(payload, key, header), reason);
  }
});

Deno.test("TokenAuthority lets nothing of a token's header stand for a key", async () => {
  const { authority } = world(pem(rsa.publicKey));
  const own = otherRsa.publicKey.export({ format: "jwk" });
  for (
    const header of [
      { jwk: own },
      { jku: "http://127.0.0.1:9/" },
      { x5u: "http://127.0.0.1:9/" },
      { kid: "../../../../dev/null" },
      { x5c: [pem(otherRsa.publicKey)] },
    ]
  ) {
    const token = signToken({ exp, rivulet }, otherRsa.privateKey, header);
    await assertInvalid(authority, token, "signature");
  }
});

Deno.test("TokenAuthority answers at once for a token that it knows, with the keys it has", async () => {
  let keys: Keys = parseKeys(pem(rsa.publicKey));
  const clock = new FakeClock(NOW * 1_000);
  const authority = new TokenAuthority({
    clock,
    keys: {
      current: () => keys,
      newer: () => Promise.resolve(undefined),
    },
  });
  const token = signToken({ exp, rivulet }, rsa.privateKey);
  const first = authority.authorize(token);
  assert(first instanceof Promise);
  const access = await first;
  assertStrictEquals(authority.authorize(token), access);
  // Withdrawn
  keys = parseKeys(pem(otherRsa.publicKey));
  await assertInvalid(authority, token, "signature");
  keys = parseKeys(pem(rsa.publicKey));
  assert(await authorize(authority, token) !== access);
});

Deno.test("TokenAuthority asks for a key's name only where the key has one", async () => {
  const named = signToken({ exp, rivulet }, ec.privateKey, { kid: "1" });
  for (
    const [key, reason] of [
      [pem(ec.publicKey), undefined],
      [JSON.stringify(jwk(ec.publicKey, {})), undefined],
      [JSON.stringify(jwk(ec.publicKey, { kid: "1" })), undefined],
      [JSON.stringify(jwk(ec.publicKey, { kid: "2" })), "unknown_key"],
    ] as const
  ) {
    const { authority } = world(key);
    if (reason) await assertInvalid(authority, named, reason);
    else await authorize(authority, named);
  }
});
