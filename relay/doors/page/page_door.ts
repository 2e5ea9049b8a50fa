import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { STATUS_CODE } from "@std/http/status";
import { HTML, ICON, SCRIPT, STYLE } from "./files.ts";

/** A file of the page. */
interface PageFile {
  readonly type: string;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * The policy of the page: it may run its own script, use its own style, and
 * connect to its own relay. Text of an upstream can therefore neither run nor
 * load anything, and no other site can frame the page and have its user press a
 * button of it.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const FILES: Readonly<Record<string, PageFile>> = {
  "/": {
    type: "text/html; charset=utf-8",
    text: HTML,
    headers: {
      "Content-Security-Policy": POLICY,
      "Cross-Origin-Opener-Policy": "same-origin",
      "Referrer-Policy": "no-referrer",
    },
  },
  "/page/script.js": { type: "text/javascript; charset=utf-8", text: SCRIPT },
  "/page/style.css": { type: "text/css; charset=utf-8", text: STYLE },
  "/page/icon.svg": { type: "image/svg+xml", text: ICON },
};

/** The paths of the page's files. The page names the others by URLs that are relative. */
export const PAGE_PATHS: readonly string[] = Object.keys(FILES);

/** A file as it is sent. */
interface Prepared {
  readonly etag: string;
  readonly gzipped: Uint8Array<ArrayBuffer>;
}

const prepared = new Map<string, Prepared>();

/** Compresses a file when it is first asked for: most relays are never looked at. */
function prepare(path: string, { text }: PageFile): Prepared {
  let known = prepared.get(path);
  if (!known) {
    const hash = createHash("sha256").update(text).digest("base64url");
    known = {
      etag: `W/"${hash.slice(0, 16)}"`,
      gzipped: new Uint8Array(gzipSync(text, { level: 9 })),
    };
    prepared.set(path, known);
  }
  return known;
}

const TAKES_GZIP = /(?:^|[\s,])gzip(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i;

/**
 * Answers with a file of the page. There is nothing of the relay in it: the page asks
 * for all that it shows, with the token of its user.
 *
 * @param path One of {@linkcode PAGE_PATHS}.
 * @param headers Those of the request.
 */
export function pageResponse(path: string, headers: Headers): Response {
  const file = FILES[path];
  if (!file) throw new RangeError(`The page has no file ${path}`);
  const { etag, gzipped } = prepare(path, file);
  const common = {
    "Cache-Control": "no-cache",
    "ETag": etag,
    "Vary": "Accept-Encoding",
  };
  if (headers.get("if-none-match")?.includes(etag)) {
    return new Response(null, {
      status: STATUS_CODE.NotModified,
      headers: common,
    });
  }
  const isGzipped = TAKES_GZIP.test(headers.get("accept-encoding") ?? "");
  return new Response(isGzipped ? gzipped : file.text, {
    headers: {
      ...common,
      ...file.headers,
      "Content-Type": file.type,
      "Cross-Origin-Resource-Policy": "same-origin",
      "X-Content-Type-Options": "nosniff",
      ...isGzipped ? { "Content-Encoding": "gzip" } : {},
    },
  });
}
