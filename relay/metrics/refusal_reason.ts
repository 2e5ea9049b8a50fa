/** The codes with which the relay refuses something. */
export const REFUSAL_REASONS = [
  "address_not_allowed",
  "already_subscribed",
  "ambiguous_token",
  "body_incomplete",
  "body_timeout",
  "body_too_large",
  "cancelled",
  "draining",
  "event_too_large",
  "forbidden",
  "head_timeout",
  "head_too_large",
  "host_not_allowed",
  "idempotency_mismatch",
  "internal",
  "invalid_ack",
  "invalid_body",
  "invalid_frame",
  "invalid_header",
  "invalid_message",
  "invalid_mode",
  "invalid_position",
  "invalid_query",
  "invalid_request",
  "invalid_snapshot",
  "invalid_token",
  "invalid_topic",
  "invalid_upgrade",
  "invalid_window",
  "key_in_use",
  "keys_unavailable",
  "message_rate",
  "message_too_large",
  "method_not_allowed",
  "not_acceptable",
  "not_found",
  "not_subscribed",
  "origin_not_allowed",
  "position_not_retained",
  "provider_unreachable",
  "publish_rate",
  "run_not_retained",
  "source_not_allowed",
  "token_expired",
  "token_required",
  "too_many_connections",
  "too_many_connections_of_address",
  "too_many_requests",
  "too_many_subscriptions",
  "too_many_topics",
  "too_many_topics_of_token",
  "too_many_upstreams",
  "topic_ended",
  "topic_exists",
  "unknown_host",
  "unknown_topic",
  "unknown_type",
  "unsupported",
  "unsupported_media_type",
  "other",
] as const;

/** A code that is counted by itself, or `other`. */
export type RefusalReason = typeof REFUSAL_REASONS[number];

const KNOWN: ReadonlySet<string> = new Set(REFUSAL_REASONS);

/** Under which reason a refusal is counted: what is not foreseen makes no label. */
export function refusalReason(code: string): RefusalReason {
  // just found in the list that the type is made from
  return KNOWN.has(code) ? code as RefusalReason : "other";
}
