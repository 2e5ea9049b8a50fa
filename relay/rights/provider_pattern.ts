import { z } from "zod";

/** The longest pattern of requests to providers, in characters. */
const MAX_PROVIDER_PATTERN = 512;

/** `PROVIDER:METHOD PATH`, with `*` for any characters; the path is below `/v1/`. */
const FORM = /^[a-z0-9_*-]+:(?:\*|[A-Z*]+ [^\s/?#][^\s?#]*)$/;

/** The form of a pattern, in words. */
export const PROVIDER_PATTERN_FORM =
  "PROVIDER:METHOD PATH, the path without '/v1/', such as 'openai:GET files/*', or '*:*'";

/** Accepts a pattern of requests to providers: `openai:GET files/*`, or `*:*` for all. */
export const providerPattern: z.ZodType<string, string> = z.string()
  .max(MAX_PROVIDER_PATTERN, {
    error: `Expected a pattern of at most ${MAX_PROVIDER_PATTERN} characters`,
  })
  .regex(FORM, {
    error: `Expected ${PROVIDER_PATTERN_FORM}`,
  });
