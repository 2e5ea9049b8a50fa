import { STATUS_CODE, STATUS_TEXT, type StatusCode } from "@std/http/status";

/** The longest words of a refusal, in UTF-16 code units: they may quote what a peer has sent. */
const MAX_DETAIL = 2_000;

/** Shortens the words of a refusal to what a peer is to be told of them. */
export function boundedDetail(detail: string): string {
  return detail.length > MAX_DETAIL
    ? `${detail.slice(0, MAX_DETAIL - 1)}…`.toWellFormed()
    : detail;
}

/** A refusal, as the caller gets it (RFC 9457). */
export class Problem extends Error {
  /** The HTTP status. */
  readonly status: StatusCode;
  /** The code of the refusal, for programs. */
  readonly code: string;
  /** Further fields of the body. */
  readonly facts: Readonly<Record<string, unknown>>;

  /** The headers that say what a program needs of it. */
  readonly headers: Readonly<Record<string, string>>;

  /** Names a status, a code, and what is wrong in words, of which only the start is told. */
  constructor(
    status: StatusCode,
    code: string,
    detail: string,
    facts: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(boundedDetail(detail));
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.facts = facts;
    this.headers = headers;
  }

  /** The body of the answer. */
  get body(): string {
    return JSON.stringify({
      title: STATUS_TEXT[this.status],
      status: this.status,
      code: this.code,
      detail: this.message,
      ...this.facts,
    });
  }

  /** Writes the answer. */
  toResponse(): Response {
    return new Response(this.body, {
      status: this.status,
      headers: { ...this.headers, "Content-Type": "application/problem+json" },
    });
  }
}

/** Refusals of the class 4xx after which the same request may succeed. */
const TEMPORARY_STATUSES: ReadonlySet<number> = new Set([
  STATUS_CODE.RequestTimeout,
  425, // Too Early (RFC 8470), which only a proxy in front says
  STATUS_CODE.TooManyRequests,
]);

/** The same for codes whose status does not tell. */
const TEMPORARY_CODES: ReadonlySet<string> = new Set(["key_in_use"]);

/** Whether the same request may succeed later. */
export function isTemporary(
  { status, code }: { readonly status: number; readonly code: string },
): boolean {
  return status >= STATUS_CODE.InternalServerError ||
    TEMPORARY_STATUSES.has(status) || TEMPORARY_CODES.has(code);
}

/** A refusal because a topic is not there. */
export function unknownTopic(name: string): Problem {
  return new Problem(
    STATUS_CODE.NotFound,
    "unknown_topic",
    `There is no topic '${name}'`,
  );
}

/**
 * A refusal because the relay is being drained.
 *
 * @param left The time that is left, in milliseconds.
 * @param facts Further members of the problem.
 */
export function draining(
  left: number,
  facts: Readonly<Record<string, unknown>> = {},
): Problem {
  const seconds = Math.max(1, Math.ceil(left / 1_000));
  return new Problem(
    STATUS_CODE.ServiceUnavailable,
    "draining",
    "The relay is being drained and takes no new subscribers, events or runs",
    facts,
    { "Retry-After": `${seconds}` },
  );
}

/** A refusal because the relay has little memory left. */
export function outOfMemory(): Problem {
  return new Problem(
    STATUS_CODE.ServiceUnavailable,
    "out_of_memory",
    "The relay has little memory left (--max-memory) and takes no new work: try again later",
    {},
    { "Retry-After": "5" },
  );
}

/**
 * A refusal because a worker of the relay does not answer.
 *
 * @param worker The number of the worker.
 */
export function unresponsiveWorker(worker: number): Problem {
  return new Problem(
    STATUS_CODE.ServiceUnavailable,
    "worker_unresponsive",
    `Worker ${worker} of the relay does not answer: it is ended and started again if it goes on like that`,
    {},
    { "Retry-After": "5" },
  );
}

/** A refusal because of a mistake of the relay's own: nobody else is told what it is. */
export function internalProblem(): Problem {
  return new Problem(
    STATUS_CODE.InternalServerError,
    "internal",
    "Something went wrong in the relay; its log says what",
  );
}
