/**
 * An answer of the relay on a socket, over the version of HTTP that a test chooses.
 *
 * @module
 */
import { LIMIT, within } from "../within.ts";

/** The result of reading an answer to the end of its connection or its body. */
export interface FramedAnswer {
  /** The status. */
  readonly status: number;
  /** The head, with names in lower case. */
  readonly head: string;
  /** The body, without what HTTP adds to it. */
  readonly body: string;
  /** Whether the body has the end that its version of HTTP gives it. */
  readonly end: "whole" | "cut";
}

/** A request over one version of HTTP. */
export interface FramedRequest {
  /** The port on the loopback interface. */
  readonly port: number;
  /** The version of HTTP. */
  readonly version: "1.0" | "1.1";
  /** The method. Default: `GET`. */
  readonly method?: string;
  /** The path and the query. */
  readonly target: string;
  /** The headers besides `Host` and `Content-Length`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The body. Default: none. */
  readonly body?: string;
}

/** Asks, and reads the answer until its body or its connection ends. */
export async function askFramed(
  { port, version, method = "GET", target, headers = {}, body }: FramedRequest,
): Promise<FramedAnswer> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const lines = Object.entries({
    host: "localhost",
    ...headers,
    ...(body !== undefined && { "content-length": String(body.length) }),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  await connection.write(
    new TextEncoder().encode(
      `${method} ${target} HTTP/${version}\r\n${lines.join("")}\r\n${
        body ?? ""
      }`,
    ),
  );
  let read = "";
  const buffer = new Uint8Array(65_536);
  for (;;) {
    let count: number | null;
    try {
      count = await within(
        connection.read(buffer),
        LIMIT,
        () => `the end of an answer, after ${read}`,
      );
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
      return { ...parseFramed(read), end: "cut" };
    }
    if (count === null) {
      const parsed = parseFramed(read);
      const isFramed = /\r\n(?:transfer-encoding|content-length):/.test(
        parsed.head,
      );
      return { ...parsed, end: isFramed ? parsed.end : "whole" };
    }
    read += new TextDecoder("latin1").decode(buffer.subarray(0, count));
    if (read.includes("\r\n\r\n") && parseFramed(read).end === "whole") {
      return parseFramed(read);
    }
  }
}

/** Parses the bytes of an answer so far; only a body with a length or chunks can be whole yet. */
export function parseFramed(read: string): FramedAnswer {
  const at = read.indexOf("\r\n\r\n");
  const head = read.slice(0, at).toLowerCase();
  const rest = read.slice(at + 4);
  const status = Number(head.split(" ")[1]);
  if (status === 204) return { status, head, body: "", end: "whole" };
  const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1];
  if (length !== undefined) {
    const isWhole = rest.length === Number(length);
    return { status, head, body: rest, end: isWhole ? "whole" : "cut" };
  }
  if (!head.includes("\r\ntransfer-encoding: chunked")) {
    return { status, head, body: rest, end: "cut" };
  }
  let body = "";
  for (let from = 0;;) {
    const [line = ""] = /^[0-9a-f]+\r\n/.exec(rest.slice(from)) ?? [];
    const size = parseInt(line, 16);
    if (size === 0) return { status, head, body, end: "whole" };
    const start = from + line.length;
    if (line === "" || rest.length < start + size + 2) {
      return { status, head, body, end: "cut" };
    }
    body += rest.slice(start, start + size);
    from = start + size + 2;
  }
}
