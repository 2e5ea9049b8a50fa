import { parseRetryAfter } from "../../src/fetch/retry.ts";
import type { RunOutcome } from "../metrics/upstream_metrics.ts";
import type { UpstreamAnswer } from "../upstream/answer.ts";
import type { ProviderRequest } from "./provider_request.ts";

/** The reason why there is no event stream. */
export interface Refusal {
  /** The status that the provider has answered with, if it has answered. */
  readonly status: number | undefined;
  /** The reason in words, without secrets. May be worked out when it is read. */
  readonly reason: string;
  /** The time that the provider asks clients to wait, in milliseconds, if it names one. */
  readonly retryAfter: number | undefined;
}

/** After these statuses a client asks again by itself, so that the run may yet begin. */
const RETRYABLE: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/** The time after which a client asks again if the provider names none, in milliseconds. */
const USUAL_RETRY = 8_000;

/** The longest time that a client waits because a provider asks for it, in milliseconds. */
const LONGEST_RETRY = 60_000;

/** The time that the relay waits for a client beyond that, in milliseconds. */
const RETRY_GRACE = 10_000;

/**
 * Makes a refusal of an answer that is no event stream.
 *
 * @param response The answer.
 * @param describe Returns the reason in words, without secrets. Called only if the
 * reason is read: to take secrets out of a text costs more than to pass on a short
 * answer, and most answers leave no topic that would say it.
 * @param now The time, in milliseconds since the epoch.
 */
export function refusalOf(
  { status, headers }: UpstreamAnswer,
  describe: () => string,
  now: number,
): Refusal {
  return new AnswerRefusal(status, describe, parseRetryAfter(headers, now));
}

/**
 * A refusal whose reason is worked out when it is read. A class: an object with a getter
 * of its own outlives collections of young objects, with all that the getter refers to.
 */
class AnswerRefusal implements Refusal {
  readonly status: number;
  readonly retryAfter: number | undefined;
  readonly #describe: () => string;

  constructor(
    status: number,
    describe: () => string,
    retryAfter: number | undefined,
  ) {
    this.status = status;
    this.retryAfter = retryAfter;
    this.#describe = describe;
  }

  get reason(): string {
    return this.#describe();
  }
}

/**
 * Describes an answer that is no event stream, in words.
 *
 * @param response The answer.
 * @param peer The peer that has given it.
 * @param message The message in it. Default: none.
 */
export function describeAnswer(
  { status, statusText, headers }: UpstreamAnswer,
  peer: ProviderRequest["peer"],
  message = "",
): string {
  const type = [headers.get("content-encoding"), headers.get("content-type")]
    .filter(Boolean).join(" ") || "nothing";
  if (status < 400) {
    return `Expected an event stream, and the ${peer} has answered ${status} with ${type}`;
  }
  return `The ${peer} has answered ${status} ${statusText}`.trim() +
    (message && `: ${message}`);
}

/** The outcome that a refused run counts as. */
export function outcomeOf({ status }: Refusal): RunOutcome {
  if (status === undefined) return "unreachable";
  return status < 400 ? "answered" : "refused";
}

/**
 * Returns how long to wait for the client of a refused run to ask again, in
 * milliseconds; `undefined` if clients do not ask again after such an answer.
 */
export function patienceFor(
  { status, retryAfter }: Refusal,
): number | undefined {
  const mayComeBack = status === undefined || status >= 500 ||
    RETRYABLE.has(status);
  if (!mayComeBack) return undefined;
  return Math.min(retryAfter ?? USUAL_RETRY, LONGEST_RETRY) + RETRY_GRACE;
}
