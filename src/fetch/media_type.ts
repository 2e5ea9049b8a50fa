// This module is browser compatible.

/**
 * Whether the value of a `Content-Type` header says `text/event-stream`.
 *
 * Parameters are passed over, as the standard has it: the text is UTF-8 whatever
 * they say. Of several headers, which come joined by commas, the last valid one
 * counts.
 *
 * @see {@link https://fetch.spec.whatwg.org/#concept-header-extract-mime-type | Fetch Standard, section 2.2.2}
 *
 * @param value The value.
 * @returns Whether it does.
 */
export function isEventStreamType(value: string | null): boolean {
  let last = "";
  for (const type of splitAtCommas(value ?? "")) {
    const [essence = ""] = type.split(";", 1);
    const name = essence.trim().toLowerCase();
    if (VALID.test(name) && name !== "*/*") last = name;
  }
  return last === "text/event-stream";
}

/** Two tokens. */
const VALID = /^[!#$%&'*+.^_`|~\w-]+\/[!#$%&'*+.^_`|~\w-]+$/;

/** Splits at the commas that are not in a quoted string. */
function splitAtCommas(value: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i < value.length; i++) {
    const char = value[i];
    if (char === '"') quoted = !quoted;
    else if (char === "\\" && quoted) i++;
    else if (char === "," && !quoted) {
      parts.push(value.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(value.slice(start));
  return parts;
}
