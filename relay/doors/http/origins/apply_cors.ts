import type { ServerResponse } from "node:http";
import { STATUS_CODE } from "@std/http/status";
import type { Origins } from "./origins.ts";

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE";

/**
 * The headers of an answer that a page may read. A star stands for all that a provider may
 * say, and for nothing where the page has sent credentials: those are told what
 * is the relay's own.
 */
const EXPOSED = [
  "*",
  "Idempotent-Replayed",
  "Link",
  "Location",
  "Retry-After",
  "Rivulet-End",
  "Rivulet-Epoch",
  "Rivulet-Next",
  "Rivulet-State",
  "Rivulet-Topic",
  "Rivulet-Upstream",
  "WWW-Authenticate",
].join(", ");

/** For how long a browser does not ask again, in seconds. */
const MAX_AGE = 600;

/** Names of headers, as many as an honest program sends. */
const HEADER_NAMES =
  /^[!#$%&'*+.^_`|~0-9a-z-]{1,64}(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9a-z-]{1,64}){0,63}$/i;

/**
 * Tells a browser whether its page may have the answer (the Fetch standard,
 * "CORS protocol"). To be called before a token is asked for: a browser sends
 * none when it asks whether it may send one; and what is set here is part of
 * every answer, of refusals too, and of those that are written as they come.
 *
 * @param response Not yet begun; it knows its request.
 * @param origins The origins of pages that may have answers.
 * @returns The whole answer, where the browser has only asked whether its page may ask.
 * @throws {Problem} If the request is of a page that may not use the relay.
 */
export function applyCors(
  response: ServerResponse,
  origins: Origins,
): Response | undefined {
  const { headers, method } = response.req;
  // A cache must not give a page what another was told, or nobody's.
  if (!origins.isEmpty) response.setHeader("Vary", "Origin");
  const verdict = origins.check(headers);
  switch (verdict.kind) {
    case "none":
    case "own":
      return undefined;
    case "any":
      response.setHeader("Access-Control-Allow-Origin", "*");
      break;
    case "listed":
      response.setHeader("Access-Control-Allow-Origin", verdict.origin);
      if (verdict.isExact) {
        response.setHeader("Access-Control-Allow-Credentials", "true");
      }
  }
  if (
    method !== "OPTIONS" ||
    headers["access-control-request-method"] === undefined
  ) {
    response.setHeader("Access-Control-Expose-Headers", EXPOSED);
    return undefined;
  }
  const names = headers["access-control-request-headers"];
  return new Response(null, {
    status: STATUS_CODE.NoContent,
    headers: {
      "Access-Control-Allow-Methods": METHODS,
      // Named one by one, as a star does not stand for `Authorization`.
      ...(names !== undefined && HEADER_NAMES.test(names) &&
        { "Access-Control-Allow-Headers": names }),
      "Access-Control-Max-Age": String(MAX_AGE),
      "Vary": "Origin, Access-Control-Request-Headers",
    },
  });
}
