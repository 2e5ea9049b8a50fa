import type { Description } from "./data.ts";
import { h } from "./dom.ts";
import {
  bytes,
  count,
  duration,
  endWords,
  moment,
  signOf,
  sourceWords,
  visible,
} from "./words.ts";

/** A gap that this page was told of. */
export interface SeenGap {
  readonly at: number;
  readonly words: string;
}

/** Says what has happened in a topic, in the order of time. */
export function timeline(
  topic: Description,
  gaps: readonly SeenGap[],
): HTMLElement {
  const { createdAt, firstEventAt, endedAt, end, run } = topic;
  const points: [number | undefined, string][] = [
    [run ? undefined : createdAt, "Made"],
    [run?.askedAt, `Asked${run?.model ? ` ${visible(run.model)}` : ""}`],
    ...(run?.retries ?? []).map(({ at, reason, status }): [number, string] => [
      at,
      `Asked again: ${status === undefined ? "" : `status ${status}, `}${
        visible(reason)
      }`,
    ]),
    [run ? undefined : firstEventAt, "First event"],
    [
      run?.firstTokenAfter === undefined
        ? undefined
        : run.askedAt + run.firstTokenAfter,
      "First token",
    ],
    ...gaps.map(({ at, words }): [number, string] => [at, words]),
    [endedAt, end ? `${signOf(end.status)} ${end.status}` : "Ended"],
  ];
  const known = points.flatMap(([at, words]) =>
    at === undefined ? [] : [{ at, words }]
  )
    .sort((a, b) => a.at - b.at);
  const start = known[0]?.at ?? 0;
  return h(
    "ol",
    ...known.map(({ at, words }, index) =>
      h(
        "li",
        h(
          "span",
          { class: "soft" },
          index === 0 ? moment(at) : `+${duration(at - start)}`,
        ),
        h("span", words),
      )
    ),
  );
}

/** The facts of a topic. */
export function factsOf(
  topic: Description,
): readonly (readonly [string, string | undefined])[] {
  const { run, first, next } = topic;
  const usage = run?.usage ?? {};
  return [
    ["Source", sourceWords(topic)],
    ["Model", run?.model && visible(run.model)],
    ["Status", run?.status?.toString()],
    ["Attempts", run && run.attempts > 1 ? String(run.attempts) : undefined],
    [
      "First token",
      run?.firstTokenAfter === undefined
        ? undefined
        : `after ${duration(run.firstTokenAfter)}`,
    ],
    ["Took", run?.duration === undefined ? undefined : duration(run.duration)],
    [
      "Tokens",
      run?.usage &&
      ["input", "cachedInput", "output", "reasoning", "total"]
        .filter((name) => usage[name] !== undefined)
        .map((name) =>
          `${count(usage[name] ?? 0)} ${
            name === "cachedInput" ? "cached" : name
          }`
        )
        .join(", "),
    ],
    ["Caller", run?.caller],
    ["Request", run?.requestId && visible(run.requestId)],
    ["Response", run?.responseId && visible(run.responseId)],
    ["Recording", run?.recording && visible(run.recording)],
    [
      "Events",
      `${count(next - 1)}${
        first !== undefined && first > 1 ? `, kept from ${first}` : ""
      }`,
    ],
    ["Size", topic.bytes === undefined ? undefined : bytes(topic.bytes)],
    [
      "Followers",
      `${count(topic.subscribers)}${
        topic.lag ? `, the slowest ${count(topic.lag)} behind` : ""
      }`,
    ],
    [
      "Created",
      topic.createdAt === undefined ? undefined : moment(topic.createdAt),
    ],
    [
      "Last event",
      topic.lastEventAt === undefined ? undefined : moment(topic.lastEventAt),
    ],
    ["Epoch", topic.epoch],
  ];
}

/** Says how a topic has ended. */
export function endView(topic: Description): HTMLElement | undefined {
  const { end } = topic;
  if (!end) return undefined;
  const [means, todo] = endWords(end);
  return h(
    "section",
    { class: `end ${end.status}` },
    h("h2", `${signOf(end.status)} ${end.status}`),
    h("p", means),
    end.reason && h("p", { class: "reason" }, visible(end.reason)),
    todo && h("p", { class: "soft" }, todo),
  );
}
