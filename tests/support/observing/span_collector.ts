/**
 * A collector of OpenTelemetry's traces, to which a process exports them.
 *
 * @module
 */
import { z } from "zod";
import { LIMIT, until } from "../within.ts";

const attributes = z.array(z.object({
  key: z.string(),
  value: z.looseObject({}).transform((value) => Object.values(value)[0]),
})).default([]).transform((list) =>
  Object.fromEntries(list.map(({ key, value }) => [key, value]))
);

const spanSchema = z.looseObject({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().default(""),
  name: z.string(),
  kind: z.int(),
  attributes,
  events: z.array(z.looseObject({ name: z.string(), attributes })).default([]),
  status: z.looseObject({ code: z.int().default(0) }),
});

const exported = z.looseObject({
  resourceSpans: z.array(z.looseObject({
    scopeSpans: z.array(z.looseObject({
      scope: z.looseObject({ name: z.string() }),
      spans: z.array(spanSchema),
    })),
  })),
});

/** A span as it was exported; numbers that are whole come as text. */
export interface CollectedSpan extends z.output<typeof spanSchema> {
  /** The maker: `rivulet`, or `deno` itself. */
  readonly scope: string;
}

/** Takes spans in. */
export class SpanCollector implements AsyncDisposable {
  /** The spans received. */
  readonly spans: CollectedSpan[] = [];
  /** The requests as they came, of traces and of all else. */
  readonly texts: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** Begins to listen. */
  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        const text = await request.text();
        this.texts.push(text);
        if (new URL(request.url).pathname === "/v1/traces") this.#take(text);
        return Response.json({});
      },
    );
  }

  /** The environment in which a process exports here. */
  get env(): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_BSP_SCHEDULE_DELAY: "50",
    };
  }

  /** Waits for a span, of the relay's unless it is said otherwise. */
  span(
    what: string,
    is: (span: CollectedSpan) => boolean,
    scope: "rivulet" | "deno" = "rivulet",
  ): Promise<CollectedSpan> {
    return until(
      () => this.spans.find((span) => span.scope === scope && is(span)),
      LIMIT,
      () => `the span of ${what}, among ${JSON.stringify(this.spans)}`,
    );
  }

  #take(text: string): void {
    const { resourceSpans } = exported.parse(JSON.parse(text));
    for (const { scopeSpans } of resourceSpans) {
      for (const { scope, spans } of scopeSpans) {
        this.spans.push(
          ...spans.map((span) => ({ ...span, scope: scope.name })),
        );
      }
    }
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
