import { z } from "zod";
import { providerPattern } from "../provider_pattern.ts";

/** The longest pattern, in characters: no topic has a longer name. */
const MAX_PATTERN = 128;

/**
 * The latest time of a claim, in seconds: in the year 5138. A time in milliseconds is
 * beyond it, and would be one at which no token expires.
 */
const MAX_TIME = 1e11;

/** The most patterns of a token. */
const MAX_PATTERNS = 1_000;

const pattern = z.string().regex(new RegExp(`^.{1,${MAX_PATTERN}}$`, "s"), {
  error: `Expected a pattern of 1 to ${MAX_PATTERN} characters`,
});

const patterns = z.array(pattern).default([]);

/** Accepts what a token says of rights (PROTOCOL.md, section 5). */
const rivulet = z.object({
  read: patterns,
  write: patterns,
  cancel: patterns,
  send: patterns,
  provider: z.array(providerPattern).optional(),
  admin: z.boolean().default(false),
  link: z.boolean().default(false),
}).refine(
  ({ read, write, cancel, send, provider = [] }) =>
    [read, write, cancel, send, provider].flat().length <= MAX_PATTERNS,
  { error: `Expected at most ${MAX_PATTERNS} patterns` },
);

/** Accepts what a token has to say; what else it says is of no interest. */
export const claims = z.object({
  iss: z.string().optional(),
  sub: z.string().optional(),
  exp: z.number().max(MAX_TIME, {
    error: "Expected a time in seconds, not in milliseconds",
  }),
  rivulet,
});

/** The claims of a token. */
export type Claims = z.output<typeof claims>;
