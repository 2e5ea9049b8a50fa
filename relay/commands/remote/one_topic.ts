import { FlagError } from "../command.ts";
import { TOPIC_NAME_RULE, topicName } from "../../topics/topic_name.ts";

/**
 * Returns the one topic that arguments name.
 *
 * @param positionals The arguments that are no flags.
 * @param options Whether it may be the beginning of names, with a star behind it.
 * @throws {FlagError} If there is none or more than one, or it is no name.
 */
export function oneTopic(
  positionals: readonly string[],
  options: { readonly takesPrefix?: boolean } = {},
): string {
  const [topic, ...others] = positionals;
  if (topic === undefined || others.length > 0) {
    throw new FlagError(
      `TOPIC: expected one, got ${positionals.length}: --help says more`,
    );
  }
  const isPrefix = options.takesPrefix && topic.endsWith("*");
  const name = isPrefix ? `${topic.slice(0, -1)}-` : topic;
  if (!topicName.safeParse(name).success) {
    throw new FlagError(`TOPIC: expected ${TOPIC_NAME_RULE}, got '${topic}'`);
  }
  return topic;
}
