import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../problem.ts";
import { queryValue } from "../query_value.ts";
import { readQuery } from "../subscription_request.ts";
import type { PrefixStreamRequest } from "./prefix_session.ts";
import { MAX_DIGITS, parsePrefixPosition } from "../prefix_position.ts";
import { MAX_PREFIX_POSITION } from "./prefix_session.ts";

/** The parameters that mean one topic. */
const OF_ONE_TOPIC = ["raw", "active"] as const;

function badRequest(code: string, detail: string): Problem {
  return new Problem(STATUS_CODE.BadRequest, code, detail);
}

/** Reads a place: unlike that of one topic, one that no relay gave is refused. */
function readAfter(
  text: string | null,
  prefix: string,
): PrefixStreamRequest["after"] {
  if (text === null || text === "start" || text === "now") {
    return text ?? undefined;
  }
  const position = text.length <= MAX_PREFIX_POSITION + MAX_DIGITS
    ? parsePrefixPosition(text, prefix)
    : undefined;
  if (position) return position;
  throw badRequest(
    "invalid_position",
    "Expected 'start', 'now', or an id of this stream: read the topics from their start without one",
  );
}

/**
 * Reads the parameters of a stream of all topics whose names begin alike.
 *
 * @throws {Problem} 400 If a parameter is wrong or repeated, or means one topic.
 */
export function readPrefixQuery(
  prefix: string,
  query: URLSearchParams,
  headers: Headers,
): Pick<PrefixStreamRequest, "after" | "stay"> {
  const place = queryValue(query, "after");
  const others = new URLSearchParams(query);
  others.delete("after");
  const parameters = readQuery("stream", others);
  for (const name of OF_ONE_TOPIC) {
    if (!parameters[name]) continue;
    throw badRequest(
      "unsupported",
      `Expected no ${name} of a stream of many topics: ask for one of them`,
    );
  }
  // A reconnecting EventSource repeats its URL: the header has what it has read since.
  const id = headers.get("last-event-id");
  const after = readAfter(id || place, prefix);
  return { after, stay: parameters.stay ?? false };
}
