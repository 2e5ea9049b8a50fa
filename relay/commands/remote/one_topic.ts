import { FlagError } from "../command.ts";
import { TOPIC_NAME_RULE, topicName } from "../../topics/topic_name.ts";

/**
 * Returns the one topic that arguments name.
 *
 * @param positionals The arguments that are no flags.
 * @throws {FlagError} If there is none or more than one, or it is no name.
 */
export function oneTopic(positionals: readonly string[]): string {
  const [topic, ...others] = positionals;
  if (topic === undefined || others.length > 0) {
    throw new FlagError(
      `TOPIC: expected one, got ${positionals.length}: --help says more`,
    );
  }
  if (!topicName.safeParse(topic).success) {
    throw new FlagError(`TOPIC: expected ${TOPIC_NAME_RULE}, got '${topic}'`);
  }
  return topic;
}
