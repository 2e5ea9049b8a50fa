import { STATUS_CODE } from "@std/http/status";
import type { z } from "zod";
import { issueText } from "../../../issue_text.ts";
import { Problem } from "../../../problem.ts";
import {
  assertLength,
  type BodyLimits,
  readBody,
} from "../../../limits/bounded_body.ts";
import { assertUtf8 } from "../../../limits/charset.ts";
import { decodedBody } from "../../../limits/content_coding.ts";

/**
 * The largest of these bodies, in bytes: the longest URL and headers of a source
 * find room several times, and whatever else is in it is looked at in no time.
 */
const MAX_BYTES = 64 * 1024;

/**
 * Reads the body of a request, which is JSON; an empty one stands for an empty
 * object.
 *
 * @param request The request.
 * @param schema Accepts the body.
 * @param limits The limits for its size and for its pace.
 * @throws {Problem} 400 `invalid_body` If it is not JSON, or not accepted.
 * @throws {Problem} 415 `unsupported_media_type` If its charset is not UTF-8.
 * @throws {BodyLimitError} If it is longer or slower than it may be.
 */
export async function readJsonBody<T>(
  { body, headers }: Request,
  schema: z.ZodType<T>,
  limits: BodyLimits,
): Promise<T> {
  const maxBytes = Math.min(limits.maxBytes, MAX_BYTES);
  const bounds = { ...limits, maxBytes };
  assertUtf8(headers.get("content-type"));
  assertLength(headers.get("content-length"), bounds);
  const coding = headers.get("content-encoding");
  const text = await readBody(decodedBody(body, coding, bounds), bounds);
  let value: unknown;
  try {
    value = text === "" ? {} : JSON.parse(text);
  } catch {
    throw invalid("Expected a body of JSON, such as {}: got other text");
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(`The body is wrong: ${issueText(parsed.error)}`);
}

function invalid(detail: string): Problem {
  return new Problem(STATUS_CODE.BadRequest, "invalid_body", detail);
}
