/**
 * Keys and tokens of NATS, as `nsc` makes them.
 *
 * @module
 */
import { nkeys } from "@nats-io/transport-node";

/** The server's side of accounts that prove themselves by tokens, and a user's file. */
export interface NatsAccounts {
  /** Lines for the configuration of the server. */
  readonly config: string;
  /** The credentials file of a user whose account has JetStream. */
  readonly credentials: string;
}

/** Makes a user's key. */
export function makeUserKey(): {
  readonly name: string;
  readonly seed: string;
} {
  const user = nkeys.createUser();
  return { name: user.getPublicKey(), seed: textOf(user.getSeed()) };
}

/** Makes an operator, an account of the system, one with JetStream, and a user of that. */
export function makeAccounts(): NatsAccounts {
  const operator = nkeys.createOperator();
  const system = nkeys.createAccount();
  const account = nkeys.createAccount();
  const user = nkeys.createUser();
  const systemName = system.getPublicKey();
  const accountName = account.getPublicKey();
  const limits = { subs: -1, conn: -1, leaf: -1, data: -1, payload: -1 };
  const jetstream = {
    mem_storage: -1,
    disk_storage: -1,
    streams: -1,
    consumer: -1,
  };
  const operatorToken = tokenOf(operator, operator, "operator", {
    system_account: systemName,
  });
  const accountTokens = [
    [systemName, tokenOf(operator, system, "account", { limits })],
    [
      accountName,
      tokenOf(operator, account, "account", {
        limits: { ...limits, ...jetstream },
      }),
    ],
  ];
  const userToken = tokenOf(account, user, "user", {
    pub: {},
    sub: {},
    subs: -1,
    data: -1,
    payload: -1,
  });
  const preload = accountTokens.map(([name, token]) => `${name}: ${token}`);
  return {
    config: `operator: ${operatorToken}\nsystem_account: ${systemName}\n` +
      `resolver: MEMORY\nresolver_preload { ${preload.join("\n")} }`,
    credentials: [
      ...["-----BEGIN NATS USER JWT-----", userToken],
      ...["------END NATS USER JWT------", ""],
      ...["-----BEGIN USER NKEY SEED-----", textOf(user.getSeed())],
      ...["------END USER NKEY SEED------", ""],
    ].join("\n"),
  };
}

type KeyPair = ReturnType<typeof nkeys.createUser>;

function tokenOf(
  issuer: KeyPair,
  subject: KeyPair,
  type: string,
  facts: Readonly<Record<string, unknown>>,
): string {
  const claims = {
    jti: crypto.randomUUID(),
    iat: 1_700_000_000,
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name: type,
    nats: { type, version: 2, ...facts },
  };
  const signed = [{ typ: "JWT", alg: "ed25519-nkey" }, claims]
    .map((part) => base64Url(new TextEncoder().encode(JSON.stringify(part))))
    .join(".");
  const signature = issuer.sign(new TextEncoder().encode(signed));
  return `${signed}.${base64Url(signature)}`;
}

function base64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
