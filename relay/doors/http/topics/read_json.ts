import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../../problem.ts";
import { type BodyLimits, readBody } from "../../../sources/bounded_body.ts";

/**
 * Reads a body of JSON; none at all stands for an empty object.
 *
 * @throws {Problem} 400 `invalid_body` if it is not JSON.
 * @throws {BodyLimitError} If it is longer or slower than it may be.
 */
export async function readJson(
  { body }: Request,
  limits: BodyLimits,
): Promise<unknown> {
  const text = await readBody(body, limits);
  try {
    return text === "" ? {} : JSON.parse(text);
  } catch {
    throw new Problem(
      STATUS_CODE.BadRequest,
      "invalid_body",
      "Expected a body of JSON",
    );
  }
}
