/** A place in a topic: the event with this offset, in the log of this epoch. */
export interface Position {
  /**
   * The id of the log: a new one whenever a log cannot continue the old one.
   */
  readonly epoch: string;
  /** The number of the event in the log: 1 for the first, one more for each. */
  readonly offset: number;
}

/**
 * The place at which a subscription begins: after a position, or at either end
 * of the retained events.
 */
export type After = Position | "start" | "now";

const POSITION = /^([A-Za-z0-9_-]{8,22}):([1-9][0-9]{0,15})$/;

/** Makes the name of a new log: 72 random bits as base64url. */
export function createEpoch(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-").replaceAll("/", "_");
}

/** Writes a position as `<epoch>:<offset>`. */
export function formatPosition({ epoch, offset }: Position): string {
  return `${epoch}:${offset}`;
}

/** Reads `<epoch>:<offset>`, `start` or `now`; `undefined` where it is none of them. */
export function parseAfter(text: string): After | undefined {
  if (text === "start" || text === "now") return text;
  const [, epoch, digits] = POSITION.exec(text) ?? [];
  if (epoch === undefined) return undefined;
  const offset = Number(digits);
  return Number.isSafeInteger(offset) ? { epoch, offset } : undefined;
}
