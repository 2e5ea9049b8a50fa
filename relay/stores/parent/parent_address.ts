import { LINK_PATH } from "../../links/wire.ts";

/**
 * The address of the relay that topics live in, as `--store http://...` gives
 * it.
 */
export interface ParentAddress {
  /** The address as it may be shown. */
  readonly text: string;
  /** The URL that `ws` connects to. */
  readonly url: string;
}

/** The form of such an address, in words for messages. */
export const PARENT_ADDRESS_FORM =
  "http://HOST[:PORT] or https://HOST[:PORT] of a relay with --links, or unix:PATH";

const UNIX = "unix:";

/** Whether a text means to be such an address. */
export function isParentAddress(text: string): boolean {
  return /^(https?|unix):/.test(text);
}

/**
 * Reads an address.
 *
 * @returns `undefined` if it is none. Nothing says why: it may have a password.
 */
export function parseParentAddress(text: string): ParentAddress | undefined {
  if (text.startsWith(UNIX)) {
    const path = text.slice(UNIX.length);
    // `ws` takes what follows a colon for the path of the request.
    if (path === "" || /[:?#]/.test(path)) return undefined;
    return { text, url: `ws+unix:${path}:${LINK_PATH}` };
  }
  const url = URL.parse(text);
  const isPlain = url?.username === "" && url.password === "" &&
    url.search === "" && url.hash === "" && url.pathname === "/";
  if (!url || !isPlain || !/^https?:$/.test(url.protocol)) return undefined;
  const { protocol, host } = url;
  const scheme = protocol === "https:" ? "wss" : "ws";
  return { text: url.origin, url: `${scheme}://${host}${LINK_PATH}` };
}
