import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../problem.ts";
import { BodyLimitError } from "../../limits/bounded_body.ts";
import { PublishError } from "../../sources/publish_error.ts";
import {
  InvalidTopicNameError,
  TopicLimitError,
} from "../../topics/topic_errors.ts";
import { EventLimitError } from "../../topics/event_limit.ts";
import { LeaseHeldError } from "../../topics/lease.ts";
import { StoreError } from "../../topics/store.ts";
import { TopicBusyError } from "../../topics/topic_busy_error.ts";
import { TopicEndedError } from "../../topics/topic.ts";

/** The time after which a topic may have gone, in seconds: a guess. */
const RETRY_AFTER = "5";

/**
 * Turns what was thrown into what is told.
 *
 * @returns `undefined` for what is not foreseen, which is not told.
 */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  if (error instanceof InvalidTopicNameError) {
    return new Problem(STATUS_CODE.BadRequest, error.code, error.message);
  }
  if (error instanceof TopicEndedError) {
    return new Problem(STATUS_CODE.Conflict, error.code, error.message, {
      end: error.end,
    });
  }
  if (error instanceof LeaseHeldError) {
    return new Problem(STATUS_CODE.Conflict, "topic_exists", error.message);
  }
  if (error instanceof TopicBusyError) {
    return new Problem(STATUS_CODE.Conflict, error.code, error.message);
  }
  if (error instanceof TopicLimitError) {
    const status = error.code === "too_many_topics"
      ? STATUS_CODE.ServiceUnavailable
      : STATUS_CODE.TooManyRequests;
    return new Problem(status, error.code, error.message, {}, {
      "Retry-After": RETRY_AFTER,
    });
  }
  if (error instanceof BodyLimitError) {
    const status = error.code === "body_timeout"
      ? STATUS_CODE.RequestTimeout
      : STATUS_CODE.ContentTooLarge;
    return new Problem(status, error.code, error.message);
  }
  if (error instanceof EventLimitError) {
    return new Problem(STATUS_CODE.ContentTooLarge, error.code, error.message);
  }
  if (error instanceof StoreError) {
    return new Problem(
      error.failure === "away"
        ? STATUS_CODE.ServiceUnavailable
        : STATUS_CODE.InsufficientStorage,
      error.code,
      error.message,
      {
        failure: error.failure,
      },
      { "Retry-After": RETRY_AFTER },
    );
  }
  if (error instanceof PublishError) {
    const status = {
      invalid_body: STATUS_CODE.BadRequest,
      body_incomplete: STATUS_CODE.BadRequest,
      body_too_large: STATUS_CODE.ContentTooLarge,
      event_too_large: STATUS_CODE.ContentTooLarge,
      idempotency_mismatch: STATUS_CODE.UnprocessableEntity,
      key_in_use: STATUS_CODE.Conflict,
      lease_lost: STATUS_CODE.Conflict,
      publish_rate: STATUS_CODE.TooManyRequests,
    }[error.code];
    const added = error.added && { added: error.added };
    const { retryIn } = error;
    return new Problem(
      status,
      error.code,
      error.message,
      added,
      retryIn === undefined
        ? {}
        : { "Retry-After": `${Math.ceil(retryIn / 1_000)}` },
    );
  }
  return undefined;
}
