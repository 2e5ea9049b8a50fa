import { z } from "zod";
import { providers as known } from "../../src/model/provider.ts";

/** Where a provider has its key, in a request. */
export type KeyHeader = "authorization" | "x-api-key" | "api-key";

/** A provider that the relay stands in front of. */
export interface GatewayProvider {
  /** What it is called in paths: `/{name}/v1/...`. */
  readonly name: string;
  /** What stands in place of `/v1`: `https://api.openai.com/v1`. */
  readonly url: string;
  /** Its key. Without one, what the caller sends is passed on. */
  readonly key?: string | undefined;
  /** Where the key goes. */
  readonly keyHeader: KeyHeader;
}

/** What a provider that is known by its name is, and where its key is found. */
export interface KnownProvider {
  /** What stands in place of `/v1`. */
  readonly url: string;
  /** The environment variable that has its key. */
  readonly keyEnv?: string | undefined;
  /** Where the key goes. */
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

/** Accepts a provider, and fills in what is left out. */
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
  url: z.url({ protocol: /^https?$/ })
    .refine((url) => {
      const { username, password, search, hash } = new URL(url);
      return !username && !password && !search && !hash;
    }, { message: "Expected a URL without user, query and fragment" })
    .transform((url) => url.replace(/\/+$/, "")),
  key: z.string().regex(/^[\x21-\x7e]+$/, {
    message: "Expected a key without spaces and line ends",
  }).optional(),
  keyHeader: z.enum(["authorization", "x-api-key", "api-key"])
    .default("authorization"),
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

/** The environment variable that has the key of a provider which has no other. */
export function keyEnvOf(name: string): string {
  return `${name.toUpperCase().replaceAll("-", "_")}_API_KEY`;
}
