import { z } from "zod";

/** The rule for topic names, in words for messages. */
export const TOPIC_NAME_RULE =
  "1 to 128 characters of A-Z a-z 0-9 . _ ~ : -, not starting with a dot";

/** Accepts what PROTOCOL.md (section 1) allows as a topic's name. */
export const topicName: z.ZodString = z.string().regex(
  /^[A-Za-z0-9_~:-][A-Za-z0-9._~:-]{0,127}$/,
  `Expected ${TOPIC_NAME_RULE}`,
);

/** Whether a topic may have a name. */
export function isTopicName(name: string): boolean {
  return topicName.safeParse(name).success;
}
