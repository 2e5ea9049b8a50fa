import {
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { endSpan, serverAttributes, TRACER } from "./span.ts";

/** The end of a connection. */
export interface ConnectionEnd {
  /** The status that was answered, where it was none of an event stream. */
  readonly status?: number | undefined;
  /** The error, of a small set of words; `undefined` if there is none. */
  readonly error?: string | undefined;
}

const tracer = trace.getTracer(TRACER);

/**
 * The span of an upstream, and one under it for each of its connections, which
 * are known as they end: the upstream itself may go on for weeks. It costs
 * nothing where nobody traces, and has nothing of the URL but the server's name.
 */
export class UpstreamTrace {
  readonly #span: Span;
  readonly #server: ReturnType<typeof serverAttributes>;
  #connection: Span | undefined;
  #connections = 0;
  #events = 0;
  /** Of these, the ones before the connection that there is. */
  #eventsBefore = 0;

  /** Begins. */
  constructor(topic: string, url: string | URL) {
    this.#server = serverAttributes(url);
    this.#span = tracer.startSpan("upstream", {
      attributes: { "rivulet.topic": topic, ...this.#server },
    }, ROOT_CONTEXT);
  }

  /** Makes a connection; a request's own span is under its span. */
  connect<Made>(make: () => Made): Made {
    this.disconnected({});
    this.#connections++;
    const parent = trace.setSpan(ROOT_CONTEXT, this.#span);
    this.#connection = tracer.startSpan("upstream connection", {
      kind: SpanKind.CLIENT,
      attributes: {
        "rivulet.connection": this.#connections,
        ...this.#server,
      },
    }, parent);
    return context.with(trace.setSpan(parent, this.#connection), make);
  }

  /** The connection has come about. */
  opened(): void {
    this.#connection?.addEvent("rivulet.open");
  }

  /** There are events. */
  received(count: number): void {
    this.#events += count;
  }

  /** The connection is over, or was never there. */
  disconnected({ status, error }: ConnectionEnd): void {
    if (!this.#connection) return;
    endSpan(this.#connection, { error }, {
      "rivulet.events": this.#events - this.#eventsBefore,
      ...(status !== undefined && { "http.response.status_code": status }),
    });
    this.#connection = undefined;
    this.#eventsBefore = this.#events;
  }

  /**
   * Ends.
   *
   * @param status The status of the topic's end, if it ended.
   * @param last The end of the last connection.
   */
  end(status: string | undefined, last: ConnectionEnd): void {
    this.disconnected(last);
    endSpan(this.#span, { status }, {
      "rivulet.connections": this.#connections,
      "rivulet.events": this.#events,
    });
  }
}
