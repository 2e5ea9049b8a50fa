import { z } from "zod";
import { KEY_HEADERS } from "../../src/fetch/secrets/definition.ts";
import { providers as known } from "../../src/model/provider.ts";
import { isCompleted, runName } from "./agents/run_name.ts";

/** The header in which a provider expects its key. */
export type KeyHeader = (typeof KEY_HEADERS)[number];

/** A provider that the relay stands in front of. */
export interface GatewayProvider {
  /** The name in paths: `/{name}/v1/...`. */
  readonly name: string;
  /** The URL that takes the place of `/v1`: `https://api.openai.com/v1`. */
  readonly url: string;
  /** The key. Without one, the provider gets the caller's. */
  readonly key?: string | undefined;
  /** The header of the key. */
  readonly keyHeader: KeyHeader;
  /** Whether the provider answers a repeated `Idempotency-Key` without doing its work again. */
  readonly idempotent?: boolean | undefined;
  /** Whether the provider makes responses over a WebSocket, too. */
  readonly websocket?: boolean | undefined;
  /**
   * The fate of a run whose caller leaves, unless the caller says otherwise.
   * Default: it goes on.
   */
  readonly onDisconnect?: "continue" | "cancel" | undefined;
  /** The names of the topics of runs whose caller names none. Default: `run-` and a UUID. */
  readonly topic?: string | undefined;
}

/** A provider that is known by its name. */
export interface KnownProvider {
  /** The URL that takes the place of `/v1`. */
  readonly url: string;
  /** The environment variable of the key. */
  readonly keyEnv?: string | undefined;
  /** The header of the key. */
  readonly keyHeader: KeyHeader;
}

/** Paths of the relay's own, which no provider may take. */
const TAKEN: ReadonlySet<string> = new Set([
  "events",
  "healthz",
  "metrics",
  "readyz",
  "topics",
  "v1",
  "ws",
]);

/** Accepts a provider, and fills in defaults. */
export const providerOption = z.strictObject({
  name: z.string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, {
      message:
        "Expected 1 to 32 characters of a-z 0-9 _ -, beginning with a letter or a digit",
    })
    .refine((name) => !TAKEN.has(name), {
      message: `Expected another name than the relay's own paths: ${
        [...TAKEN].join(", ")
      }`,
    }),
  url: z.url({
    protocol: /^https?$/,
    message: "Expected a URL of http or https",
    abort: true, // the next check takes it for a URL
  })
    .refine((url) => {
      const { username, password, search, hash } = new URL(url);
      return !username && !password && !search && !hash;
    }, { message: "Expected a URL without user, query and fragment" })
    .transform((url) => url.replace(/\/+$/, "")),
  key: z.string().regex(/^[\x21-\x7e]+$/, {
    message: "Expected a key without spaces and line ends",
  }).optional(),
  keyHeader: z.enum(KEY_HEADERS).default("authorization"),
  idempotent: z.boolean().optional(),
  websocket: z.boolean().optional(),
  onDisconnect: z.enum(["continue", "cancel"]).optional(),
  topic: runName.refine(isCompleted, {
    message: "Expected a name that ends with *, which makes it unique",
  }).optional(),
});

/** The providers that need not be given a URL. */
export const knownProviders: Readonly<Record<string, KnownProvider>> = {
  ...Object.fromEntries(
    Object.entries(known).map(([name, { baseUrl, envKey }]) => [
      name,
      { url: baseUrl, keyEnv: envKey, keyHeader: "authorization" as const },
    ]),
  ),
  anthropic: {
    url: "https://api.anthropic.com/v1",
    keyEnv: "ANTHROPIC_API_KEY",
    keyHeader: "x-api-key",
  },
};

/** Returns the environment variable of the key of a provider that is not known by its name. */
export function keyEnvOf(name: string): string {
  return `${name.toUpperCase().replaceAll("-", "_")}_API_KEY`;
}
