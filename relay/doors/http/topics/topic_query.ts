import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { Problem } from "../../../problem.ts";
import { END_STATUSES } from "../../../topics/end.ts";
import { queryValue } from "../../query_value.ts";
import { asFlag } from "../../subscription_request.ts";

/** The most topics of a page, and of a stream. */
const MAX_LIMIT = 1_000;

/** The number of topics of a page that names no other. */
const DEFAULT_LIMIT = 100;

/** The most topics that a page may leave out: it has to sort them all the same. */
const MAX_SKIP = 10_000;

/** The longest name of a topic. */
const MAX_NAME = 128;

/** The orders of a list. */
const SORTS = [
  "name",
  "created",
  "lastEvent",
  "followers",
  "lag",
  "bytes",
  "events",
  "rate",
] as const;

/** The key that a list is sorted by. */
export type SortKey = typeof SORTS[number];

/** The order of a list. */
export interface Sort {
  /** The key that it is sorted by. */
  readonly by: SortKey;
  /** Whether the greatest come first. */
  readonly isDescending: boolean;
}

const text = z.string().max(MAX_NAME).default("");

const sort = z.string().transform((text, context): Sort => {
  const isDescending = text.startsWith("-");
  const by = SORTS.find((key) => key === text.slice(isDescending ? 1 : 0));
  if (by) return { by, isDescending };
  context.addIssue({ code: "custom" });
  return z.NEVER;
});

const flag = z.string().transform((text, context): boolean => {
  const flag = asFlag(text);
  if (typeof flag === "boolean") return flag;
  context.addIssue({ code: "custom" });
  return z.NEVER;
});

const whole = z.string().regex(/^[0-9]{1,5}$/).transform(Number);

const listQuery = z.object({
  after: text,
  limit: whole.pipe(z.int().min(1).max(MAX_LIMIT)).default(DEFAULT_LIMIT),
  skip: whole.pipe(z.int().max(MAX_SKIP)).default(0),
  prefix: text,
  search: text,
  state: z.enum(["pending", "open", "ended"]).optional(),
  status: z.enum(END_STATUSES).optional(),
  source: z.enum(["run", "chat", "sse", "fixture", "none"]).optional(),
  provider: z.string().max(MAX_NAME).optional(),
  sort: sort.default({ by: "name", isDescending: false }),
  counts: flag.default(false),
});

/** The topics that a list is to have. */
export interface TopicListQuery extends z.output<typeof listQuery> {
  /** Whether the list has the topic alone whose name is the prefix. */
  readonly isOfOne?: true;
}

/** The words for the values of a parameter. */
const EXPECTED: Readonly<Record<keyof typeof listQuery.shape, string>> = {
  after: `a name of at most ${MAX_NAME} characters`,
  limit: `a number of topics from 1 to ${MAX_LIMIT}`,
  skip: `a number of topics up to ${MAX_SKIP}`,
  prefix: `at most ${MAX_NAME} characters`,
  search: `at most ${MAX_NAME} characters`,
  state: "'pending', 'open' or 'ended'",
  status: "'complete', 'failed', 'truncated', 'cancelled' or 'expired'",
  source: "'run', 'chat', 'sse', 'fixture' or 'none'",
  provider: `a name of at most ${MAX_NAME} characters`,
  sort: `one of ${SORTS.map((key) => `'${key}'`).join(", ")}, or one with '-'`,
  counts: "true or false",
};

/** The names of the parameters of a list. */
export const LIST_PARAMETERS: readonly string[] = Object.keys(EXPECTED);

function refuse(detail: string): Problem {
  return new Problem(STATUS_CODE.BadRequest, "invalid_query", detail);
}

/**
 * Reads the parameters of a list of topics.
 *
 * @param query The query.
 * @param isStream Whether the list is a stream: a page has no rates.
 * @throws {Problem} 400 `invalid_query`.
 */
export function readListQuery(
  query: URLSearchParams,
  isStream: boolean,
): TopicListQuery {
  const given = LIST_PARAMETERS.flatMap((name) => {
    const value = queryValue(query, name);
    return value === null ? [] : [[name, value] as const];
  });
  const { data, error } = listQuery.safeParse(Object.fromEntries(given));
  if (!data) {
    // The schema has no issue of anything but a parameter.
    const parameter = String(error.issues[0]?.path[0]) as keyof typeof EXPECTED;
    const value = query.get(parameter)?.slice(0, MAX_NAME);
    throw refuse(
      `Expected ${parameter} to be ${EXPECTED[parameter]}: got '${value}'`,
    );
  }
  if (
    data.after !== "" && (data.sort.by !== "name" || data.sort.isDescending)
  ) {
    throw refuse(
      "Expected no 'after' of a list that is sorted by anything but the name: names are not where it goes on. Use 'skip'",
    );
  }
  if (data.sort.by === "rate" && !isStream) {
    throw refuse(
      "Expected a list that is sorted by the rate to be an event stream: a rate takes two looks. Accept text/event-stream",
    );
  }
  return data;
}

/** Makes the query of the list that has one topic alone. */
export function queryOfOne(name: string): TopicListQuery {
  return { ...listQuery.parse({ prefix: name, limit: "1" }), isOfOne: true };
}
