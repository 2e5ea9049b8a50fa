import type { IncomingMessage, ServerResponse } from "node:http";
import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../problem.ts";

/** The most headers of a request: no well-behaved program sends more. */
const MAX_HEADERS = 200;

const HOST = "host";

/** The methods that are of use at some path of the relay. */
const METHODS: readonly string[] = ["GET", "HEAD", "POST", "PUT", "DELETE"];

/** Limits on the head of a request. */
export interface HeadLimits {
  /** The largest head of a request, in bytes. */
  readonly maxHead: number;
  /** The longest time for the head of a request, in milliseconds; it may take up to a second more. */
  readonly headTimeout: number;
}

/** A refusal of a request that is not HTTP, or comes at a wrong time. */
export function invalidRequest(detail: string): Problem {
  return new Problem(STATUS_CODE.BadRequest, "invalid_request", detail);
}

/** A refusal of the method CONNECT. */
export function noProxy(): Problem {
  return new Problem(
    STATUS_CODE.MethodNotAllowed,
    "method_not_allowed",
    "Expected a request of the relay itself, which is no proxy: got CONNECT",
    { allowed: METHODS },
    { Allow: METHODS.join(", ") },
  );
}

/**
 * Answers a question about the server itself, `OPTIONS *` (RFC 9110, section 9.3.7),
 * which is for no path and so for no provider.
 *
 * @returns Whether the request is one.
 */
export function answerServerOptions(
  { method, url }: IncomingMessage,
  outgoing: ServerResponse,
): boolean {
  if (method !== "OPTIONS" || url !== "*") return false;
  outgoing.writeHead(STATUS_CODE.NoContent, {
    Allow: [...METHODS, "OPTIONS"].join(", "),
  });
  outgoing.end();
  return true;
}

function headRefused(detail: string): Problem {
  return new Problem(
    STATUS_CODE.RequestHeaderFieldsTooLarge,
    "head_too_large",
    detail,
  );
}

/** A refusal of a head that is longer than it may be. */
export function headTooLarge({ maxHead }: HeadLimits): Problem {
  return headRefused(
    `Expected the head of a request to have at most ${maxHead} bytes`,
  );
}

/** A refusal of a head that takes longer than it may. */
export function headTimedOut({ headTimeout }: HeadLimits): Problem {
  return new Problem(
    STATUS_CODE.RequestTimeout,
    "head_timeout",
    `Expected the head of a request within ${headTimeout} ms`,
  );
}

/** A refusal of a body that has too much around it. */
export function framingTooLarge(maxBytes: number): Problem {
  return new Problem(
    STATUS_CODE.ContentTooLarge,
    "body_too_large",
    `Expected at most ${maxBytes} bytes of chunk extensions, trailers and the like around a body`,
  );
}

/** Whether a request asks for a WebSocket: an upgrade to anything else is an offer that may be ignored (RFC 9110, section 7.8). */
export function isWebSocketUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

/**
 * Refuses a request of which it is uncertain where it ends, or whom it is for:
 * a proxy may see that otherwise (RFC 9112, sections 3.2, 6.1 and 6.3).
 */
export function refuseAmbiguous(
  { headers, rawHeaders, httpVersion }: IncomingMessage,
): Problem | undefined {
  if (httpVersion !== "1.1" && httpVersion !== "1.0") {
    return invalidRequest("Expected a request of HTTP/1.1 or HTTP/1.0");
  }
  const coding = headers["transfer-encoding"];
  if (coding !== undefined && httpVersion === "1.0") {
    return invalidRequest("Expected HTTP/1.1 where there is Transfer-Encoding");
  }
  if (coding !== undefined && coding.toLowerCase() !== "chunked") {
    return invalidRequest(
      "Expected a Transfer-Encoding of 'chunked', or none",
    );
  }
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!; // within the array
    if (name.length === HOST.length && name.toLowerCase() === HOST) hosts++;
  }
  return hosts > 1 || (hosts === 0 && httpVersion === "1.1")
    ? invalidRequest("Expected one Host header")
    : undefined;
}

/** Refuses an upgrade with a body: what follows it would be taken for the new protocol. */
export function refuseBody(
  { headers }: IncomingMessage,
): Problem | undefined {
  const { "content-length": length = "0", "transfer-encoding": coding } =
    headers;
  return coding !== undefined || Number(length) !== 0
    ? invalidRequest("Expected an upgrade without a body")
    : undefined;
}

/** The expectation that `node:http` meets. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

/** Refuses an expectation that nobody can meet (RFC 9110, section 10.1.1); HTTP/1.0 has none. */
export function refuseExpectation(
  { headers: { expect }, httpVersion }: IncomingMessage,
): Problem | undefined {
  if (expect === undefined || httpVersion !== "1.1" || CONTINUE.test(expect)) {
    return undefined;
  }
  return new Problem(
    STATUS_CODE.ExpectationFailed,
    "expectation_failed",
    "Expected 'Expect: 100-continue', or no such header",
  );
}

/** The scheme and the authority of a target in absolute form, and what comes behind them. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)([^]*)$/i;

/**
 * Has a request whose target is a whole URL say its host and path as others do. A
 * server ignores the Host header of such a request (RFC 9112, section 3.2.2).
 *
 * @returns Why it is refused, if the URL has no host, or a user (RFC 9110, section 4.2.4).
 */
export function takeAbsoluteTarget(
  incoming: IncomingMessage,
): Problem | undefined {
  const { url = "/" } = incoming;
  if (url.startsWith("/")) return undefined;
  const [, authority, rest = ""] = ABSOLUTE.exec(url) ?? [];
  if (authority === undefined) return undefined;
  if (authority === "" || authority.includes("@")) {
    return invalidRequest(
      "Expected a request target with a host and without a user",
    );
  }
  incoming.headers.host = authority;
  incoming.url = rest.startsWith("/") ? rest : `/${rest}`;
  return undefined;
}

/** Refuses a request with too many headers. */
export function refuseManyHeaders(
  { rawHeaders }: IncomingMessage,
): Problem | undefined {
  // A name and a value each.
  return rawHeaders.length / 2 > MAX_HEADERS
    ? headRefused(`Expected at most ${MAX_HEADERS} headers`)
    : undefined;
}

/**
 * Says what is wrong with a head that `node:http` could not read.
 *
 * @param code The code of its error.
 * @param limits The limits that it was given.
 * @returns `undefined` if the peer has gone, or its network has.
 */
export function problemOfHead(
  code: string,
  limits: HeadLimits,
): Problem | undefined {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return headTimedOut(limits);
    case "HPE_HEADER_OVERFLOW":
      return headTooLarge(limits);
    default:
      return code.startsWith("HPE_")
        ? invalidRequest("Expected a request as RFC 9112 has them")
        : undefined;
  }
}
