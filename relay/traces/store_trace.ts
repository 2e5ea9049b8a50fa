import { ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { TRACER } from "./span.ts";

/** A transaction of a store that took long. */
export interface SlowCommit {
  /** The duration, in milliseconds. */
  readonly duration: number;
  /** The number of operations. */
  readonly operations: number;
  /** The bytes of events. */
  readonly bytes: number;
}

const tracer = trace.getTracer(TRACER);

/**
 * Makes the span of a transaction that took long: one for each transaction would cost
 * more than it tells.
 *
 * @param commit The transaction.
 * @param end The time when it was committed, in milliseconds since the epoch.
 */
export function traceSlowCommit(
  { duration, operations, bytes }: SlowCommit,
  end: number,
): void {
  tracer.startSpan("store commit", {
    startTime: end - duration,
    attributes: {
      "rivulet.store.operations": operations,
      "rivulet.store.bytes": bytes,
    },
  }, ROOT_CONTEXT).end(end);
}
