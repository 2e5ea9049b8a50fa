/**
 * A real browser.
 *
 * @module
 */
import { type Browser, chromium } from "playwright-core";
import { isMissing } from "../tools.ts";
import { LIMIT } from "../within.ts";

const COMMAND = "chromium";

/** Whether tests that need it have to be ignored, which is said with how to get it. */
export function isChromiumMissing(): boolean {
  return isMissing(COMMAND, "On Debian: apt-get install chromium");
}

/** Returns the path of a command. */
function locate(command: string): string {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    try {
      if (Deno.statSync(`${folder}/${command}`).isFile) {
        return `${folder}/${command}`;
      }
    } catch {
      // not there
    }
  }
  throw new Error(`Cannot find ${command} on PATH`);
}

/**
 * Starts one.
 *
 * @param hosts Names that are to lead to this machine. Default: as ever.
 */
export async function startChromium(
  hosts: readonly string[] = [],
): Promise<Browser & AsyncDisposable> {
  const rules = hosts.map((host) => `MAP ${host} 127.0.0.1`).join(",");
  const browser = await chromium.launch({
    executablePath: locate(COMMAND),
    timeout: LIMIT,
    args: [
      // Containers that run as root have no sandbox; the pages are ours.
      "--no-sandbox",
      ...rules === "" ? [] : [`--host-resolver-rules=${rules}`],
    ],
  });
  // A browser has no default of its own for the time that its pages may take.
  const newContext = browser.newContext.bind(browser);
  browser.newContext = async (options) => {
    const context = await newContext(options);
    context.setDefaultTimeout(LIMIT);
    return context;
  };
  return browser;
}
