import {
  type Attributes,
  INVALID_SPAN_CONTEXT,
  propagation,
  ProxyTracerProvider,
  type Span,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";

/** The name under which spans are made. */
export const TRACER = "rivulet";

/** The span of all that is not traced. */
export const NO_SPAN: Span = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);

/**
 * Whether spans are made, or contexts passed on. Where they are not, a span that goes
 * nowhere takes 4 µs of a short request all the same: its attributes, and its context.
 */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) ||
    provider.getDelegateTracer(TRACER) !== undefined ||
    propagation.fields().length > 0;
}

/** Names a server as OpenTelemetry does; of its URL nothing else, which may have a key in it. */
export function serverAttributes(url: string | URL): Attributes {
  const { hostname, port, protocol } = new URL(url);
  return {
    "server.address": hostname,
    "server.port": Number(port) || (protocol === "https:" ? 443 : 80),
  };
}

/** The end of something that was traced. */
export interface TracedEnd {
  /** The end status, as topics have it, if it ended. */
  readonly status?: string | undefined;
  /** The error, of a small set of words; `undefined` if there is none. */
  readonly error?: string | undefined;
}

/** The ends of a topic that are failures: who cancels a run has what was wanted. */
const FAILURES: ReadonlySet<string> = new Set(["failed", "truncated"]);

/**
 * Ends a span with a verdict. The words of a failure stay out of it, since a
 * provider may repeat what it was asked.
 *
 * @param span The span that ends.
 * @param end The end.
 * @param attributes The attributes known by now.
 */
export function endSpan(
  span: Span,
  { status, error }: TracedEnd,
  attributes: Attributes,
): void {
  if (!span.isRecording()) return span.end();
  const type = error ??
    (status !== undefined && FAILURES.has(status) ? status : undefined);
  span.setAttributes({
    ...attributes,
    ...(status !== undefined && { "rivulet.end.status": status }),
    ...(type !== undefined && { "error.type": type }),
  });
  if (type !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
