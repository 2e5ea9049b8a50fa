/**
 * Leaves out of a URL what may be a token (`access_token`), for logs and for
 * those to whom it is passed on. All else stays as it is written.
 *
 * @param url A URL, or the end of one that begins with its path.
 */
export function withoutToken(url: string): string {
  const hash = url.indexOf("#");
  const end = hash < 0 ? url.length : hash;
  const start = url.slice(0, end).indexOf("?");
  if (start < 0) return url;
  const query = url.slice(start + 1, end);
  const kept = query.split("&").filter((part) => !isToken(part));
  const rest = kept.length > 0 ? `?${kept.join("&")}` : "";
  return `${url.slice(0, start)}${rest}${url.slice(end)}`;
}

/** In whatever way it is written: `access%5Ftoken` is the same name. */
function isToken(part: string): boolean {
  const [name = ""] = new URLSearchParams(part).keys();
  return name.toLowerCase() === "access_token";
}
