/** Control and format characters, line ends of every kind, and halves of pairs. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const SHORT: Readonly<Record<string, string>> = {
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

function escape(character: string): string {
  return SHORT[character] ??
    character.split("").map((unit) =>
      `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
    ).join("");
}

/**
 * Writes, as JSON would, what could end a line, move a terminal's cursor, or turn
 * text around. JSON stays what it is: there such characters are in strings only.
 */
export function escapeInvisible(text: string): string {
  return text.replaceAll(INVISIBLE, escape);
}
