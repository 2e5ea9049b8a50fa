/** The topic that everybody follows. */
export const TOPIC = "bench";

/** Milliseconds since the epoch, with fractions: the same clock in every process. */
export function wallClock(): number {
  return performance.timeOrigin + performance.now();
}

/**
 * The data of one event: when it was sent, its number, and padding. It has
 * nothing that JSON escapes, so that its length in a frame is known.
 */
export function eventData(
  sent: number,
  sequence: number,
  size: number,
): string {
  return `${sent.toFixed(3)} ${sequence} `.padEnd(size, ".");
}

/** Reads what {@linkcode eventData} wrote. */
export function readEventData(
  data: string,
): { readonly sent: number; readonly sequence: number } {
  const [sent, sequence] = data.split(" ", 2);
  return { sent: Number(sent), sequence: Number(sequence) };
}
