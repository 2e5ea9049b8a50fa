import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../../problem.ts";

/**
 * Reads a parameter that is there or not.
 *
 * @param query The query.
 * @param name The name of the parameter.
 * @returns Whether it is there, and not `false`.
 * @throws {Problem} 400 `invalid_query` If it has another value than `true` and `false`.
 */
export function queryFlag(query: URLSearchParams, name: string): boolean {
  switch (query.get(name)) {
    case "":
    case "true":
      return true;
    case "false":
    case null:
      return false;
    default:
      throw new Problem(
        STATUS_CODE.BadRequest,
        "invalid_query",
        `Expected '${name}' to be true or false`,
      );
  }
}
