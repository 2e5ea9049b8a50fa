/** A GET request, without its URL. */
export interface SourceRequest {
  /** Its headers. */
  readonly headers: Headers;
  /** Stops it, and the body of its answer. */
  readonly signal: AbortSignal;
}

/** The way in which redirects are followed. */
export interface RedirectOptions {
  /** The most redirects. */
  readonly maxRedirects: number;
  /** Asks once. */
  ask(url: URL, request: SourceRequest): Promise<Response>;
  /** Refuses a redirect by throwing. Default: every one is followed. */
  check?(next: URL, from: URL): void;
}

/** They mean the same for a GET. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** The headers that another origin is sent too; the others may be secrets of the first origin. */
const SHARED_HEADERS: readonly string[] = [
  "accept",
  "cache-control",
  "last-event-id",
];

function shared(headers: Headers): Headers {
  const left = new Headers();
  for (const name of SHARED_HEADERS) {
    const value = headers.get(name);
    if (value !== null) left.set(name, value);
  }
  return left;
}

/**
 * Asks by GET, and wherever the answers redirect to. Another origin is not told the
 * headers of the first one.
 *
 * @returns The first answer that is no redirect.
 * @throws {TypeError} If there are too many redirects, or one is no URL.
 */
export async function followRedirects(
  first: URL,
  request: SourceRequest,
  { maxRedirects, ask, check }: RedirectOptions,
): Promise<Response> {
  const { signal } = request;
  let { headers } = request;
  let url = first;
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const response = await ask(url, { headers, signal });
    const location = response.headers.get("location");
    if (location === null || !REDIRECTS.has(response.status)) return response;
    await response.body?.cancel();
    const next = URL.parse(location, url.href);
    if (!next) throw new TypeError("it redirects to what is no URL");
    check?.(next, url);
    if (next.origin !== url.origin) headers = shared(headers);
    url = next;
  }
  throw new TypeError(`it redirects more than ${maxRedirects} times`);
}
