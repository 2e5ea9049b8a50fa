/** The origin of a web page (RFC 6454), in its one normal form. */
export interface WebOrigin {
  /** Mostly `http` or `https`; an application's pages may have another. */
  readonly scheme: string;
  /** In lower case and ASCII, without a dot at the end. */
  readonly hostname: string;
  /** Empty for the scheme's own. */
  readonly port: string;
  /** Whether the host is an address, and no name. */
  readonly isAddress: boolean;
}

/** Nothing that a URL may have besides, nor what its parser would leave out or decode. */
const FORM = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@\\%*]+$/;

/** The schemes that no page is loaded from. */
const NO_PAGE = /^(?:ftp|file|wss?):/;

const ADDRESS = /^(?:\[.*\]|[0-9]+(?:\.[0-9]+){3})$/;

/**
 * Reads what a page's origin is written as: `https://app.example.com:8443`.
 *
 * @returns `undefined` for anything else, such as a URL with a path.
 */
export function parseWebOrigin(text: string): WebOrigin | undefined {
  const lower = text.toLowerCase();
  if (!FORM.test(lower) || NO_PAGE.test(lower) || !URL.canParse(lower)) {
    return undefined;
  }
  const url = new URL(lower);
  const hostname = url.hostname.replace(/\.$/, "");
  // No name has an empty label, and to compare the ends of such would mislead.
  if (hostname.split(".").includes("")) return undefined;
  return {
    scheme: url.protocol.slice(0, -1),
    hostname,
    port: url.port,
    isAddress: ADDRESS.test(hostname),
  };
}
