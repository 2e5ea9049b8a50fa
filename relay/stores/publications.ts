import { MAX_PUBLICATIONS } from "../topics/log.ts";

/** Keeps what is known of a publication as the newest one: beyond the most, the oldest goes. */
export function rememberPublication(
  all: Map<string, string>,
  key: string,
  value: string,
): void {
  all.delete(key);
  all.set(key, value);
  for (const oldest of all.keys()) {
    if (all.size <= MAX_PUBLICATIONS) break;
    all.delete(oldest);
  }
}
