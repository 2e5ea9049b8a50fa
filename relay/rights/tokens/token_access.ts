import type { Access, Right } from "../access.ts";
import type { Claims } from "./claims.ts";
import { Pattern } from "./pattern.ts";

/** The rights of a token. */
export class TokenAccess implements Access {
  readonly identity: string;
  readonly subject: string | undefined;
  readonly expires: number;
  readonly isAdmin: boolean;
  readonly mayLink: boolean;
  readonly #patterns: Readonly<Record<Right, readonly Pattern[]>>;
  readonly #provider: readonly Pattern[] | undefined;

  /**
   * Reads what a token says.
   *
   * @param claims Its claims.
   * @param identity Names who holds it.
   * @param expires Until when it holds, in milliseconds since the epoch.
   */
  constructor({ sub, rivulet }: Claims, identity: string, expires: number) {
    this.identity = identity;
    this.subject = sub;
    this.expires = expires;
    this.isAdmin = rivulet.admin;
    this.mayLink = rivulet.admin || rivulet.link;
    const { read, write, cancel, send } = rivulet;
    this.#patterns = {
      read: read.map((text) => new Pattern(text)),
      write: write.map((text) => new Pattern(text)),
      cancel: cancel.map((text) => new Pattern(text)),
      // A right to write a topic includes every way to fill it.
      send: [...send, ...write].map((text) => new Pattern(text)),
    };
    this.#provider = rivulet.provider?.map((text) => new Pattern(text));
  }

  /** Whether a pattern of the right is one of the topic. */
  may(right: Right, topic: string): boolean {
    return this.isAdmin ||
      this.#patterns[right].some((pattern) => pattern.matches(topic));
  }

  /** Returns whether a pattern of `rivulet.provider` is one of the request. */
  mayAsk(request: string): boolean | undefined {
    return this.isAdmin ||
      this.#provider?.some((pattern) => pattern.matches(request));
  }
}
