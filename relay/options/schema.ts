import { z } from "zod";
import { type Clock, systemClock } from "../../src/fetch/clock.ts";
import {
  parseStoreAddress,
  STORE_ADDRESS_FORM,
} from "../stores/store_address.ts";
import { lackingOfStore } from "../topics/own_store.ts";
import type { Store } from "../topics/store.ts";
import type { RelayMemory } from "./relay_options.ts";
import { schemaOf, type Setting, settingsOf } from "./option.ts";
import { commandRows, relayRows } from "./rows.ts";

const LOOPBACK = /^(localhost|127(\.[0-9]{1,3}){3}|::1)$/;

/** Applies a rule on several options only where each of them is right by itself. */
function where(...options: readonly string[]): {
  when(payload: z.core.ParsePayload): boolean;
} {
  return {
    when: ({ value, issues }) =>
      typeof value === "object" && value !== null &&
      !issues.some(({ code, path = [] }) =>
        code !== "unrecognized_keys" && options.some((option) => {
          const place = path.join(".");
          return `${place}.`.startsWith(`${option}.`) ||
            `${option}.`.startsWith(`${place}.`);
        })
      ),
  };
}

function firstTwice(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index);
}

function isClock(value: unknown): boolean {
  return typeof value === "object" && value !== null &&
    "now" in value && typeof value.now === "function" &&
    "setTimeout" in value && typeof value.setTimeout === "function";
}

const { store: address } = schemaOf(relayRows).shape;

/** Accepts the address of a store, or a store of the embedder's own. */
const store = z.custom<string | Store>().default(address.parse(undefined))
  .superRefine((given, context) => {
    if (typeof given === "object" && given !== null) {
      const lacking = lackingOfStore(given);
      if (lacking.length === 0) return;
      return context.addIssue({
        code: "custom",
        message: `Expected ${STORE_ADDRESS_FORM}, or a store: ${
          lacking.join(", ")
        } of this one is missing, or of another type`,
      });
    }
    for (const { message } of address.safeParse(given).error?.issues ?? []) {
      context.addIssue({ code: "custom", message });
    }
  });

/**
 * Whether `--max-store` can stand beside a store. With topics in memory it has no effect
 * and the relay warns of that: so a command line can be tried without its `--store`.
 */
function takesBound(store: string | Store): boolean {
  if (typeof store !== "string") return false;
  const { kind } = parseStoreAddress(store);
  return kind === "sqlite" || kind === "memory";
}

/** The options that only a relay in `store` has a use for, and which. */
const OF_PARENT = [
  ["storeToken", "which the token is for"],
  ["linkName", "which is told the name"],
] as const;

/** Accepts `RelayOptions`, and fills in the defaults. */
export const relayOptions = schemaOf(relayRows).extend({
  clock: z.custom<Clock>(
    isClock,
    "Expected a clock with now() and setTimeout()",
  )
    .default(systemClock),
  memory: z.custom<RelayMemory>().optional(),
  reusePort: z.boolean().default(false),
  store,
}).superRefine(({ host, rights }, context) => {
  const { jwtKey, jwks, insecureOpen } = rights;
  if (LOOPBACK.test(host) || insecureOpen || jwtKey || jwks) return;
  context.addIssue({
    code: "custom",
    path: ["host"],
    message:
      `Expected a loopback address, as everybody who reaches another could read and write: set \`rights.jwtKey\` or \`rights.jwks\` to require tokens, or \`rights.insecureOpen\` to allow it; got '${host}'`,
  });
}, where("host", "rights.insecureOpen", "rights.jwtKey", "rights.jwks"))
  .superRefine(({ rights: { jwtKey, jwks } }, context) => {
    if (jwtKey === undefined || jwks === undefined) return;
    context.addIssue({
      code: "custom",
      path: ["rights", "jwks"],
      message: "Expected one of `rights.jwtKey` and `rights.jwks`, got both",
    });
  }, where("rights.jwtKey", "rights.jwks"))
  .superRefine(({ sources, fixtures }, context) => {
    const twice = firstTwice([...sources, ...fixtures].map(({ name }) => name));
    if (twice === undefined) return;
    context.addIssue({
      code: "custom",
      path: ["sources"],
      message:
        `Expected one of \`sources\` and \`fixtures\` for each topic: '${twice}' has two`,
    });
  }, where("sources", "fixtures"))
  .superRefine(({ gateway: { providers } }, context) => {
    const twice = firstTwice(providers.map(({ name }) => name));
    if (twice === undefined) return;
    context.addIssue({
      code: "custom",
      path: ["gateway", "providers"],
      message: `Expected one provider of each name: there are two '${twice}'`,
    });
  }, where("gateway.providers"))
  .superRefine(({ chats }, context) => {
    const twice = firstTwice(chats.map(({ name }) => name));
    if (twice === undefined) return;
    context.addIssue({
      code: "custom",
      path: ["chats"],
      message: `Expected one chat of each name: there are two '${twice}'`,
    });
  }, where("chats"))
  .superRefine(({ store, retention: { maxStore } }, context) => {
    if (maxStore === undefined || takesBound(store)) return;
    context.addIssue({
      code: "custom",
      path: ["retention", "maxStore"],
      message:
        "Expected `store` to be a file, sqlite:PATH: a store elsewhere has its bounds there",
    });
  }, where("store", "retention.maxStore"))
  .superRefine(({ store, ...given }, context) => {
    if (
      typeof store === "string" && parseStoreAddress(store).kind === "parent"
    ) return;
    for (const [option, use] of OF_PARENT) {
      if (given[option] === undefined) continue;
      context.addIssue({
        code: "custom",
        path: [option],
        message:
          `Expected \`store\` to be the address of a relay with --links, ${use}`,
      });
    }
  }, where("store", "storeToken", "linkName"));

/** The options of a relay, complete. */
export type CompleteRelayOptions = z.output<typeof relayOptions>;

/** Accepts the options of a relay, and those that only its command line has. */
export const commandOptions = relayOptions.safeExtend(
  schemaOf(commandRows).shape,
);

/** The options of the command line, complete. */
export type CommandOptions = z.output<typeof commandOptions>;

/** Every option of the command line. A clock is for tests only. */
export const settings: readonly Setting[] = settingsOf({
  ...relayRows,
  ...commandRows,
});
