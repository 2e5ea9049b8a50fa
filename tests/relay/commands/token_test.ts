import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { generateKeyPairSync, verify } from "node:crypto";
import { FlagError } from "../../../relay/commands/command.ts";
import { createAuthority } from "../../../relay/rights/create_authority.ts";
import { token } from "../../../relay/commands/token.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { jwk, pem } from "../../support/rights/keys.ts";
import { SECRET } from "../../support/rights/signed_token.ts";
import { type ProgramRun, runDeno } from "../../support/run_deno.ts";

/** In seconds since the epoch. */
const NOW = 1_700_000_000;

const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");

const KEYED = ["--key", SECRET];

async function make(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const printed = await token(args, {
    environment: (name) => environment[name],
    clock: new FakeClock(NOW * 1_000 + 999),
  });
  assertMatch(printed, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  return printed.trim();
}

function part(token: string, index: number): Record<string, unknown> {
  const text = Buffer.from(token.split(".")[index] ?? "", "base64url");
  return JSON.parse(text.toString());
}

/** A file that is there for a while. */
function file(text: string): { path: string } & Disposable {
  const path = Deno.makeTempFileSync();
  Deno.writeTextFileSync(path, text);
  return { path, [Symbol.dispose]: () => Deno.removeSync(path) };
}

Deno.test("token says in a token what its flags say", async () => {
  const made = await make([
    ...["--read", "run-*", "--read", "news", "--write", "w", "--cancel=c"],
    ...["--sub", "me", "--aud", "relay", "--iss", "https://idp/"],
    ...["--ttl", "2d", ...KEYED],
  ]);
  assertEquals(part(made, 0), { alg: "HS256" });
  assertEquals(part(made, 1), {
    iat: NOW,
    exp: NOW + 2 * 86_400,
    sub: "me",
    aud: "relay",
    iss: "https://idp/",
    rivulet: { read: ["run-*", "news"], write: ["w"], cancel: ["c"] },
  });
  assertEquals(part(await make(["--admin", ...KEYED]), 1), {
    iat: NOW,
    exp: NOW + 3_600,
    rivulet: { admin: true },
  });
});

Deno.test("token takes a duration with its unit", async () => {
  for (
    const [ttl, seconds] of [["1s", 1], ["15m", 900], [
      "30d",
      2_592_000,
    ]] as const
  ) {
    const { exp } = part(await make(["--admin", "--ttl", ttl, ...KEYED]), 1);
    assertEquals(exp, NOW + seconds, ttl);
  }
});

Deno.test("token signs what a relay takes that has the other half of the key", async (t) => {
  const sec1 = ec.privateKey.export({ type: "sec1", format: "pem" }).toString();
  const pkcs1 = rsa.privateKey.export({ type: "pkcs1", format: "pem" })
    .toString();
  const oct = JSON.stringify({
    kty: "oct",
    k: Buffer.from("x".repeat(32)).toString("base64url"),
    kid: "o",
  });
  const table: [string, string, string, Record<string, unknown>][] = [
    ["a secret", SECRET, `\n${SECRET}\n`, { alg: "HS256" }],
    ["a secret as JWK", oct, oct, { alg: "HS256", kid: "o" }],
    ["RSA", pem(rsa.publicKey), pem(rsa.privateKey), { alg: "RS256" }],
    ["RSA in PKCS#1", pem(rsa.publicKey), pkcs1, { alg: "RS256" }],
    ["EC", pem(ec.publicKey), pem(ec.privateKey), { alg: "ES256" }],
    ["EC in SEC1", pem(ec.publicKey), sec1, { alg: "ES256" }],
    ["Ed25519", pem(ed.publicKey), pem(ed.privateKey), { alg: "EdDSA" }],
    [
      "a JWK",
      jwk(ec.publicKey, { kid: "k" }),
      jwk(ec.privateKey, { kid: "k", alg: "ES256" }),
      { alg: "ES256", kid: "k" },
    ],
  ];
  for (const [name, jwtKey, signing, header] of table) {
    await t.step(name, async () => {
      using key = file(signing);
      const made = await make(["--read", "a*", "--key-file", key.path]);
      assertEquals(part(made, 0), header);
      const { signal } = new AbortController();
      const clock = new FakeClock(NOW * 1_000);
      const authority = createAuthority({ jwtKey, clock, signal });
      const access = await authority.authorize(made);
      assert(access.may("read", "a1") && !access.may("write", "a1"));
      assertEquals(
        await make(["--read", "a*"], { RIVULET_JWT_KEY: signing })
          .then((made) => part(made, 0)),
        header,
      );
    });
  }
});

Deno.test("token signs as another implementation reads it", async () => {
  using key = file(pem(ed.privateKey));
  const made = await make(["--admin", "--key-file", key.path]);
  const [head, body, signature = ""] = made.split(".");
  const bytes = Buffer.from(signature, "base64url");
  assert(verify(null, Buffer.from(`${head}.${body}`), ed.publicKey, bytes));
});

Deno.test("token takes the key that is nearest", async () => {
  using key = file(jwk(ec.privateKey));
  const environment = { RIVULET_JWT_KEY: pem(ed.privateKey) };
  const algorithmWith = async (...args: string[]) =>
    part(await make(["--admin", ...args], environment), 0).alg;
  assertEquals(await algorithmWith(), "EdDSA");
  assertEquals(await algorithmWith("--key-file", key.path), "ES256");
  assertEquals(await algorithmWith(...KEYED), "HS256");
});

Deno.test("token makes secrets that nobody has had", async () => {
  const context = { environment: () => undefined, clock: new FakeClock() };
  const keys = await Promise.all(
    Array.from({ length: 20 }, () => token(["--new-key"], context)),
  );
  for (const key of keys) assertMatch(key, /^[0-9a-f]{64}\n$/);
  assertEquals(new Set(keys).size, keys.length);
  await make(["--admin", "--key", keys[0]!.trim()]); // there are some
});

Deno.test("token names the flag that is wrong, what came and what is wanted", async (t) => {
  using empty = file("");
  using publicKey = file(pem(ec.publicKey));
  using broken = file('{"kty":"EC","d":"s3cret"');
  using holes = file('{"kty":"EC","crv":"P-256","d":"s3cret"}');
  using other = file(jwk(rsa.privateKey, { alg: "PS256" }));
  using weak = file(
    pem(generateKeyPairSync("rsa", { modulusLength: 1_024 }).privateKey),
  );
  const many = Array.from({ length: 60 }, () => ["--read", "x".repeat(128)]);
  const table: [string, string[], RegExp][] = [
    ["nothing", [], /^--read.*expected one of them, got none/],
    ["no right", KEYED, /^--read.*expected one of them, got none/],
    ["no key", ["--admin"], /^--key-file: .*RIVULET_JWT_KEY.*--new-key/],
    ["an unknown flag", ["--reed", "a"], /--reed.*--help/],
    ["an argument", ["a"], /'a'.*--help/],
    ["a flag without its value", ["--read"], /--read/],
    ["no duration", ["--admin", "--ttl", "1", ...KEYED], /^--ttl: .*'1'/],
    ["a duration of nothing", ["--admin", "--ttl", "0h", ...KEYED], /'0h'/],
    ["a negative one", ["--admin", "--ttl=-1h", ...KEYED], /^--ttl: .*'-1h'/],
    ["an empty pattern", ["--write", "", ...KEYED], /^--write: .*1 to 128/],
    ["a long pattern", ["--cancel", "x".repeat(129), ...KEYED], /^--cancel:/],
    ["too much", [...many.flat(), ...KEYED], /^--read.*8192 char.*fewer/],
    [
      "too many patterns",
      [...Array.from({ length: 1_001 }, () => "--read=a"), ...KEYED],
      /^--read.*1000 patterns/,
    ],
    ["two keys", ["--admin", "--key-file", "x", ...KEYED], /got both/],
    ["a short secret", ["--admin", "--key", "s3cret"], /^--key: .*32.*got 6/],
    ["no file", ["--admin", "--key-file", "nowhere"], /^--key-file: .*nowhere/],
    ["an empty file", ["--admin", "--key-file", empty.path], /got 0/],
    [
      "a public key",
      ["--admin", "--key-file", publicKey.path],
      /^--key-file: .*private.*public/,
    ],
    ["a broken JWK", ["--admin", "--key-file", broken.path], /'kty'/],
    ["a JWK with holes", ["--admin", "--key-file", holes.path], /private/],
    ["another algorithm", ["--admin", "--key-file", other.path], /'RS256'/],
    ["a weak key", ["--admin", "--key-file", weak.path], /2048.*1024/],
  ];
  for (const [name, args, message] of table) {
    await t.step(name, async () => {
      const error = await assertRejects(() => make(args), FlagError);
      assertMatch(error.message, message);
      assertEquals(error.code, "invalid_flag");
      assert(!Deno.inspect(error).includes("s3cret"), Deno.inspect(error));
    });
  }
});

/** The command, run with the permissions that it has as a task. */
function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ProgramRun> {
  return runDeno([
    ...["run", "--no-prompt", "--allow-read"],
    ...["--allow-env=RIVULET_JWT_KEY", "relay/main.ts", "token", ...args],
  ], env);
}

Deno.test("token prints a token, and nothing else", async () => {
  using key = file(pem(ec.privateKey));
  const { code, stdout, stderr } = await run(
    ["--read", "run-*", "--key-file", key.path],
  );
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const jwtKey = pem(ec.publicKey);
  const { signal } = new AbortController();
  const clock = new FakeClock(Date.now());
  const access = await createAuthority({ jwtKey, clock, signal })
    .authorize(stdout.trim());
  assert(access.may("read", "run-1"));
});

Deno.test("token takes its key from the environment, and explains itself", async () => {
  const made = await run(["--admin"], { RIVULET_JWT_KEY: SECRET });
  assertEquals([made.code, made.stderr], [0, ""]);
  assertEquals(part(made.stdout, 0), { alg: "HS256" });
  const help = await run(["--help"]);
  assertEquals([help.code, help.stderr], [0, ""]);
  for (const line of help.stdout.split("\n")) assert(line.length < 80, line);
});

Deno.test("token says in one line what is wrong, with status 2", async () => {
  const { code, stdout, stderr } = await run(["--admin", "--key", "s3cret"]);
  assertEquals([code, stdout], [2, ""]);
  assertMatch(stderr, /^rivulet token: --key: [^\n]+\n$/);
  assert(!stderr.includes("s3cret"));
});
