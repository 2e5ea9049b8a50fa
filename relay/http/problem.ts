import { STATUS_CODE, STATUS_TEXT, type StatusCode } from "@std/http/status";

/** A refusal, as it is told to whoever asked (RFC 9457). */
export class Problem extends Error {
  /** The HTTP status. */
  readonly status: StatusCode;
  /** What is wrong, for programs. */
  readonly code: string;
  /** What else there is to know. */
  readonly facts: Readonly<Record<string, unknown>>;

  /** Names a status, a code, and what is wrong in words. */
  constructor(
    status: StatusCode,
    code: string,
    detail: string,
    facts: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.facts = facts;
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
  toResponse(headers: HeadersInit = {}): Response {
    const all = new Headers(headers);
    all.set("Content-Type", "application/problem+json");
    return new Response(this.body, { status: this.status, headers: all });
  }
}

/** A refusal because a topic is not there. */
export function unknownTopic(name: string): Problem {
  return new Problem(
    STATUS_CODE.NotFound,
    "unknown_topic",
    `There is no topic '${name}'`,
  );
}
