import { z } from "zod";
import { TOPIC_NAME_RULE, topicName } from "../../topics/topic_name.ts";

/** The placeholder for the agent's session in a name. */
const SESSION = "{session}";

/** The longest part of a name that a session makes. */
const MAX_SESSION = 64;

/**
 * The characters that cannot be a part of a name. They include `:` and `~`, so
 * that those can stand between a session and the text around it:
 * `codex:{session}:*`.
 */
const NOT_IN_PART = /[^A-Za-z0-9._-]+/g;

/** The rule for names that the relay completes, in words. */
export const RUN_NAME_RULE =
  `${TOPIC_NAME_RULE}, in which {session} stands for the agent's session, and a last * for what makes it unique`;

/** The session of a run whose agent names none. */
const NO_SESSION = "none";

/** Accepts the name of a run's topic, or one that {@linkcode completeName} completes. */
export const runName: z.ZodType<string, string> = z.string().refine(
  (template) =>
    topicName.safeParse(
      template.replaceAll(SESSION, "x").replace(/\*$/, "x"),
    ).success,
  { message: `Expected ${RUN_NAME_RULE}` },
);

/** Whether a name has the agent's session in it. */
export function namesSession(template: string): boolean {
  return template.includes(SESSION);
}

/** Whether a name is another one for each run. */
export function isCompleted(template: string): boolean {
  return template.endsWith("*");
}

/**
 * Completes the name of a run's topic.
 *
 * @param template The name, as {@linkcode runName} accepts it.
 * @param session The agent's session, if it names one.
 * @param now The time, in milliseconds since the epoch: later names sort after earlier
 * ones.
 */
export function completeName(
  template: string,
  session: string | undefined,
  now: number,
): string {
  const named = topicsOf(template, session);
  if (!isCompleted(named)) return named;
  return named.slice(0, -1) + uniqueEnd(now);
}

/** Returns a name as {@linkcode completeName} has it, but for the `*` at its end. */
export function topicsOf(
  template: string,
  session: string | undefined,
): string {
  return template.replaceAll(SESSION, clean(session ?? NO_SESSION));
}

/** Returns what makes a name unique, and later than those before it. */
function uniqueEnd(now: number): string {
  const time = Math.max(0, Math.floor(now)).toString(36).padStart(9, "0");
  return `${time}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Makes a part of a name of a session, whatever characters that has. */
function clean(session: string): string {
  return session.replace(NOT_IN_PART, "_").slice(0, MAX_SESSION);
}
