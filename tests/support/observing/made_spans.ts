/**
 * The spans that a relay of this process makes.
 *
 * @module
 */
import {
  type Attributes,
  type Span,
  type SpanOptions,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { NO_SPAN } from "../../../relay/traces/span.ts";

/** A span, as much of it as tests look at. */
export interface MadeSpan {
  readonly name: string;
  readonly start: SpanOptions["startTime"];
  readonly attributes: Attributes | undefined;
  /** The time that it was ended with, if it was. */
  end?: unknown;
  /** Whether it was ended. */
  isEnded: boolean;
}

/** The spans of the collector that is there now. */
let current: MadeSpan[] | undefined;

/**
 * The tracer of all collectors: a module of the relay keeps the first tracer that the
 * process gives it.
 */
const tracer = {
  startSpan(name: string, { startTime, attributes }: SpanOptions = {}): Span {
    if (!current) return NO_SPAN;
    const made: MadeSpan = {
      ...{ name, start: startTime, attributes },
      isEnded: false,
    };
    current.push(made);
    const span: Span = Object.assign(Object.create(NO_SPAN), {
      isRecording: () => !made.isEnded,
      end(time?: unknown): void {
        Object.assign(made, { end: time, isEnded: true });
      },
    });
    return span;
  },
} as Partial<Tracer> as Tracer; // the relay uses no more of it

/** Collects the spans that are made while it is there. */
export class MadeSpans implements Disposable {
  readonly #all: MadeSpan[] = [];

  /** Begins. */
  constructor() {
    current = this.#all;
    trace.setGlobalTracerProvider({ getTracer: () => tracer });
  }

  /** All of them, in the order in which they began. */
  get all(): readonly MadeSpan[] {
    return this.#all;
  }

  /** Those of a name. */
  named(name: string): readonly MadeSpan[] {
    return this.#all.filter((span) => span.name === name);
  }

  [Symbol.dispose](): void {
    current = undefined;
    trace.disable();
  }
}
