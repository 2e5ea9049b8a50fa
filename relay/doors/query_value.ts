import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";

/**
 * Reads a parameter of a query. Which of two values a proxy or a library has meant,
 * the relay cannot know.
 *
 * @param query The query.
 * @param name The name of the parameter.
 * @returns Its value; `null` if it is not there.
 * @throws {Problem} 400 `invalid_query` If it is there more than once.
 */
export function queryValue(
  query: URLSearchParams,
  name: string,
): string | null {
  const [value = null, ...others] = query.getAll(name);
  if (others.length === 0) return value;
  throw new Problem(
    STATUS_CODE.BadRequest,
    "invalid_query",
    `Expected the parameter '${name}' once: the query has it ${
      others.length + 1
    } times`,
  );
}
