import { isFields } from "../../../src/model/wires/event_data.ts";
import type { HeaderList } from "../../header_list.ts";

/** The headers in which agents name their session, the first of which counts. */
const HEADERS = [
  "session-id", // Codex; its subagents have the same
  "session_id", // Codex before 0.160
  "thread-id", // Codex
  "x-claude-code-session-id",
  "x-session-id", // opencode
] as const;

/** The session within `metadata.user_id` of Claude Code, which has the account in it too. */
const WITHIN_USER = /session(?:_id"\s*:\s*"|_)([0-9a-zA-Z-]{8,64})/;

/** A longer text names no session. In UTF-16 code units. */
const MAX_SESSION = 256;

/** Returns the session that an agent names in the headers of a request, if it names one. */
export function sessionInHeaders(headers: HeaderList): string | undefined {
  for (const name of HEADERS) {
    const session = named(headers.get(name));
    if (session !== undefined) return session;
  }
  return undefined;
}

/**
 * Returns the session that the body of a run names, if it names one: in
 * `prompt_cache_key` (Responses, Chat), or in `metadata` (Messages).
 */
export function sessionInBody(value: unknown): string | undefined {
  if (!isFields(value)) return undefined;
  const { prompt_cache_key: key, metadata } = value;
  const own = named(key);
  if (own !== undefined || !isFields(metadata)) return own;
  const { session_id: session, user_id: user } = metadata;
  const [, within] = WITHIN_USER.exec(named(user) ?? "") ?? [];
  return named(session) ?? within;
}

function named(value: unknown): string | undefined {
  const isName = typeof value === "string" && value.trim() !== "" &&
    value.length <= MAX_SESSION;
  return isName ? value.trim() : undefined;
}
