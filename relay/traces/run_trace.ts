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
import { z } from "zod";
import { endSpan, serverAttributes, type TracedEnd } from "./span.ts";

/** A request to a provider that is traced. */
export interface TracedRequest {
  /** What the provider is called here. */
  readonly provider: string;
  /** Where. */
  readonly url: string;
  /** The path below the provider's URL, without query: `responses`. */
  readonly path: string;
  /** The method. */
  readonly method: string;
  /** What the provider is told, with what the caller has said of its own trace. */
  readonly headers: Headers;
  /** What is sent; only bytes are looked at. */
  readonly body: unknown;
}

/** The operations that OpenTelemetry has a name for. */
const OPERATIONS: Readonly<Record<string, string>> = {
  "chat/completions": "chat",
  completions: "text_completion",
  embeddings: "embeddings",
  messages: "chat",
  responses: "chat",
};

/** The providers that OpenTelemetry calls otherwise. */
const PROVIDERS: Readonly<Record<string, string>> = {
  gemini: "gcp.gemini",
  mistral: "mistral_ai",
  xai: "x_ai",
};

const bodyWithModel = z.looseObject({ model: z.string().max(256) });

const tracer = trace.getTracer("rivulet");

const CARRIER = {
  keys: (headers: Headers): string[] => [...headers.keys()],
  get: (headers: Headers, name: string): string | undefined =>
    headers.get(name) ?? undefined,
};

function modelIn(body: unknown): string | undefined {
  if (!(body instanceof Uint8Array)) return undefined;
  try {
    return bodyWithModel.parse(JSON.parse(new TextDecoder().decode(body)))
      .model;
  } catch {
    return undefined; // the provider will say what is wrong with it
  }
}

function own(names: Readonly<Record<string, string>>, name: string) {
  return Object.hasOwn(names, name) ? names[name] : undefined;
}

/**
 * The span of a run, named as OpenTelemetry names calls of language models, in
 * the trace of its caller. It costs nothing where nobody traces, and never has
 * a secret in it, nor what was asked or answered.
 */
export class RunTrace {
  readonly #span: Span;
  readonly #context: Context;
  #end: TracedEnd | undefined;

  /** Begins. */
  constructor({ provider, url, path, method, headers, body }: TracedRequest) {
    const parent = propagation.extract(ROOT_CONTEXT, headers, CARRIER);
    const operation = method === "POST" ? own(OPERATIONS, path) : undefined;
    this.#span = tracer.startSpan(
      operation ?? `${method} /v1/*`,
      {
        kind: SpanKind.CLIENT,
        attributes: {
          "gen_ai.provider.name": own(PROVIDERS, provider) ?? provider,
          "http.request.method": method,
          ...(operation && { "gen_ai.operation.name": operation }),
          ...serverAttributes(url),
        },
      },
      parent,
    );
    this.#context = trace.setSpan(parent, this.#span);
    if (!this.#span.isRecording()) return;
    const model = operation && modelIn(body);
    if (!model) return;
    this.#span.updateName(`${operation} ${model}`);
    this.#span.setAttribute("gen_ai.request.model", model);
  }

  /** Makes a request whose own span is under this one. */
  within<Made>(make: () => Made): Made {
    return context.with(this.#context, make);
  }

  /** Leaves out what a request in {@linkcode within} says anew, which would be there twice. */
  headers(headers: Headers): Headers {
    const left = new Headers(headers);
    for (const name of propagation.fields()) left.delete(name);
    return left;
  }

  /** The provider has answered. */
  answered(status: number): void {
    this.#span.setAttribute("http.response.status_code", status);
  }

  /** What is answered is an event stream. */
  streaming(topic: string): void {
    this.#span.setAttribute("rivulet.topic", topic);
    this.#span.addEvent("rivulet.streaming");
  }

  /**
   * The provider is asked again.
   *
   * @param attempt Counted from 1.
   * @param delay When, in milliseconds.
   */
  retrying(attempt: number, delay: number): void {
    this.#span.addEvent("rivulet.retrying", {
      "rivulet.attempt": attempt,
      "rivulet.delay_ms": Math.ceil(delay),
    });
  }

  /** How it ends, which the first one says. */
  verdict(end: TracedEnd): void {
    this.#end ??= end;
  }

  /**
   * Ends.
   *
   * @param events How many events there were.
   * @param responseId What the provider calls its response.
   */
  end(events: number, responseId: string | undefined): void {
    const attributes: Attributes = { "rivulet.events": events };
    if (responseId) attributes["gen_ai.response.id"] = responseId;
    endSpan(this.#span, this.#end ?? {}, attributes);
  }
}
