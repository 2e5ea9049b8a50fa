/** Returns the value of an environment variable, if there is one that may be read. */
export type ReadVariable = (name: string) => string | undefined;

function readVariable(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/**
 * Whether `fetch` reaches a URL through a proxy that the environment names, in
 * `HTTPS_PROXY` or `HTTP_PROXY`, and `ALL_PROXY`.
 *
 * @param url The URL.
 * @param read Reads a variable. Default: the process's own, as far as it may.
 */
export function hasEnvironmentProxy(
  { protocol, hostname, port }: URL,
  read: ReadVariable = readVariable,
): boolean {
  const value = (name: string): string =>
    read(name.toLowerCase()) ?? read(name) ?? "";
  const scheme = protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  if (value(scheme) === "" && value("ALL_PROXY") === "") return false;
  return !value("NO_PROXY").split(",").some((entry) => {
    const name = entry.trim().toLowerCase().replace(/^\*?\./, "");
    if (name === "*") return true;
    return name !== "" &&
      (hostname === name || hostname.endsWith(`.${name}`) ||
        `${hostname}:${port}` === name);
  });
}
