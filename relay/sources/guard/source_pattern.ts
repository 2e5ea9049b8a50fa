import { z } from "zod";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { isMisleadingPath } from "../../forwarding.ts";

/** A text is no pattern that says safely where sources may be. */
export class SourcePatternError extends RangeError {
  /** The error's code, for programs. */
  readonly code = "invalid_source_pattern";

  /** Says what came, and what is wrong with it. */
  constructor(text: string, wanted: string, options?: ErrorOptions) {
    super(
      `Expected the pattern of URLs such as 'https://*.example.com/events/*', ${wanted}: got '${text}'`,
      options,
    );
    this.name = "SourcePatternError";
  }
}

const PROTOCOL = /^(?:https?|http(?:\{s\})?\?)$/;

/** `*`, or a host, or `*.` and a host: `*example.com` would be anybody's `my-example.com`. */
const HOST =
  /^(?:\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[(?:\\:|[0-9a-f.])+\])$/;

const PORT = /^(?:\*|[0-9]*)$/;

/** Colons begin the name of a group in a pattern, and IPv6 addresses have them. */
const IPV6_HOST = /(?<=^[^/]*:\/\/)\[[0-9a-f:.]*\]/i;

/**
 * A pattern of the URLs that sources may have, as `URLPattern` has them, and
 * stricter where that is looser than it looks.
 *
 * `*` alone is every URL. Else a pattern names `http`, `https` or `http{s}?`, a
 * host (`*.example.com` is every host below `example.com`, however deep, and not
 * `example.com`; `*` is every host) and a port, or the one that goes without
 * saying. Without a path it is every path of that host; `https://example.com/`
 * is the path `/` alone. The query is always free, and cannot be named. URLs
 * with a user name or a password match no pattern.
 */
export class SourcePattern {
  /** `undefined` for every URL. */
  readonly #pattern: URLPattern | undefined;

  /**
   * Reads a pattern.
   *
   * @throws {SourcePatternError} If it is none, or looser than it looks.
   */
  constructor(text: string) {
    if (text === "*") return;
    let pattern: URLPattern;
    try {
      const colons = /:/g;
      pattern = new URLPattern(
        text.replace(IPV6_HOST, (host) => host.replace(colons, "\\:")),
      );
    } catch (cause) {
      throw new SourcePatternError(text, "or '*' for every URL", { cause });
    }
    const { protocol, username, password, hostname, port, search, hash } =
      pattern;
    const wanted = !PROTOCOL.test(protocol)
      ? "with 'http', 'https' or 'http{s}?'"
      : username !== "*" || password !== "*"
      ? "without a user name and a password"
      : !HOST.test(hostname)
      ? "with a host, '*.' and a host, or '*'"
      : !PORT.test(port)
      ? "with a port of digits, or '*'"
      : search !== "*" || hash !== "*"
      ? "without a query and a fragment, as every query is allowed"
      : undefined;
    if (wanted !== undefined) throw new SourcePatternError(text, wanted);
    this.#pattern = pattern;
  }

  /** Whether it matches a URL. */
  matches({ href, protocol, username, password, pathname }: URL): boolean {
    return (protocol === "https:" || protocol === "http:") &&
      username === "" && password === "" && !isMisleadingPath(pathname) &&
      (this.#pattern?.test(href) ?? true);
  }
}

/** Accepts the text of a {@linkcode SourcePattern}. */
export const sourcePattern: z.ZodType<string, string> = z.string()
  .superRefine((text, context) => {
    try {
      new SourcePattern(text);
    } catch (error) {
      const message = messageOf(error);
      context.addIssue({ code: "custom", message });
    }
  });
