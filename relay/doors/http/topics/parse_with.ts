import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { Problem } from "../../../problem.ts";

/**
 * Reads what came in a request.
 *
 * @param schema What it has to be.
 * @param value What it is.
 * @param code What is wrong otherwise, for programs.
 * @throws {Problem} 400 If it is something else.
 */
export function parseWith<T>(
  schema: z.ZodType<T>,
  value: unknown,
  code: string,
): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Problem(
    STATUS_CODE.BadRequest,
    code,
    z.prettifyError(parsed.error),
  );
}
