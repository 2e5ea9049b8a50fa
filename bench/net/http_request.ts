/** The last chunk of a body in chunks, without a trailer. */
export const LAST_CHUNK = "0\r\n\r\n";

/** Writes a chunk of a body, of one byte for each character. */
export function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

/**
 * Finds the end of the request that a text begins with. Its body has a length or
 * is in chunks.
 *
 * @returns `Infinity` where the end has not come.
 */
export function endOfRequest(text: string): number {
  const body = text.indexOf("\r\n\r\n") + 4;
  if (body < 4) return Infinity;
  const [, length] = /^content-length: ([0-9]+)/im.exec(text) ?? [];
  if (length !== undefined) {
    const end = body + Number(length);
    return end > text.length ? Infinity : end;
  }
  const last = text.indexOf(`\r\n${LAST_CHUNK}`, body);
  return last < 0 ? Infinity : last + 2 + LAST_CHUNK.length;
}
