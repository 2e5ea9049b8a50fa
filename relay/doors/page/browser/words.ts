import type { Description, End, Upstream } from "./data.ts";

const NUMBER = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", {
  notation: "compact",
  maximumFractionDigits: 1,
});

/**
 * Characters that move or hide other text: controls, and those that override
 * the direction of text.
 */
const INVISIBLE =
  // deno-lint-ignore no-control-regex
  /[\0-\x08\x0B-\x1F\x7F-\x9F\u202A-\u202E\uFEFF\uFFF9-\uFFFB]|\p{Cs}/gu;

/** Writes a text of somebody else's so that nothing in it is hidden. */
export function visible(text: string): string {
  return text.replace(
    INVISIBLE,
    (char) =>
      `⟨${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`, // a match is not empty
  );
}

/** A number: whole, or short where it is long. */
export function count(value: number): string {
  return value < 100_000 ? NUMBER.format(value) : SHORT.format(value);
}

/** A number of events in a second. */
export function rate(value: number | undefined): string {
  if (value === undefined) return "–";
  return value > 0 && value < 10 ? value.toFixed(1) : count(Math.round(value));
}

/** A number of bytes. */
export function bytes(value: number): string {
  let unit = 0;
  for (; value >= 1_000 && unit < 4; unit++) value /= 1_000;
  const digits = value < 10 && unit > 0 ? 1 : 0;
  return `${value.toFixed(digits)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

/** A time between two moments, in milliseconds. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 120) return `${Math.floor(minutes)} min`;
  const hours = minutes / 60;
  return hours < 48
    ? `${Math.floor(hours)} h`
    : `${Math.floor(hours / 24)} days`;
}

/** A moment. */
export function moment(time: number): string {
  const date = new Date(time);
  const day = date.toDateString() === new Date().toDateString()
    ? ""
    : `${date.toLocaleDateString()} `;
  return day + date.toLocaleTimeString("en", { hour12: false });
}

/** The sign and the word of each state: colour is never alone. */
const STATES: Readonly<Record<string, string>> = {
  pending: "○",
  open: "●",
  complete: "✓",
  failed: "✕",
  truncated: "⚠",
  cancelled: "■",
  expired: "⊘",
};

/** The state of a topic in one word: how it has ended, if it has. */
export function stateOf({ state, end }: Description): string {
  return end?.status ?? state;
}

/** The sign of a state. */
export function signOf(state: string): string {
  return STATES[state] ?? "?";
}

/** The meaning of each end, and the advice for it. */
const ENDS: Readonly<Record<string, readonly [string, string]>> = {
  complete: ["The source said that it was done: the stream is whole.", ""],
  failed: [
    "The source reported an error, or could not be reached.",
    "Read the reason, and ask again once it is mended.",
  ],
  truncated: [
    "The connection to the source broke before the source said that it was done.",
    "Do not take this for a whole answer: ask again.",
  ],
  cancelled: [
    "Somebody stopped or deleted this topic.",
    "If that was not meant, ask again.",
  ],
  expired: [
    "A client ended this topic as no longer needed.",
    "If you need it, ask again.",
  ],
};

/** Says what an end means, and what to do. */
export function endWords({ status, reason }: End): readonly [string, string] {
  const [means, todo] = ENDS[status] ?? ["This topic has ended.", ""];
  const isCut = status === "complete" && reason;
  return [isCut ? `${means} A limit cut it short.` : means, todo];
}

/** Says how what fills a topic is. */
export function upstreamWords(
  { state, status, attempt, retryIn }: Upstream,
): string {
  return [
    state === "retrying" ? "waiting to try again" : state,
    attempt !== undefined && `attempt ${attempt}`,
    status !== undefined && `status ${status}`,
    retryIn !== undefined && `in ${duration(retryIn)}`,
  ].filter(Boolean).join(", ");
}

/** Says what fills a topic. */
export function sourceWords({ filledBy, source }: Description): string {
  const { kind, provider, endpoint, chat, url, file } = filledBy ?? {};
  switch (kind) {
    case "run":
      return `${provider} ${endpoint}`;
    case "chat":
      return `chat ${chat}`;
    default:
      return visible(url ?? file ?? source ?? "publications");
  }
}

/** The reasons why events are missing. */
const GAPS: Readonly<Record<string, string>> = {
  evicted: "the relay no longer keeps them",
  epoch: "the topic has begun anew",
  slow: "this page read too slowly",
  skipped: "they were skipped",
};

/** Says what is missing. */
export function gapWords(
  { from, to, reason }: { from: number; to: number; reason: string },
): string {
  const why = GAPS[reason] ?? reason;
  return to < from
    ? `Events may be missing here: ${why}`
    : `${count(to - from + 1)} events are missing (${from} to ${to}): ${why}`;
}
