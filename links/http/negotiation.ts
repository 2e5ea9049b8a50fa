/**
 * A stand-in for `jsr:@std/http/negotiation`.
 *
 * @module
 */

interface MediaRange {
  type: string;
  subtype: string;
  parameters: Map<string, string>;
  q: number;
}

function parse(text: string): MediaRange | undefined {
  const [name = "", ...rest] = text.toLowerCase().split(";");
  const [type, subtype] = name.trim().split("/");
  if (!type || !subtype) return undefined;
  const parameters = new Map<string, string>();
  for (const parameter of rest) {
    const [key = "", value = ""] = parameter.trim().split("=");
    // Parameters after the weight are not part of the media type (RFC 9110,
    // 12.4.2).
    if (key === "q" && value) {
      return { type, subtype, parameters, q: parseFloat(value) };
    }
    parameters.set(key, value.replace(/^"(.*)"$/, "$1"));
  }
  return { type, subtype, parameters, q: 1 };
}

/** Returns how closely a range describes a type; -1 if it does not. */
function fit(range: MediaRange, offer: MediaRange): number {
  let score = 0;
  if (range.type === offer.type) score += 4;
  else if (range.type !== "*") return -1;
  if (range.subtype === offer.subtype) score += 2;
  else if (range.subtype !== "*") return -1;
  for (const [key, value] of range.parameters) {
    if (value !== (offer.parameters.get(key) ?? "")) return -1;
  }
  return range.parameters.size > 0 ? score + 1 : score;
}

/**
 * Returns which of `types` the request's `Accept` prefers (RFC 9110, section
 * 12.5.1): the first of those it likes equally, `undefined` where none fits.
 */
export function accepts<T extends string>(
  request: Pick<Request, "headers">,
  ...types: [T, ...T[]]
): T | undefined {
  const accept = request.headers.get("accept");
  if (!accept) return types[0];
  const ranges = accept.split(",").map((r) => parse(r)).filter((r) =>
    r !== undefined
  );
  return types
    .flatMap((type) => {
      const offer = parse(type);
      if (!offer) return [];
      const [closest] = ranges
        .map((r) => ({ type, fit: fit(r, offer), q: r.q }))
        .filter((r) => r.fit >= 0)
        .sort((a, b) => b.fit - a.fit || b.q - a.q);
      return closest && closest.q > 0 ? [closest] : [];
    })
    .sort((a, b) => b.q - a.q || b.fit - a.fit)[0]?.type;
}
