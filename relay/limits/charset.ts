import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";

const CHARSET = /;\s*charset\s*=\s*"?([^\s";]*)/i;

/**
 * Refuses text in another encoding, which would be read as what it is not.
 *
 * @param contentType The Content-Type of a body, if it has one.
 * @throws {Problem} 415 `unsupported_media_type` if its charset is not UTF-8, or a part
 * of it.
 */
export function assertUtf8(contentType: string | null): void {
  const [, charset = "utf-8"] = CHARSET.exec(contentType ?? "") ?? [];
  if (/^(?:utf-?8|us-ascii)$/i.test(charset)) return;
  throw new Problem(
    STATUS_CODE.UnsupportedMediaType,
    "unsupported_media_type",
    `Expected a body in UTF-8: got the charset '${charset}'`,
  );
}
