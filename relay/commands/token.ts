import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Clock, wallTime } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import { claims } from "../rights/tokens/claims.ts";
import { KeyError } from "../rights/keys/verification_key.ts";
import {
  parseSigningKey,
  type SigningKey,
} from "../rights/keys/parse_signing_key.ts";
import { type Command, FlagError, parseFlags } from "./command.ts";
import { signToken } from "../rights/tokens/sign_token.ts";
import { MAX_TOKEN } from "../rights/tokens/token_authority.ts";

/** The surroundings of making a token. */
export interface TokenContext {
  /** Returns a variable of the environment, if it is set. */
  environment(name: string): string | undefined;
  /** The source of time. */
  readonly clock: Clock;
}

const KEY_VARIABLE = "RIVULET_JWT_KEY";

const HELP = `Prints a token for a relay: its holder may do what it says.

Usage: rivulet token RIGHT ... [FLAG ...]
       rivulet token --new-key

Examples:
  rivulet token --read 'news:*' --ttl 15m
  rivulet token --write 'builds' --sub ci --key-file key

Rights. One is required, and those with a PATTERN can be repeated. A PATTERN is
the name of a topic, in which * stands for any characters:
  --read PATTERN     subscribe to topics and read them
  --write PATTERN    create, fill, end and delete topics, and send requests to
                     providers: --write 'run-*' if the relay names the topics
  --cancel PATTERN   cancel topics
  --send PATTERN     send messages to chats (--chat); --write includes it
  --provider PATTERN
                     make these requests to providers with the relay's key, and
                     no others: 'openai:GET files/*'. Default: make runs, list
                     models, read and cancel responses of topics that the
                     token has rights for
  --admin            everything, and read /metrics
  --link             be a relay whose topics live in this one: do everything,
                     for callers whose tokens it has verified

The key that signs the token, one of:
  --key SECRET       the secret of the relay's --jwt-key; other users of the
                     machine can see a command line
  --key-file FILE    a file with a secret, or with a private key (RSA, P-256 or
                     Ed25519) as PEM or JWK whose public key the relay has
  ${KEY_VARIABLE}    the environment variable, if there is neither flag

Others:
  --ttl DURATION     how long the token is valid: 90s, 15m, 30d; default 1h
  --sub NAME         the holder; limits count all tokens of a holder together
  --aud NAME         the relay's --jwt-audience
  --iss NAME         the relay's --jwt-issuer
  --new-key          prints a new secret for --jwt-key instead of a token

Permissions, instead of -A:
  --allow-env=${KEY_VARIABLE}    unless there is --key, --key-file or --new-key
  --allow-read=FILE              for --key-file
`;

const FLAGS = {
  read: { type: "string", multiple: true },
  write: { type: "string", multiple: true },
  cancel: { type: "string", multiple: true },
  send: { type: "string", multiple: true },
  provider: { type: "string", multiple: true },
  admin: { type: "boolean" },
  link: { type: "boolean" },
  key: { type: "string" },
  "key-file": { type: "string" },
  ttl: { type: "string" },
  sub: { type: "string" },
  aud: { type: "string" },
  iss: { type: "string" },
  "new-key": { type: "boolean" },
} as const;

type Flags = ReturnType<typeof parseFlags<{ options: typeof FLAGS }>>["values"];

const UNITS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** In bytes. */
const NEW_KEY = 32;

/** The command that prints a token. */
export const tokenCommand: Command = {
  help: HELP,
  run: async (args, system) => await system.write(await token(args, system)),
};

/**
 * Makes a token, or a key.
 *
 * @param args The arguments after the command's name.
 * @returns The text to print.
 * @throws {FlagError} If there can be no such token.
 */
export async function token(
  args: readonly string[],
  { environment, clock }: TokenContext,
): Promise<string> {
  const { values: flags } = parseFlags(args, { options: FLAGS });
  if (flags["new-key"]) {
    // Without a dash, which could pass for the beginning of a flag.
    return `${randomBytes(NEW_KEY).toString("hex")}\n`;
  }
  const { sub, aud, iss } = flags;
  const iat = Math.floor(wallTime(clock) / 1_000);
  const exp = iat + duration(flags.ttl ?? "1h");
  const rivulet = rightsOf(flags, exp);
  const key = await signingKey(flags, environment);
  const made = await signToken({ iat, exp, rivulet, sub, aud, iss }, key);
  if (made.length > MAX_TOKEN) {
    throw new FlagError(
      `--read, --write, --cancel, --send: expected a token of at most ${MAX_TOKEN} characters, got ${made.length}: give fewer patterns`,
    );
  }
  return `${made}\n`;
}

function rightsOf(
  { read, write, cancel, send, provider, admin, link }: Flags,
  exp: number,
): unknown {
  const topics = { read, write, cancel, send, admin, link };
  const rivulet = { ...topics, provider };
  if (Object.values(topics).every((right) => right === undefined)) {
    throw new FlagError(
      "--read, --write, --cancel, --send, --admin, --link: expected one of them, got none",
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
