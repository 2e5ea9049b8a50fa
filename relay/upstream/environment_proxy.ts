import { isIP } from "node:net";
import process from "node:process";
import ipaddr from "ipaddr.js";
import { isGranted } from "../runtime.ts";

/** Returns the value of an environment variable, if there is one that may be read. */
export type ReadVariable = (name: string) => string | undefined;

function readVariable(name: string): string | undefined {
  return isGranted({ name: "env", variable: name })
    ? process.env[name]
    : undefined;
}

/**
 * Returns what reads each variable of the process once: to ask whether it may be read
 * takes longer than all else that is done for a proxy.
 */
export function rememberVariables(): ReadVariable {
  const known = new Map<string, string | undefined>();
  return (name) => {
    if (!known.has(name)) known.set(name, readVariable(name));
    return known.get(name);
  };
}

/**
 * Returns the proxy through which a URL is reached: that of `HTTPS_PROXY` or
 * `HTTP_PROXY`, or else of `ALL_PROXY`, unless `NO_PROXY` names the host.
 *
 * @param url The URL.
 * @param read Reads a variable. Default: the process's own, as far as it may.
 * @throws {TypeError} If the variable has no URL of a proxy that can be used.
 */
export function environmentProxy(
  url: URL,
  read: ReadVariable = readVariable,
): URL | undefined {
  const value = (name: string): string =>
    (read(name.toLowerCase()) ?? read(name) ?? "").trim();
  const name = [
    url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY",
    "ALL_PROXY",
  ].find((name) => value(name) !== "");
  if (name === undefined || isExcepted(url, value("NO_PROXY"))) {
    return undefined;
  }
  const text = value(name);
  const proxy = URL.parse(text.includes("://") ? text : `http://${text}`);
  // The value may have a password in it.
  if (!proxy) throw new TypeError(`${name} is no URL`);
  const isUsable = proxy.protocol === "http:" ||
    proxy.protocol === "https:" && url.protocol === "http:";
  if (!isUsable) {
    throw new TypeError(
      `Expected a proxy of http in ${name}: got one of ${
        proxy.protocol.slice(0, -1)
      }`,
    );
  }
  return proxy;
}

/** Whether a list names the host of a URL: by its name, a domain, an address or a range of them. */
function isExcepted({ hostname, port, protocol }: URL, list: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "");
  const ownPort = port || (protocol === "https:" ? "443" : "80");
  return list.split(",").some((entry) => {
    const name = entry.trim().toLowerCase().replace(/^\*?\./, "");
    if (name === "*") return true;
    if (name === "") return false;
    if (isIP(host) !== 0 && name.includes("/")) return isWithin(host, name);
    return host === name.replace(/^\[|\]$/g, "") ||
      isIP(host) === 0 && host.endsWith(`.${name}`) ||
      `${hostname}:${ownPort}` === name;
  });
}

function isWithin(address: string, range: string): boolean {
  if (!ipaddr.isValidCIDR(range)) return false;
  const parsed = ipaddr.parse(address);
  const [start, bits] = ipaddr.parseCIDR(range);
  return parsed.kind() === start.kind() && parsed.match(start, bits);
}

/** Returns the `Proxy-Authorization` for the user of a proxy's URL, if it has one. */
export function proxyAuthorization(
  { username, password }: URL,
): string | undefined {
  if (username === "" && password === "") return undefined;
  const text = [username, password].map(decodeURIComponent).join(":");
  return `Basic ${
    btoa(String.fromCharCode(...new TextEncoder().encode(text)))
  }`;
}
