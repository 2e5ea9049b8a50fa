import type { IncomingMessage } from "node:http";

/** The value of `X-Forwarded-For`, all its lines joined by commas. */
export function forwardedFor({ headers }: IncomingMessage): string | undefined {
  const value = headers["x-forwarded-for"];
  // `node:http` joins the lines of this one; its types do not say so.
  return typeof value === "string" ? value : value?.join(",");
}
