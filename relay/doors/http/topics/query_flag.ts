import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../../problem.ts";
import { queryValue } from "../../query_value.ts";
import { asFlag } from "../../subscription_request.ts";

/**
 * Reads a parameter that is there or not.
 *
 * @param query The query.
 * @param name The name of the parameter.
 * @returns Whether it is there, and not `false`.
 * @throws {Problem} 400 `invalid_query` If it is repeated, or has another value than
 * `true` and `false`.
 */
export function queryFlag(query: URLSearchParams, name: string): boolean {
  const text = queryValue(query, name);
  const flag = text === null ? false : asFlag(text);
  if (typeof flag === "boolean") return flag;
  throw new Problem(
    STATUS_CODE.BadRequest,
    "invalid_query",
    `Expected '${name}' to be true or false`,
  );
}
