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

/** The least size of an event that holds both: 17 bytes, 10, and a space after each. */
export const LEAST_SIZE = 30;

/** Reads what {@linkcode eventData} wrote. */
export function readEventData(
  data: string,
): { readonly sent: number; readonly sequence: number } {
  const [sent, sequence] = data.split(" ", 2);
  return { sent: Number(sent), sequence: Number(sequence) };
}

/**
 * The length of the time in {@linkcode eventData}, in bytes, until the year
 * 2286.
 */
const SENT_LENGTH = "1700000000000.000".length;

/** Reads the time from the bytes of an event's data that begins at `at`. */
export function readSent(bytes: Uint8Array, at: number): number {
  let thousandths = 0;
  for (let i = at; i < at + SENT_LENGTH; i++) {
    const byte = bytes[i]!; // the caller has looked that they are there
    if (byte !== 0x2e) thousandths = thousandths * 10 + byte - 0x30;
  }
  return thousandths / 1_000;
}

/** Reads the number from the bytes of an event's data that begins at `at`. */
export function readSequence(bytes: Uint8Array, at: number): number {
  return readDigits(bytes, at + SENT_LENGTH + 1);
}

/** Reads a number up to the first byte that is no digit. */
export function readDigits(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at;; i++) {
    const digit = (bytes[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return value;
    value = value * 10 + digit;
  }
}
