// This module is browser compatible.
import type {
  HostileAnswer,
  HostileFault,
  HostilePlan,
  HostilePoint,
} from "./plan.ts";
import { checkedPlan } from "./plan.ts";
import { HostilePlanError } from "./plan_error.ts";

/**
 * Each part of a plan, by its name in the text. A part that returns an object
 * without the types of a plan is checked with the whole.
 */
type Part = (value: string, name: string) => Record<string, unknown>;

const NAMES_AND_VALUES = "NAME=VALUE, or NAME, with ';' between them";

function number(value: string, name: string): number {
  const result = Number(value);
  if (/^[0-9]/.test(value) && Number.isFinite(result)) return result;
  throw new HostilePlanError(
    `Cannot read the plan as '${name}' must be a number: current value is '${value}'`,
  );
}

function decoded(value: string, name: string): string {
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw new HostilePlanError(
      `Cannot read the plan as '${name}' must be text as encodeURIComponent() writes it: current value is '${value}'`,
      { cause },
    );
  }
}

const numeric: Part = (value, name) => ({ [name]: number(value, name) });
const word: Part = (value, name) => ({ [name]: value });
const answerOfKind: Part = (_value, kind) => ({ answer: { kind } });
const sequenceAt: Part = (value, kind) => ({
  sequence: { kind, event: number(value, kind) },
});
const faultOfKind: Part = (_value, kind) => ({ fault: { kind } });
const pointAt: Part = (value, name) => ({
  fault: { at: { [name]: number(value, name) } },
});

/** The parts that are a name and a value. */
const VALUED: Record<string, Part> = {
  deltas: (value, name) => ({
    answer: { kind: "run", deltas: number(value, name) },
  }),
  recording: (value, name) => ({
    answer: { kind: "recording", name: decoded(value, name) },
  }),
  body: (value, name) => ({
    answer: { kind: "body", text: decoded(value, name) },
  }),
  status: (value, name) => ({
    answer: { kind: "status", status: number(value, name) },
  }),
  "retry-after": (value, name) => ({
    answer: { retryAfter: { seconds: number(value, name) } },
  }),
  "retry-after-date": (value, name) => ({
    answer: { retryAfter: { date: number(value, name) } },
  }),
  "retry-after-ms": (value, name) => ({
    answer: { retryAfter: { milliseconds: number(value, name) } },
  }),
  delay: numeric,
  pace: numeric,
  chunk: (value, name) => ({
    chunk: value === "event" || value === "whole"
      ? value
      : value.split(",").map((size) => number(size.trim(), name)),
  }),
  lines: word,
  comments: numeric,
  pings: numeric,
  duplicate: sequenceAt,
  missing: sequenceAt,
  reordered: sequenceAt,
  at: (value) => ({ fault: { at: value } }),
  after: pointAt,
  within: pointAt,
  silence: (value, name) => ({ fault: { silence: number(value, name) } }),
};

/** The parts that are a name alone. */
const ALONE: Record<string, Part> = {
  run: answerOfKind,
  json: answerOfKind,
  html: answerOfKind,
  empty: answerOfKind,
  bom: () => ({ bom: true }),
  unnumbered: () => ({ sequence: { kind: "unnumbered" } }),
  stall: faultOfKind,
  reset: faultOfKind,
  cut: faultOfKind,
  truncate: faultOfKind,
  error: faultOfKind,
  hold: () => ({ fault: { kind: "stall", at: "end" } }),
};

/** Adds a part to what there is: parts of one answer or fault come one by one. */
function add(
  whole: Record<string, unknown>,
  part: Record<string, unknown>,
  name: string,
): void {
  for (const [key, value] of Object.entries(part)) {
    const there = whole[key];
    if (there === undefined) whole[key] = value;
    else if (isRecord(there) && isRecord(value)) add(there, value, name);
    else if (there !== value || key !== "kind") {
      throw new HostilePlanError(
        `Cannot read the plan as '${name}' does not go with what is before it: leave out one of them`,
      );
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The point at which each fault happens if the text does not say. */
const FAULT_AT = {
  stall: "request",
  reset: "request",
  cut: "request",
  truncate: "head",
  error: "head",
} as const;

function isFaultKind(kind: unknown): kind is keyof typeof FAULT_AT {
  return typeof kind === "string" && Object.hasOwn(FAULT_AT, kind);
}

/**
 * Reads a plan from the text of a `Hostile` header, or of the command line.
 *
 * The text is made of parts with `;` between them, in any order; none at all is a
 * good answer, at once:
 *
 * - What the answer is: `deltas=N`, `recording=NAME`, `body=TEXT` as
 *   `encodeURIComponent` writes it, `json`, `html`, `empty`, or `status=N`, with
 *   `retry-after=SECONDS`, `retry-after-date=SECONDS` from now, or
 *   `retry-after-ms=N`.
 * - How it is sent: `delay=MS` before the head, `pace=MS` between events,
 *   `chunk=event`, `chunk=whole`, `chunk=BYTES` or several, as in `chunk=1,7`.
 * - How it is written: `lines=crlf` or `lines=cr`, `bom`, `comments=N` and
 *   `pings=N` before every Nth event.
 * - The order of events: `duplicate=N`, `missing=N` or `reordered=N` for the Nth,
 *   `unnumbered`.
 * - What goes wrong: `stall`, `reset`, `cut`, `truncate` or `error`; where:
 *   `at=request`, `at=head`, `at=end`, `after=N` or `within=N` events; and for
 *   how long nothing comes first: `silence=MS`. `hold` is `stall; at=end`.
 *   Where it is not said, the first three happen before the head, the others
 *   after it.
 *
 * @param text The text.
 * @returns The plan.
 * @throws {HostilePlanError} If that is no plan.
 *
 * @example What can be written
 * ```ts
 * import { parseHostilePlan } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseHostilePlan("pace=20; stall; after=3"), {
 *   pace: 20,
 *   fault: { kind: "stall", at: { after: 3 } },
 * });
 * assertEquals(parseHostilePlan("status=429; retry-after=2"), {
 *   answer: { kind: "status", status: 429, retryAfter: { seconds: 2 } },
 * });
 * ```
 */
export function parseHostilePlan(text: string): HostilePlan {
  const whole: Record<string, unknown> = {};
  for (const part of text.split(";")) {
    const trimmed = part.trim();
    if (trimmed === "") continue;
    const equals = trimmed.indexOf("=");
    const name = equals < 0 ? trimmed : trimmed.slice(0, equals).trim();
    const known = equals < 0 ? ALONE : VALUED;
    const read = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!read) {
      throw new HostilePlanError(
        `Cannot read the plan as '${trimmed}' is no part of one: expected ${NAMES_AND_VALUES}; alone: ${
          Object.keys(ALONE).join(", ")
        }; with a value: ${Object.keys(VALUED).join(", ")}`,
      );
    }
    add(whole, read(trimmed.slice(equals + 1).trim(), name), name);
  }
  const { fault } = whole;
  if (isRecord(fault) && isFaultKind(fault.kind)) {
    fault.at ??= FAULT_AT[fault.kind];
  }
  // The fields have been read; this checks that they make a plan.
  return checkedPlan(whole);
}

/**
 * Writes a plan as text, so that it can be asked for in a `Hostile` header.
 *
 * @param plan The plan.
 * @returns The text, in ASCII: {@linkcode parseHostilePlan} makes the plan of it.
 * @throws {HostilePlanError} If the plan says what cannot be.
 *
 * @example Ask for a fault
 * ```ts
 * import { formatHostilePlan } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const headers = {
 *   Hostile: formatHostilePlan({
 *     pace: 20,
 *     fault: { kind: "reset", at: { within: 3 } },
 *   }),
 * };
 * assertEquals(headers.Hostile, "pace=20; reset; within=3");
 * ```
 */
export function formatHostilePlan(plan: HostilePlan): string {
  const { answer, bom, sequence, fault, chunk, ...rest } = checkedPlan(plan);
  const parts: string[] = [];
  if (answer) parts.push(...partsOfAnswer(answer));
  for (const name of ["delay", "pace"] as const) {
    if (rest[name] !== undefined) parts.push(`${name}=${rest[name]}`);
  }
  if (chunk !== undefined) {
    parts.push(`chunk=${typeof chunk === "string" ? chunk : chunk.join(",")}`);
  }
  for (const name of ["lines", "comments", "pings"] as const) {
    if (rest[name] !== undefined) parts.push(`${name}=${rest[name]}`);
  }
  if (bom) parts.push("bom");
  if (sequence) {
    parts.push(
      sequence.kind === "unnumbered"
        ? sequence.kind
        : `${sequence.kind}=${sequence.event}`,
    );
  }
  if (fault) parts.push(...partsOfFault(fault));
  return parts.join("; ");
}

function partsOfAnswer(answer: HostileAnswer): string[] {
  switch (answer.kind) {
    case "run":
      return [
        answer.deltas === undefined ? "run" : `deltas=${answer.deltas}`,
      ];
    case "recording":
      return [`recording=${encodeURIComponent(answer.name)}`];
    case "body":
      return [`body=${encodeURIComponent(answer.text)}`];
    case "status": {
      const { status, retryAfter } = answer;
      const parts = [`status=${status}`];
      if (!retryAfter) return parts;
      if ("seconds" in retryAfter) {
        parts.push(`retry-after=${retryAfter.seconds}`);
      } else if ("date" in retryAfter) {
        parts.push(`retry-after-date=${retryAfter.date}`);
      } else parts.push(`retry-after-ms=${retryAfter.milliseconds}`);
      return parts;
    }
    default:
      return [answer.kind];
  }
}

function partsOfFault({ kind, at, silence }: HostileFault): string[] {
  return [
    kind,
    partOfPoint(at),
    ...silence === undefined ? [] : [`silence=${silence}`],
  ];
}

function partOfPoint(point: HostilePoint): string {
  if (typeof point === "string") return `at=${point}`;
  return "after" in point ? `after=${point.after}` : `within=${point.within}`;
}
