// This module is browser compatible.
import type { Clock } from "../../fetch/clock.ts";
import { arrange } from "./arrange.ts";
import { Chunker } from "./chunker.ts";
import { HostileConnectionError } from "./connection_error.ts";
import type { HostileFault, HostilePlan } from "./plan.ts";
import type { Reply } from "./reply.ts";

/** The next step on a connection. */
export type Step =
  | { readonly kind: "send"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "wait"; readonly until: number }
  | { readonly kind: "stall" }
  | { readonly kind: "break"; readonly error: HostileConnectionError };

/** Yields the steps before the response headers. */
export function* headSteps(plan: HostilePlan, clock: Clock): Generator<Step> {
  const { delay, fault } = plan;
  if (delay) yield { kind: "wait", until: clock.now() + delay };
  if (fault?.at === "request") yield* faultSteps(fault, clock);
}

/**
 * Yields the steps after the response headers; the body ends with the steps.
 *
 * @param onEvent Is told of each event that was sent.
 */
export function* bodySteps(
  reply: Reply,
  plan: HostilePlan,
  clock: Clock,
  onEvent: () => void,
): Generator<Step> {
  const { pace = 0 } = plan;
  const start = clock.now();
  const chunker = new Chunker(plan.chunk);
  // A fault planned for the request has happened before the headers.
  let fault = plan.fault?.at === "request" ? undefined : plan.fault;
  let sent = 0;
  const send = function* (bytes: Uint8Array<ArrayBuffer>): Generator<Step> {
    for (const chunk of chunker.push(bytes)) {
      yield { kind: "send", bytes: chunk };
    }
  };
  const flush = function* (): Generator<Step> {
    for (const chunk of chunker.flush()) yield { kind: "send", bytes: chunk };
  };
  /** The fault happens here; returns whether the body ends with it. */
  const happen = function* (it: HostileFault): Generator<Step, boolean> {
    fault = undefined;
    yield* flush();
    yield* faultSteps(it, clock);
    if (it.kind === "error") {
      for (const { bytes } of reply.error(sent)) yield* send(bytes);
      yield* flush();
    }
    return it.kind !== "stall";
  };
  if (fault?.at === "head" && (yield* happen(fault))) return;
  for (const piece of arrange(reply.pieces, plan, reply.ping)) {
    const { bytes, isEvent, due = 0 } = piece;
    if (!isEvent) {
      yield* send(bytes);
      continue;
    }
    const until = Math.max(due, start + sent * pace);
    if (until > clock.now()) {
      yield* flush();
      yield { kind: "wait", until };
      if (reply.ended?.aborted) break;
    }
    if (isAt(fault, "within", sent + 1)) {
      const half = Math.max(1, bytes.length >> 1);
      yield* send(bytes.subarray(0, half));
      if (yield* happen(fault)) return;
      yield* send(bytes.subarray(half));
    } else yield* send(bytes);
    sent++;
    onEvent();
    if (isAt(fault, "after", sent) && (yield* happen(fault))) return;
  }
  if (fault && (yield* happen(fault))) return;
  yield* flush();
}

/** The silence, and what comes of it; not what an error writes. */
function* faultSteps(
  { kind, silence }: HostileFault,
  clock: Clock,
): Generator<Step> {
  if (silence !== undefined) {
    yield { kind: "wait", until: clock.now() + silence };
  } else if (kind === "stall") yield { kind };
  if (kind === "reset" || kind === "cut") {
    yield {
      kind: "break",
      error: new HostileConnectionError(`connection_${kind}`),
    };
  }
}

function isAt(
  fault: HostileFault | undefined,
  where: "after" | "within",
  event: number,
): fault is HostileFault {
  if (!fault || typeof fault.at === "string") return false;
  return where === "after"
    ? "after" in fault.at && fault.at.after === event
    : "within" in fault.at && fault.at.within === event;
}
