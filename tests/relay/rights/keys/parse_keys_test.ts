import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import { KeyError } from "../../../../relay/rights/keys/verification_key.ts";
import { parseKeys } from "../../../../relay/rights/keys/parse_keys.ts";
import { jwk, pem } from "../../../support/rights/keys.ts";
import { SECRET } from "../../../support/rights/signed_token.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const weakRsa = generateKeyPairSync("rsa", { modulusLength: 1_024 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const otherEc = generateKeyPairSync("ec", { namedCurve: "P-384" });
const ed = generateKeyPairSync("ed25519");
const x = generateKeyPairSync("x25519");

/** Made with `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256`. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBejCCASGgAwIBAgIUQ3Gck8oN6fe3WtyCGsTumn6UyM0wCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHcml2dWxldDAgFw0yNjExMjMwMDU3NDNaGA8yMTI2MTAzMDAw
NTc0M1owEjEQMA4GA1UEAwwHcml2dWxldDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABCYMB+5s8YM2d83ygKkQ1K+UCprTqkG8uGgqxuea5q/qDJcVAPfQpSBCTfTR
vHbCXSFIg+YZsfBrXL+REVidImWjUzBRMB0GA1UdDgQWBBQbOwN0CAuEMsk2f67f
rhAq3BSSrDAfBgNVHSMEGDAWgBQbOwN0CAuEMsk2f67frhAq3BSSrDAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIGmi5vMFxwm8U6F/fvCh4I1p2FxR
bJmrg7ZFFil/qb19AiBOkLtOGqvz5u+z/hffp9UZCNy67IMMOIdg49CF4VehZA==
-----END CERTIFICATE-----`;

function oct(bytes: number, facts: Record<string, unknown> = {}): string {
  const k = Buffer.from("x".repeat(bytes)).toString("base64url");
  return JSON.stringify({ kty: "oct", k, ...facts });
}

function set(...keys: string[]): string {
  return `{"keys":[${keys.join()}]}`;
}

Deno.test("parseKeys says for what a key is", () => {
  const table: [string, string, string[]][] = [
    ["a secret", SECRET, ["HS256"]],
    ["a secret of fewer characters", "ü".repeat(16), ["HS256"]],
    ["a secret in white space", `\n ${SECRET}\n`, ["HS256"]],
    ["a public RSA key", pem(rsa.publicKey), ["RS256"]],
    ["a public EC key", `\n${pem(ec.publicKey)}\n`, ["ES256"]],
    ["a public Ed25519 key", pem(ed.publicKey), ["EdDSA"]],
    ["a certificate", CERTIFICATE, ["ES256"]],
    ["PEM with a word before it", `A key:\n${pem(ec.publicKey)}`, ["ES256"]],
    ["a JWK of RSA", jwk(rsa.publicKey), ["RS256"]],
    ["a JWK of EC", jwk(ec.publicKey, { alg: "ES256" }), ["ES256"]],
    ["a JWK of Ed25519", jwk(ed.publicKey, { alg: "EdDSA" }), ["EdDSA"]],
    ["a JWK of a secret", oct(32, { alg: "HS256" }), ["HS256"]],
    [
      "a JWK with all facts",
      jwk(ec.publicKey, {
        use: "sig",
        key_ops: ["verify"],
        kid: "k",
        x5t: "x",
      }),
      ["ES256 k"],
    ],
    [
      "a set",
      set(jwk(rsa.publicKey, { kid: "1" }), jwk(ec.publicKey), oct(40)),
      ["RS256 1", "ES256", "HS256"],
    ],
    [
      "a set with keys for something else",
      set(
        ...[jwk(x.publicKey), jwk(weakRsa.publicKey), jwk(otherEc.publicKey)],
        ...[oct(31), "{}", "null", "1", '{"kty":"AKP","alg":"ML-DSA-44"}'],
        ...['{"kty":"RSA"}', '{"kty":"EC","crv":"P-256","x":1,"y":2}'],
        ...[jwk(rsa.publicKey, { use: "enc" })],
        ...[jwk(rsa.publicKey, { alg: "RS512" })],
        ...[jwk(rsa.publicKey, { key_ops: ["encrypt"] })],
        jwk(ed.publicKey, { kid: "good" }),
      ),
      ["EdDSA good"],
    ],
  ];
  for (const [name, text, expected] of table) {
    const keys = parseKeys(text);
    assertEquals(
      keys.map(({ algorithm, kid }) =>
        kid === undefined ? algorithm : `${algorithm} ${kid}`
      ),
      expected,
      name,
    );
    for (const { key } of keys) {
      assertEquals([key.extractable, key.usages], [false, ["verify"]]);
      assert(key.type !== "private");
    }
  }
});

Deno.test("parseKeys refuses keys that verify nothing, or that others know", () => {
  const der = rsa.publicKey.export({ type: "spki", format: "der" });
  const table: [string, string, KeyError["code"], RegExp][] = [
    ["nothing", "", "unsupported_key", /32 bytes.*got 0/],
    ["a short secret", SECRET.slice(1), "unsupported_key", /32 bytes.*got 31/],
    [
      "a short secret in white space",
      ` ${"x".repeat(31)} `,
      "unsupported_key",
      /got 31/,
    ],
    ["a private RSA key", pem(rsa.privateKey), "private_key", /openssl pkey/],
    ["a private EC key", pem(ec.privateKey), "private_key", /public/],
    [
      "a certificate with its private key",
      `${CERTIFICATE}\n${pem(ec.privateKey)}`,
      "private_key",
      /public/,
    ],
    ["a weak RSA key", pem(weakRsa.publicKey), "unsupported_key", /2048.*1024/],
    ["another curve", pem(otherEc.publicKey), "unsupported_key", /P-256.*384/],
    ["a key of no signatures", pem(x.publicKey), "unsupported_key", /x25519/],
    [
      "broken PEM",
      "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----",
      "malformed_key",
      /PEM/,
    ],
    [
      "a public key without PEM",
      der.toString("base64"),
      "malformed_key",
      /others know/,
    ],
    [
      "one in lines",
      der.toString("base64").replaceAll(/.{64}/g, "$&\n"),
      "malformed_key",
      /others know/,
    ],
    [
      "a public key of SSH",
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx me@home",
      "malformed_key",
      /others know/,
    ],
    [
      "another public key of SSH",
      "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI me@home",
      "malformed_key",
      /others know/,
    ],
    [
      "a URL",
      "https://idp.example.com/.well-known/jwks.json",
      "malformed_key",
      /a URL/,
    ],
    ["broken JSON", '{"kty":"oct","k":', "malformed_key", /JSON/],
    ["JSON that is no JWK", "{}", "malformed_key", /'kty'/],
    ["a private JWK", jwk(ec.privateKey), "private_key", /public/],
    ["a short secret as JWK", oct(31), "unsupported_key", /got 31/],
    ["a JWK of a secret without it", '{"kty":"oct"}', "malformed_key", /JWK/],
    ["a JWK with holes", '{"kty":"EC","crv":"P-256"}', "malformed_key", /JWK/],
    ["a JWK of an unknown type", '{"kty":"AKP"}', "malformed_key", /JWK/],
    [
      "a JWK for another algorithm",
      jwk(rsa.publicKey, { alg: "PS256" }),
      "unsupported_key",
      /'RS256'/,
    ],
    ["a JWK for none", oct(32, { alg: "none" }), "unsupported_key", /'HS256'/],
    [
      "a JWK for encryption",
      jwk(rsa.publicKey, { use: "enc" }),
      "unsupported_key",
      /'sig'/,
    ],
    [
      "a JWK for signing",
      oct(32, { key_ops: ["sign"] }),
      "unsupported_key",
      /'verify'/,
    ],
    ["an empty set", set(), "unsupported_key", /empty/],
    [
      "a set of others",
      set("{}", jwk(x.publicKey)),
      "unsupported_key",
      /'kty'/,
    ],
    ["a set that is none", '{"keys":{}}', "malformed_key", /keys/],
    [
      "a set with a private key",
      set(jwk(rsa.publicKey), jwk(ec.privateKey)),
      "private_key",
      /public/,
    ],
  ];
  for (const [name, text, code, message] of table) {
    const error = assertThrows(() => parseKeys(text), KeyError);
    assertEquals(error.code, code, `${name}: ${error.message}`);
    assert(message.test(error.message), `${name}: ${error.message}`);
    // The key is told to nobody.
    const told = `${Deno.inspect(error)}${error.cause}`;
    for (const part of text.split(/[^\w+/-]+/)) {
      if (part.length < 24) continue;
      assert(!told.includes(part.slice(0, 24)), `${name}: ${told}`);
    }
  }
});
