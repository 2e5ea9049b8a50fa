import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { HeaderList } from "../header_list.ts";
import {
  endSpan,
  isTracing,
  NO_SPAN,
  serverAttributes,
  type TracedEnd,
  TRACER,
} from "./span.ts";

/** A request to a provider that is traced. */
export interface TracedRequest {
  /** The peer that receives it. */
  readonly peer: "provider" | "application";
  /** The name of the provider, or of the application's chat. */
  readonly provider: string;
  /** The URL. */
  readonly url: URL;
  /** The path below the provider's URL, without query: `responses`. */
  readonly path: string;
  /** The method. */
  readonly method: string;
  /** The headers, with those of the caller's own trace. */
  readonly headers: HeaderList;
  /** The facts of the body. */
  readonly content: {
    /** Returns the name of the model, if the body has one. */
    model(): string | undefined;
  } | undefined;
}

/** The operations that OpenTelemetry has a name for. */
const OPERATIONS: Readonly<Record<string, string>> = {
  "chat/completions": "chat",
  completions: "text_completion",
  embeddings: "embeddings",
  messages: "chat",
  responses: "chat",
};

/** The providers that have another name in OpenTelemetry. */
const PROVIDERS: Readonly<Record<string, string>> = {
  gemini: "gcp.gemini",
  mistral: "mistral_ai",
  xai: "x_ai",
};

const tracer = trace.getTracer(TRACER);

const CARRIER = {
  keys: (headers: HeaderList): string[] =>
    Array.from(headers, ([name]) => name),
  get: (headers: HeaderList, name: string): string | undefined =>
    headers.get(name) ?? undefined,
};

function own(names: Readonly<Record<string, string>>, name: string) {
  return Object.hasOwn(names, name) ? names[name] : undefined;
}

/**
 * The span of a run, named as OpenTelemetry names calls of language models, in
 * the trace of the run's caller. It costs nothing if tracing is off. It never holds
 * a secret, nor the content of the request or its answer.
 */
export class RunTrace {
  readonly #span: Span = NO_SPAN;
  readonly #context: Context = ROOT_CONTEXT;
  #end: TracedEnd | undefined;

  /** Begins the span. */
  constructor(
    { peer, provider, url, path, method, headers, content }: TracedRequest,
  ) {
    if (!isTracing()) return;
    const parent = propagation.extract(ROOT_CONTEXT, headers, CARRIER);
    const operation = method === "POST" ? own(OPERATIONS, path) : undefined;
    const isTurn = peer === "application";
    this.#span = tracer.startSpan(
      isTurn ? "chat turn" : operation ?? `${method} /v1/*`,
      {
        kind: SpanKind.CLIENT,
        attributes: {
          ...(isTurn ? { "rivulet.chat": provider } : {
            "gen_ai.provider.name": own(PROVIDERS, provider) ?? provider,
          }),
          "http.request.method": method,
          ...(operation && { "gen_ai.operation.name": operation }),
          ...serverAttributes(url),
        },
      },
      parent,
    );
    this.#context = trace.setSpan(parent, this.#span);
    if (!this.#span.isRecording()) return;
    const model = operation && content?.model();
    if (!model) return;
    this.#span.updateName(`${operation} ${model}`);
    this.#span.setAttribute("gen_ai.request.model", model);
  }

  /** Makes a request, whose own span becomes a child of this one. */
  within<Made>(make: () => Made): Made {
    return context.with(this.#context, make);
  }

  /** Returns headers without those that a request in {@linkcode within} sets anew. */
  headers(headers: HeaderList): HeaderList {
    const fields = propagation.fields();
    if (fields.length === 0) return headers; // tracing is off
    const left = new HeaderList(headers);
    for (const name of fields) left.delete(name.toLowerCase());
    return left;
  }

  /** Records that the provider has answered. */
  answered(status: number): void {
    this.#span.setAttribute("http.response.status_code", status);
  }

  /** Records that the answer is an event stream. */
  streaming(topic: string): void {
    this.#span.setAttribute("rivulet.topic", topic);
    this.#span.addEvent("rivulet.streaming");
  }

  /**
   * Records that the provider is asked again.
   *
   * @param attempt The number of the attempt, from 1.
   * @param delay The time until the attempt, in milliseconds.
   */
  retrying(attempt: number, delay: number): void {
    this.#span.addEvent("rivulet.retrying", {
      "rivulet.attempt": attempt,
      "rivulet.delay_ms": Math.ceil(delay),
    });
  }

  /** Records how the run ends. The first call counts. */
  verdict(end: TracedEnd): void {
    this.#end ??= end;
  }

  /**
   * Ends the span.
   *
   * @param events The number of events.
   * @param responseId The id that the provider gave its response.
   */
  end(events: number, responseId: string | undefined): void {
    const attributes: Attributes = { "rivulet.events": events };
    if (responseId) attributes["gen_ai.response.id"] = responseId;
    endSpan(this.#span, this.#end ?? {}, attributes);
  }
}
