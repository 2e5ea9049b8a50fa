/**
 * A stand-in for `jsr:@std/http/negotiation`.
 *
 * @module
 */

/** How well a media range fits a type: 0 not at all, 3 to the letter. */
function specificity(range: string, type: string): number {
  if (range === type) return 3;
  if (range === `${type.split("/")[0]}/*`) return 2;
  return range === "*/*" ? 1 : 0;
}

/**
 * Returns which of `types` the request's `Accept` prefers (RFC 9110, section
 * 12.5.1), the first of them where it has none, `undefined` where none fits.
 */
export function accepts<T extends string>(
  request: Pick<Request, "headers">,
  ...types: T[]
): T | undefined {
  const accept = request.headers.get("accept");
  if (!accept) return types[0];
  const ranges = accept.split(",").map((part, order) => {
    const [range = "", ...parameters] = part.split(";").map((s) => s.trim());
    const q = parameters.find((p) => p.toLowerCase().startsWith("q="));
    return { range: range.toLowerCase(), q: q ? Number(q.slice(2)) : 1, order };
  });
  return types
    .map((type) => {
      const best = ranges
        .map((r) => ({ ...r, fit: specificity(r.range, type) }))
        .filter((r) => r.fit > 0)
        .sort((a, b) => b.fit - a.fit)[0];
      return {
        type,
        q: best?.q ?? 0,
        fit: best?.fit ?? 0,
        order: best?.order ?? 0,
      };
    })
    .filter((t) => t.q > 0)
    .sort((a, b) => b.q - a.q || b.fit - a.fit || a.order - b.order)[0]?.type;
}
