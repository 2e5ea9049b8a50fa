import type { Log } from "./log.ts";

/** Whether a topic was only asked for: it has no event and no end. */
export function isOnlyAwaited(
  { facts, next, ended }: Pick<Log, "facts" | "next" | "ended">,
): boolean {
  return facts.isAwaited === true && next === 1 && !ended;
}
