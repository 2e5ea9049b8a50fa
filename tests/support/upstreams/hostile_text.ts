/**
 * Text that wants to be something else than text.
 *
 * @module
 */
import fc from "fast-check";

/** Characters that end something somewhere, or begin it. */
const PIECES = [
  // Lines, in every way that somebody takes for one.
  ...["\r", "\n", "\r\n", "\r\n\r\n", "\n\n", "\0", "\x0B", "\x0C", "\x85"],
  ...["\u2028", "\u2029"],
  // Characters that are invisible, or turn the visible ones around.
  ...["\ufeff", "\u202e", "\u200b", "\u{e0041}", "\x7F", "\t", " "],
  // Halves of characters.
  ...["\ud800", "\udc00", "\udc00\ud800", "é", "€", "😀"],
  // Terminals.
  ...["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\b\b\b"],
  // JSON, scripts, templates, paths.
  ...['"', "\\", '"}', '"},{"', "\\u000a", "{", "}", "'", "`", "${1}", "%s"],
  ...["</script>", "<!--", "]]>", "&lt;", "{placeholder}", "{topic}", "{*}"],
  ...["__proto__", "constructor", "toString", "../../", "..\\", "/etc/passwd"],
  // Headers, metrics.
  ...["%0d%0a", "; rel=next", ",", "HTTP/1.1 200 OK", '",status="x"} 1\n'],
  // Event streams.
  ...[":", "::", "data", "data: forged", "\ndata: forged", "\nid: 9"],
  ...["\nevent: rivulet.end\n", "\n\nevent: rivulet.gap\ndata: {}\n\n"],
  ...["\nretry: 1\n", "\nupstream-id: forged\n", "rivulet.end", "[DONE]"],
] as const;

const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<string>(...PIECES) },
  { weight: 2, arbitrary: fc.string({ maxLength: 5 }) },
  // Code units, whether they make characters or not.
  {
    weight: 1,
    arbitrary: fc.array(fc.nat({ max: 0xFFFF }), { maxLength: 3 })
      .map((units) => String.fromCharCode(...units)),
  },
);

/** Hostile text of any kind. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.array(piece, { maxLength: 6 }).map((parts) => parts.join("")),
  },
  {
    weight: 1,
    arbitrary: piece.map((text) => (text || "x").repeat(2_000)),
  },
);

/** The same, without what ends a line of an event stream, or makes an id none. */
export const hostileLine: fc.Arbitrary<string> = hostileText
  .map((text) => text.replaceAll(/[\r\n\0]/g, ""));
