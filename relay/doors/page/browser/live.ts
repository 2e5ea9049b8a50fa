import { ask, Refusal } from "./access.ts";
import { announce, button, h, say } from "./dom.ts";
import { duration } from "./words.ts";

/** A connection on which nothing comes for this long is made anew, in milliseconds. */
const SILENCE = 60_000;

/** The bounds of the time between attempts, in milliseconds. */
const MIN_WAIT = 500;
const MAX_WAIT = 10_000;

/** The line in which the page says how it reaches the relay. */
const line = document.querySelector("#link")!; // page.html has it
let tryNow = (): void => {};
let tryAt = 0;

/** Shows how the page reaches the relay, or why it does not. */
export function showLink(kind: "connecting" | "live" | "away", why = ""): void {
  if (line.className === kind && kind !== "away") return;
  if (line.className === "away" && kind === "live") announce("Live again");
  line.className = kind;
  if (kind !== "away") {
    return say(line, kind === "live" ? "● Live" : "○ Connecting");
  }
  line.replaceChildren(
    `⚠ ${why} `,
    // Not announced: it would be read out each second.
    h("span", { "aria-hidden": "true" }),
    button("Try now", () => tryNow()),
  );
}

setInterval(() => {
  const left = line.querySelector("span");
  if (left) say(left, `again in ${duration(tryAt - Date.now())} `);
}, 250);

/** Waits: less if somebody presses "Try now" or the network comes back. */
function pause(time: number): Promise<unknown> {
  return new Promise<unknown>((resolve) => {
    setTimeout(resolve, time);
    tryNow = () => resolve(0);
    addEventListener("online", resolve, { once: true });
  });
}

/**
 * Does something again and again while somebody looks, and waits longer after each
 * failure. A hidden page holds no connection: browsers open six to a host in all.
 *
 * @param round Does it. Returns how long to wait until the next time, or nothing if the
 * relay has ended it.
 * @param isQuiet Whether another one shows how the relay is reached.
 * @returns Rejects with the refusal that no other attempt would change.
 */
export async function keep(
  signal: AbortSignal,
  round: (controller: AbortController) => Promise<number | undefined>,
  isQuiet = false,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    if (document.hidden) {
      await new Promise((resolve) =>
        document.addEventListener("visibilitychange", resolve, { once: true })
      );
      continue;
    }
    const inner = new AbortController();
    const stop = (): void => {
      if (document.hidden || signal.aborted) inner.abort();
    };
    document.addEventListener("visibilitychange", stop, {
      signal: inner.signal,
    });
    signal.addEventListener("abort", stop, { signal: inner.signal });
    const start = Date.now();
    let wait: number | undefined;
    let why = "The connection was closed";
    try {
      wait = await round(inner);
      if (wait !== undefined) {
        failures = 0;
        if (!isQuiet) showLink("live");
        await pause(wait);
        continue;
      }
    } catch (error) {
      why = "The relay cannot be reached";
      if (error instanceof Refusal) {
        if (error.status !== 429 && error.status < 500) throw error;
        why = error.code === "draining"
          ? "The relay is shutting down"
          : error.message;
        wait = error.retryIn;
      }
    } finally {
      inner.abort();
    }
    if (document.hidden || signal.aborted) continue;
    if (Date.now() - start > MAX_WAIT) failures = 0;
    wait ??= Math.min(MAX_WAIT, MIN_WAIT * 2 ** failures++) *
      (0.5 + Math.random() / 2);
    if (!isQuiet) {
      tryAt = Date.now() + wait;
      showLink("away", why);
    }
    await pause(wait);
  }
}

/**
 * Follows an event stream of the relay's own.
 *
 * @param onEvent Takes the data of each event.
 * @returns Rejects with the refusal that no other attempt would change.
 */
export function follow(
  path: string,
  signal: AbortSignal,
  onEvent: (name: string, data: string) => void,
): Promise<void> {
  return keep(signal, async (inner) => {
    const { body } = await ask(path, {
      headers: { Accept: "text/event-stream" },
      signal: inner.signal,
    });
    const reader = body!.pipeThrough(new TextDecoderStream()).getReader(); // a 200 has one
    let text = "";
    for (;;) {
      const silence = setTimeout(() => inner.abort(), SILENCE);
      const { value, done } = await reader.read();
      clearTimeout(silence);
      if (done) return;
      text += value;
      // The relay writes these streams in one form: a parser of all forms would be a
      // fifth of the page.
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const [, left] = /^retry: (\d+)/m.exec(block) ?? [];
        if (left) {
          throw new Refusal(503, { code: "draining" }, Number(left));
        }
        const [, name, data] = /^event: (.*)\ndata: (.*)/m.exec(block) ?? [];
        if (!name || !data) continue;
        showLink("live");
        onEvent(name, data);
      }
    }
  });
}
