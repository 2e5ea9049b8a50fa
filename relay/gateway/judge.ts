import { AnthropicJudge } from "./judges/anthropic.ts";
import { ChatJudge } from "./judges/chat.ts";
import type { Judge, Redact } from "./judges/judge.ts";
import { PlainJudge } from "./judges/plain.ts";
import { ResponsesJudge } from "./judges/responses.ts";

export type { Judge, Redact, Verdict } from "./judges/judge.ts";

/**
 * Finds who can judge a provider's stream.
 *
 * @param path Where the stream comes from, below the provider's base URL; what is
 * in front of its last names does not matter, nor does a query.
 * @param redact Takes the secrets out of what the provider says. Default: as it is.
 * @returns A judge for one stream.
 */
export function judgeFor(
  path: string,
  redact: Redact = (text) => text,
): Judge {
  const names = path.replace(/[?#].*$/s, "").split("/").filter(Boolean);
  const name = names.at(-1);
  // A response may also be asked for by its id.
  if (name === "responses" || names.at(-2) === "responses") {
    return new ResponsesJudge(redact);
  }
  if (name === "completions") return new ChatJudge(redact);
  if (name === "messages") return new AnthropicJudge(redact);
  return new PlainJudge(redact);
}
