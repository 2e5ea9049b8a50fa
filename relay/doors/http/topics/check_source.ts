import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { Problem } from "../../../problem.ts";
import { isConnectionHeader, isMisleadingHeader } from "../../../forwarding.ts";
import type { SourcePolicy } from "../../../sources/guard/source_policy.ts";
import { SourceRefusedError } from "../../../sources/guard/source_refused_error.ts";
import {
  type SourceReconnect,
  sourceReconnect,
} from "../../../sources/source_reconnect.ts";
import type { SourceSpec } from "../../../sources/sources.ts";

/** The shortest `minTimeout` that a request may ask for, in milliseconds: it must not make the relay hammer an upstream. */
const MIN_TIMEOUT = 100;

/** Of a URL, in UTF-16 code units: as much as servers commonly take. */
const MAX_URL = 8 * 1024;

const MAX_HEADERS = 32;

/** Of all names and values, in UTF-16 code units. */
const MAX_HEADERS_SIZE = 8 * 1024;

/** RFC 9110, section 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** RFC 9110, section 5.5. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Headers that the relay sets itself, or that only browsers set. */
const OF_RELAY = /^(?:accept-encoding|last-event-id|sec-.*)$/i;

function isSlowEnough(reconnect: boolean | SourceReconnect): boolean {
  return typeof reconnect === "boolean" ||
    (reconnect.minTimeout ?? MIN_TIMEOUT) >= MIN_TIMEOUT;
}

const sourceHeaders = z.record(
  z.string().regex(HEADER_NAME, "Expected the name of a header"),
  // The message does not quote the value, which may be a key.
  z.string().regex(HEADER_VALUE, "Expected what HTTP allows in a header"),
).superRefine((headers, context) => {
  const entries = Object.entries(headers);
  const size = entries.flat().reduce((sum, { length }) => sum + length, 0);
  if (entries.length > MAX_HEADERS || size > MAX_HEADERS_SIZE) {
    context.addIssue({
      code: "custom",
      message:
        `Expected at most ${MAX_HEADERS} headers, of ${MAX_HEADERS_SIZE} characters together: got ${entries.length}, of ${size}`,
    });
  }
  for (const [name] of entries) {
    if (
      !OF_RELAY.test(name) && !isConnectionHeader(name) &&
      !isMisleadingHeader(name)
    ) continue;
    context.addIssue({
      code: "custom",
      path: [name],
      message:
        "Expected another header: this one is the connection's, or the relay's own",
    });
  }
});

const sourceInput = z.strictObject({
  url: z.url({
    protocol: /^https?$/,
    message: "Expected a URL of http or https",
  }).max(MAX_URL),
  headers: sourceHeaders.optional(),
  reconnect: sourceReconnect.refine(isSlowEnough, {
    message: `Expected a 'minTimeout' of at least ${MIN_TIMEOUT} ms`,
  }),
  repeats: z.enum(["keep", "drop"]).default("keep"),
});

/** The source that a request names. */
export type SourceInput = z.output<typeof sourceInput>;

/** The body of `PUT /topics/{topic}`. */
export const putBody = z.strictObject({ source: sourceInput.optional() });

/**
 * Makes a source of what a request names.
 *
 * @param source The source that it names.
 * @param policy The policy of the operator.
 * @returns A source that is guarded.
 * @throws {Problem} 403 `source_not_allowed`.
 */
export function checkSource(
  source: SourceInput,
  policy: SourcePolicy,
): SourceSpec {
  const url = new URL(source.url);
  try {
    policy.check(url);
  } catch (error) {
    if (!(error instanceof SourceRefusedError)) throw error;
    throw new Problem(
      STATUS_CODE.Forbidden,
      error.code,
      "The operator has not allowed topics to be made from this URL (--allow-source)",
    );
  }
  return { ...source, kind: "guarded", url: url.href };
}
