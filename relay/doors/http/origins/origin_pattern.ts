import { parseWebOrigin, type WebOrigin } from "./web_origin.ts";

/** The origins that an entry of the operator's list means. */
export type OriginPattern =
  | { readonly kind: "any" }
  /** Pages without an origin: of files, and in sandboxes. */
  | { readonly kind: "null" }
  | { readonly kind: "exact"; readonly origin: WebOrigin }
  /** All below a domain, and not itself. */
  | { readonly kind: "below"; readonly domain: WebOrigin };

/** An entry that means no origin. */
export class OriginPatternError extends TypeError {
  /** The code of the error, for programs. */
  readonly code = "invalid_origin";

  /** Names the entry. */
  constructor(text: string) {
    super(
      `Expected an origin such as https://app.example.com, without a path, or https://*.example.com, 'null' or '*': got '${text}'`,
    );
    this.name = "OriginPatternError";
  }
}

const BELOW = /^(https?:\/\/)\*\.(.+)$/i;

/**
 * Reads an entry of the list of origins.
 *
 * @throws {OriginPatternError} If it means no origin.
 */
export function parseOriginPattern(text: string): OriginPattern {
  if (text === "*") return { kind: "any" };
  if (text === "null") return { kind: "null" };
  const [, scheme, name] = BELOW.exec(text) ?? [];
  if (scheme !== undefined) {
    const domain = parseWebOrigin(`${scheme}${name}`);
    if (domain && !domain.isAddress) return { kind: "below", domain };
  } else {
    const origin = parseWebOrigin(text);
    if (origin) return { kind: "exact", origin };
  }
  throw new OriginPatternError(text);
}
