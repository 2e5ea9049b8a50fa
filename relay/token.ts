/**
 * Makes a token for a relay: `deno task token --help`.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { parseArgs } from "node:util";
import { SignJWT } from "jose";
import { type Clock, systemClock } from "../src/fetch/clock.ts";
import { messageOf } from "../src/fetch/message_of.ts";
import { FlagError } from "./options/flag_error.ts";
import { claims } from "./rights/tokens/claims.ts";
import { KeyError } from "./rights/keys/verification_key.ts";
import {
  parseSigningKey,
  type SigningKey,
} from "./rights/keys/parse_signing_key.ts";
import { MAX_TOKEN } from "./rights/tokens/token_authority.ts";

/** What making a token takes besides what is asked for. */
export interface TokenContext {
  /** Returns a variable of the environment, if it is set. */
  environment(name: string): string | undefined;
  /** Where time comes from. */
  readonly clock: Clock;
}

/** The status for all that goes wrong. */
const FAILED = 2;

const KEY_VARIABLE = "RIVULET_JWT_KEY";

const HELP = `Prints a token for a relay: who sends it may do what it says.

Usage: deno task token RIGHT ... [FLAG ...]
       deno task token --new-key

Rights, of topics by their names, in which * stands for any characters (one is
needed, and each may be given any number of times):
  --read PATTERN     to follow, and to read
  --write PATTERN    to make, fill, end and delete; and to ask providers:
                     --write 'run-*' where the relay names the topics
  --cancel PATTERN   to cancel
  --admin            to do everything, and to see /metrics

What it is signed with:
  --key SECRET       as the relay's --jwt-key; other users of the machine can
                     see it here
  --key-file FILE    a secret, or a private key (RSA, P-256 or Ed25519) as PEM
                     or JWK, of which the relay has the public one
  ${KEY_VARIABLE}    of the environment, where neither is given

And:
  --ttl DURATION     how long it holds: 90s, 15m, 1h (default) or 30d
  --sub NAME         who holds it: limits per token count all tokens of a name
  --aud NAME         whom it is for, as the relay's --jwt-audience
  --iss NAME         whom it is of, as the relay's --jwt-issuer
  --new-key          prints a new secret instead
  --help             this text
`;

const FLAGS = {
  read: { type: "string", multiple: true },
  write: { type: "string", multiple: true },
  cancel: { type: "string", multiple: true },
  admin: { type: "boolean" },
  key: { type: "string" },
  "key-file": { type: "string" },
  ttl: { type: "string" },
  sub: { type: "string" },
  aud: { type: "string" },
  iss: { type: "string" },
  "new-key": { type: "boolean" },
  help: { type: "boolean" },
} as const;

type Flags = ReturnType<typeof parse>;

const UNITS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** In bytes. */
const NEW_KEY = 32;

/**
 * Does what a command line asks for.
 *
 * @param args What comes after the program.
 * @returns What is to be printed.
 * @throws {FlagError} If there can be no such token.
 */
export async function token(
  args: readonly string[],
  { environment, clock }: TokenContext,
): Promise<string> {
  const flags = parse(args);
  if (flags.help) return HELP;
  if (flags["new-key"]) {
    // Without a dash, which could pass for the beginning of a flag.
    return `${randomBytes(NEW_KEY).toString("hex")}\n`;
  }
  const { sub, aud, iss } = flags;
  const iat = Math.floor(clock.now() / 1_000);
  const exp = iat + duration(flags.ttl ?? "1h");
  const rivulet = rightsOf(flags, exp);
  const { algorithm, kid, key } = await signingKey(flags, environment);
  const made = await new SignJWT({
    iat,
    exp,
    rivulet,
    ...(sub !== undefined && { sub }),
    ...(aud !== undefined && { aud }),
    ...(iss !== undefined && { iss }),
  })
    .setProtectedHeader({ alg: algorithm, ...(kid !== undefined && { kid }) })
    .sign(key);
  if (made.length > MAX_TOKEN) {
    throw new FlagError(
      `--read, --write, --cancel: expected a token of at most ${MAX_TOKEN} characters, got ${made.length}: give fewer patterns`,
    );
  }
  return `${made}\n`;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS }).values;
  } catch (cause) {
    // The first sentence says what is wrong, the others how to quote arguments.
    const [message] = messageOf(cause)
      .split(". ");
    throw new FlagError(`${message}: --help lists the flags`, { cause });
  }
}

function rightsOf({ read, write, cancel, admin }: Flags, exp: number): unknown {
  const rivulet = { read, write, cancel, admin };
  if (Object.values(rivulet).every((right) => right === undefined)) {
    throw new FlagError(
      "--read, --write, --cancel, --admin: expected one of them, got none",
    );
  }
  const { error } = claims.safeParse({ exp, rivulet });
  if (!error) return rivulet;
  const [issue] = error.issues;
  const flag = issue?.path[1];
  throw new FlagError(
    `--${flag === undefined ? "read" : String(flag)}: ${issue?.message}`,
  );
}

/** In seconds. */
function duration(value: string): number {
  const [, digits, unit] = /^([0-9]{1,6})([smhd])$/.exec(value) ?? [];
  if (Number(digits) > 0) {
    return Number(digits) * UNITS[unit as keyof typeof UNITS]; // one of them matched
  }
  throw new FlagError(
    `--ttl: expected a duration such as 90s, 15m, 1h or 30d, got '${value}'`,
  );
}

async function signingKey(
  { key, "key-file": path }: Flags,
  environment: TokenContext["environment"],
): Promise<SigningKey> {
  if (key !== undefined && path !== undefined) {
    throw new FlagError("--key, --key-file: expected one, got both");
  }
  if (path !== undefined) return signingKeyOf("--key-file", await read(path));
  if (key !== undefined) return signingKeyOf("--key", key);
  const given = environment(KEY_VARIABLE);
  if (given) return signingKeyOf(KEY_VARIABLE, given);
  throw new FlagError(
    `--key-file: expected a key, or one in ${KEY_VARIABLE}: --new-key makes one`,
  );
}

function signingKeyOf(source: string, text: string): SigningKey {
  try {
    return parseSigningKey(text);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw new FlagError(`${source}: ${error.message}`, { cause: error });
  }
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const reason = messageOf(cause);
    throw new FlagError(`--key-file: ${reason}`, { cause });
  }
}

if (import.meta.main) {
  try {
    const text = await token(process.argv.slice(2), {
      environment: (name) => process.env[name],
      clock: systemClock,
    });
    process.stdout.write(text);
  } catch (error) {
    const message = messageOf(error);
    console.error(`token: ${message.replaceAll(/\s*\n\s*/g, " ")}`);
    process.exit(FAILED);
  }
}
