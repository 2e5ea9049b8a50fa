import { messageOf } from "../../src/fetch/message_of.ts";
import { MAX_HEAD } from "./head_limits.ts";

/** Messages for the codes of connections that fail. */
const FAILURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was closed before its answer was whole",
  EHOSTUNREACH: "the host cannot be reached",
  ENOTFOUND: "there is no host of this name",
  EPIPE: "the connection was closed before its answer was whole",
  ETIMEDOUT: "the connection was not answered",
  HPE_HEADER_OVERFLOW:
    `the head of the answer is larger than ${MAX_HEAD} bytes`,
};

/** The connection to an upstream has failed. */
export class UpstreamConnectionError extends Error {
  /** Whether no byte of the request can have reached the upstream. */
  readonly isUnsent: boolean;
  /** Whether the connection was used before, and closed without an answer to this request. */
  readonly isStale: boolean;

  /** Makes it of what was thrown. */
  constructor(
    cause: unknown,
    { isUnsent = false, isStale = false }: {
      readonly isUnsent?: boolean;
      readonly isStale?: boolean;
    } = {},
  ) {
    const code = codeOf(cause);
    const known = FAILURES[code];
    super(known ? `${known} (${code})` : messageOf(cause), { cause });
    this.name = "UpstreamConnectionError";
    this.isUnsent = isUnsent;
    this.isStale = isStale;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
