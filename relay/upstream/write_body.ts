import type { Writable } from "node:stream";
import type { UpstreamRequest } from "./upstream_request.ts";

/** Writes a body as fast as the upstream takes it. */
export async function writeBody(
  outgoing: Writable,
  body: UpstreamRequest["body"],
): Promise<void> {
  if (!(body instanceof ReadableStream)) {
    outgoing.end(body ?? undefined);
    return;
  }
  for await (const part of body) {
    if (outgoing.destroyed) return;
    if (!outgoing.write(part)) await drained(outgoing);
  }
  outgoing.end();
}

/** Resolves when there is room for more, or nothing more is taken. */
function drained(outgoing: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off("drain", done);
      outgoing.off("close", done);
      resolve();
    };
    outgoing.on("drain", done);
    outgoing.on("close", done);
  });
}
