import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { Problem } from "../../../problem.ts";
import type { Access } from "../../../rights/access.ts";
import type { TopicRegistry } from "../../../topics/registry.ts";
import type { Topic } from "../../../topics/topic.ts";
import { type Stored, whenStored } from "../../../topics/stored.ts";
import { pacedBody } from "../../paced_body.ts";
import { describeTopic } from "./describe_topic.ts";

/** The most topics of a page, and of a stream. */
const MAX_LIMIT = 1_000;

/** The number of topics of a page that names no other. */
const DEFAULT_LIMIT = 100;

/** The longest name of a topic. */
const MAX_NAME = 128;

const name = z.string().max(
  MAX_NAME,
  "Expected a name of a topic, or its start",
);

const listQuery = z.object({
  after: name.default(""),
  limit: z.string().regex(/^[0-9]{1,4}$/).transform(Number)
    .pipe(z.int().min(1).max(MAX_LIMIT))
    .default(DEFAULT_LIMIT),
  prefix: name.default(""),
  state: z.enum(["pending", "open", "ended"]).optional(),
});

/** The topics that a list is to have. */
export interface TopicListQuery {
  /** The name after which it begins. */
  readonly after: string;
  /** The most topics. */
  readonly limit: number;
  /** The beginning of all names. */
  readonly prefix: string;
  /** The state of all topics. Default: any. */
  readonly state?: Topic["state"]["kind"] | undefined;
}

/** The words for the values of a parameter. */
const EXPECTED: Readonly<Record<string, string>> = {
  after: `a name of at most ${MAX_NAME} characters`,
  limit: `a number of topics from 1 to ${MAX_LIMIT}`,
  prefix: `at most ${MAX_NAME} characters`,
  state: "'pending', 'open' or 'ended'",
};

/**
 * Reads the parameters of a list of topics; of one that is there twice the first
 * counts.
 *
 * @throws {Problem} 400 `invalid_query`.
 */
export function readListQuery(query: URLSearchParams): TopicListQuery {
  const given = Object.keys(EXPECTED).flatMap((name) => {
    const value = query.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  const { data, error } = listQuery.safeParse(Object.fromEntries(given));
  if (data) return data;
  const parameter = String(error.issues[0]?.path[0]);
  throw new Problem(
    STATUS_CODE.BadRequest,
    "invalid_query",
    `Expected ${parameter} to be ${EXPECTED[parameter]}: got '${
      query.get(parameter)?.slice(0, MAX_NAME)
    }'`,
  );
}

/** The first topics of a list, in the order of their names. */
export interface TopicPage {
  /** The topics. */
  readonly topics: readonly Topic[];
  /** The `after` of the rest, if there is one. */
  readonly next: string | undefined;
}

/** Finds the topics of a list that a caller may read. */
export function findTopics(
  topics: TopicRegistry,
  access: Access,
  query: TopicListQuery,
  isFresh = false,
): Stored<TopicPage> {
  const { after, prefix } = query;
  return collect(topics.inOrder(after, prefix, isFresh), access, query, []);
}

function collect(
  topics: ReturnType<TopicRegistry["inOrder"]>,
  access: Access,
  query: TopicListQuery,
  found: Topic[],
): Stored<TopicPage> {
  const { limit, state } = query;
  for (;;) {
    const { value: topic } = topics.next();
    if (!topic) return { topics: found, next: undefined };
    if (topic instanceof Promise) {
      return whenStored(topic, () => collect(topics, access, query, found));
    }
    if (state !== undefined && topic.state.kind !== state) continue;
    if (!access.may("read", topic.name)) continue;
    if (found.length === limit) {
      return { topics: found, next: found.at(-1)?.name };
    }
    found.push(topic);
  }
}

/** Answers a client with a page of a list. */
export async function pageResponse(
  page: Stored<TopicPage>,
  client: string,
): Promise<Response> {
  const { topics, next } = await page;
  function* pieces(): Generator<string, void> {
    yield '{"topics":[';
    for (const [index, topic] of topics.entries()) {
      yield `${index > 0 ? "," : ""}${JSON.stringify(describeTopic(topic))}`;
    }
    yield next === undefined ? "]}" : `],"next":${JSON.stringify(next)}}`;
  }
  return new Response(await pacedBody(pieces(), { client }), {
    headers: {
      "Content-Type": "application/json",
      "Cache-Control": "no-store",
    },
  });
}
