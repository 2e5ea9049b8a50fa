import { z } from "zod";

/** The names of fields that say what a run goes on from, in the spellings of lenient parsers. */
const NAMES = /previous_response_id|conversation|\\[ux]/i;

const named = z.union([
  z.string(),
  z.object({ id: z.string() }).transform(({ id }) => id),
]);

/**
 * Returns what a run goes on from, as paths at its provider: `responses/resp_1`;
 * `undefined` for a body that the relay cannot read as its provider may.
 *
 * @param body The body of the request.
 */
export function continuedBy(body: Uint8Array): readonly string[] | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    // A NUL is in no JSON, and in all of UTF-16.
    if (!text.trimStart().startsWith("{") || text.includes("\0")) {
      return undefined;
    }
    // To parse 16 MiB takes a tenth of a second, in which nobody else is served.
    if (!NAMES.test(text)) return [];
    const fields: unknown = JSON.parse(text);
    return Object.entries(z.record(z.string(), z.unknown()).parse(fields))
      .flatMap(([name, value]) => {
        const { data: id } = named.safeParse(value);
        if (id === undefined) return [];
        switch (name.toLowerCase()) {
          case "previous_response_id":
            return [`responses/${id}`];
          case "conversation":
            return [`conversations/${id}`];
          default:
            return [];
        }
      });
  } catch {
    return undefined;
  }
}
