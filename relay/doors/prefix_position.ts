import type { Position } from "../topics/position.ts";

/** The place of a reader of many topics, whose names begin alike. */
export interface PrefixPosition {
  /**
   * The time since which the reader knows of all topics, in milliseconds since the epoch:
   * a topic without a position here that has ended before has nothing for it.
   */
  readonly time: number;
  /** The position in each topic, by name. The offset is 0 in front of the first event. */
  readonly positions: ReadonlyMap<string, Position>;
}

/** The most digits of an offset, or of a time. */
export const MAX_DIGITS = 16;

const TIME = /^[0-9]{1,16}$/;

const ENTRY =
  /^([A-Za-z0-9._~:-]{0,128})@([A-Za-z0-9_-]{8,22}):(0|[1-9][0-9]{0,15})$/;

/** Returns the most characters that a topic takes in a position. */
export function roomOf(name: string, prefix: string, epoch: string): number {
  return name.length - prefix.length + epoch.length + MAX_DIGITS + 3;
}

/** Writes a position as `<time>,<rest of the name>@<epoch>:<offset>,...`. */
export function formatPrefixPosition(
  { time, positions }: PrefixPosition,
  prefix: string,
): string {
  let text = `${Math.floor(time)}`;
  for (const [name, { epoch, offset }] of positions) {
    text += `,${name.slice(prefix.length)}@${epoch}:${offset}`;
  }
  return text;
}

/** Reads a position of a prefix, in which the last place of a topic counts; `undefined` where it is none. */
export function parsePrefixPosition(
  text: string,
  prefix: string,
): PrefixPosition | undefined {
  const [time = "", ...entries] = text.split(",");
  if (!TIME.test(time)) return undefined;
  const positions = new Map<string, Position>();
  for (const entry of entries) {
    const [, rest, epoch, digits] = ENTRY.exec(entry) ?? [];
    const offset = Number(digits);
    if (rest === undefined || !epoch || !Number.isSafeInteger(offset)) {
      return undefined;
    }
    positions.set(prefix + rest, { epoch, offset });
  }
  return { time: Number(time), positions };
}
