/**
 * The path of a file.
 *
 * @param url Its URL.
 */
export function fromUrl(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows"
    ? path.slice(1).replaceAll("/", "\\")
    : path;
}

/**
 * The URL of a file.
 *
 * @param path Its absolute path.
 */
export function toUrl(path: string): URL {
  const segments = path.replaceAll("\\", "/").split("/").filter(Boolean);
  return new URL(`file:///${segments.map(encodeURIComponent).join("/")}`);
}
