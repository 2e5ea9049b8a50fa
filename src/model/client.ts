// This module is browser compatible.
import * as z from "zod";
import { type Clock, systemClock } from "../fetch/clock.ts";
import {
  type CompleteRetryPolicy,
  completeRetryPolicy,
  type RetryPolicy,
} from "../fetch/retry.ts";
import { readCount, readSetting } from "./environment.ts";
import { EnvironmentError } from "./errors/environment_errors.ts";
import { type Fixture, openFixture } from "./fixture.ts";
import { checkPendingCalls } from "./pending_calls.ts";
import { wireSchemaOf } from "./model_schema.ts";
import type { Prompt, Reasoning, StructuredPrompt } from "./prompt.ts";
import { checkPrompt } from "./prompt_check.ts";
import { checkProvider, type ModelProvider, providers } from "./provider.ts";
import { type Opened, Requester, type RequesterOptions } from "./requester.ts";
import {
  ResponseStream,
  type ResponseStreamOptions,
} from "./response_stream.ts";
import { StructuredStream } from "./structured_stream.ts";
import {
  DEEPSEEK_TRAITS,
  DEFAULT_TRAITS,
  type ServerTraits,
} from "./wires/server_traits.ts";
import { type Wire, wires } from "./wires/wire.ts";

/**
 * Options for {@linkcode ModelClient}.
 *
 * @example Patience
 * ```ts
 * import { type ModelClientOptions, providers } from "@rivulet/rivulet/model";
 *
 * const options: ModelClientOptions = {
 *   model: "gpt-5",
 *   provider: { ...providers.openai, requestMaxRetries: 8 },
 *   retry: { minTimeout: 1_000 },
 *   maxRetryAfter: 600_000,
 * };
 * ```
 */
export interface ModelClientOptions {
  /** The model, by the provider's name for it. */
  model: string;
  /** The provider of the model. */
  provider: ModelProvider;
  /**
   * The reasoning effort and summary to ask for. Models that do not reason
   * refuse it.
   *
   * @default what the provider thinks best
   */
  reasoning?: Reasoning | undefined;
  /**
   * Whether to yield the deltas of items, and not only whole items and the last
   * event.
   *
   * @default {true}
   */
  deltas?: boolean | undefined;
  /**
   * A file to stream from in place of the network; no key is needed. From
   * `RIVULET_SSE_FIXTURE`, if it is not given.
   */
  fixture?: string | Fixture | undefined;
  /**
   * Whether a stream that breaks off after its first event is asked for again from
   * the start, after a `reset` event: it is paid for twice.
   *
   * @default {false}
   */
  retryMidStream?: boolean | undefined;
  /**
   * The delays between requests. The delay before retry number n, from 0, is
   * `minTimeout * multiplier ** n`, varied by `jitter`, and at most
   * `maxTimeout`. No request is made after `maxElapsed`.
   *
   * @default {{ minTimeout: 200, multiplier: 2, maxTimeout: 30_000, jitter: 0.1 }}
   */
  retry?: Omit<RetryPolicy, "maxAttempts" | "maxRetryAfter"> | undefined;
  /**
   * The longest wait that a provider may ask for, in milliseconds: it is not asked
   * again if it wants more.
   *
   * @default {60_000}
   */
  maxRetryAfter?: number | undefined;
  /**
   * The time limit for the response headers, in milliseconds; 0 for no limit.
   *
   * @default the provider's `idleTimeout`
   */
  connectTimeout?: number | undefined;
  /**
   * The time limit between events, in milliseconds; 0 for no limit. Comments do
   * not reset it.
   *
   * @default the provider's `idleTimeout`
   */
  eventTimeout?: number | undefined;
  /**
   * The time to wait for usage after the end of a response, in milliseconds.
   * Applies to Chat only: a response of the Responses API ends with its last
   * event.
   *
   * @default {2_000}
   */
  drainTimeout?: number | undefined;
  /**
   * The most that one event may have, in UTF-16 code units: a larger one ends the
   * stream with the code `"invalid_stream"`.
   *
   * @default {16_777_216}
   */
  maxEventSize?: number | undefined;
  /**
   * The form in which a request's body is sent: `"whole"`, with its length, or `"stream"`, in
   * chunks. On Deno only a stream is sent once for certain; the other runtimes do not
   * repeat a request. A provider that refuses a body without a length is asked again
   * with the whole body, then and later, unless `"stream"` is given here.
   *
   * @default {"stream" on Deno, "whole" elsewhere}
   */
  sendBody?: "whole" | "stream" | undefined;
  /**
   * The function that makes the requests. Node's own gives up after 300 seconds without headers
   * or a byte, whatever `idleTimeout` says: give one with a `dispatcher` to wait for
   * longer, as `docs/model.md` shows.
   *
   * @default {globalThis.fetch}
   */
  fetch?:
    | ((
      input: string | URL | Request,
      init?: RequestInit,
    ) => Promise<Response>)
    | undefined;
  /**
   * The clock to use.
   *
   * @default {systemClock}
   */
  clock?: Clock | undefined;
  /**
   * Chance, from 0 to 1.
   *
   * @default {Math.random}
   */
  random?: (() => number) | undefined;
}

/**
 * Options for {@linkcode ModelClient.stream}: for one response, in place of the
 * client's.
 *
 * @example A topic of the relay's, a key that makes a repetition harmless, and a deadline
 * ```ts
 * import type { StreamOptions } from "@rivulet/rivulet/model";
 *
 * const options: StreamOptions = {
 *   headers: { "Rivulet-Topic": "chat-7", "Idempotency-Key": "chat-7/3" },
 *   timeout: 60_000,
 *   retries: 1,
 * };
 * ```
 */
export interface StreamOptions {
  /** Ends the request, a wait or the stream: it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** The model, by the provider's name for it. */
  model?: string | undefined;
  /** Headers that are sent along, over the provider's. */
  headers?: Readonly<Record<string, string>> | undefined;
  /**
   * The longest time of the whole response, in milliseconds, with the waits between
   * requests; 0 for no limit. After it, the stream rejects with a `DOMException` named
   * `"TimeoutError"`.
   *
   * @default {0}
   */
  timeout?: number | undefined;
  /**
   * The most times that a request is made again, for any reason.
   *
   * @default the provider's `requestMaxRetries` and `streamMaxRetries`
   */
  retries?: number | undefined;
  /** The model's effort in thinking, and the summary of it that is wanted. */
  reasoning?: Reasoning | undefined;
}

const REQUEST_MAX_RETRIES = 4;
const STREAM_MAX_RETRIES = 5;
const IDLE_TIMEOUT = 300_000;
const DRAIN_TIMEOUT = 2_000;

const RETRY = {
  minTimeout: 200,
  multiplier: 2,
  maxTimeout: 30_000,
  jitter: 0.1,
  maxRetryAfter: 60_000,
};

const aFunction = z.custom(
  (value) => typeof value === "function",
  "must be a function",
);

const timeout = z.number().nonnegative().or(z.literal(Infinity)).optional();

const model = z.string().min(1);

const reasoning = z.object({
  effort: z.string().optional(),
  summary: z.string().optional(),
}).optional();

const callSchema = z.object({
  signal: z.custom(
    (value) => value instanceof AbortSignal,
    "must be an AbortSignal",
  ).optional(),
  model: model.optional(),
  headers: z.record(z.string(), z.string()).optional(),
  timeout,
  retries: z.number().int().nonnegative().optional(),
  reasoning,
});

const schema = z.object({
  model,
  reasoning,
  deltas: z.boolean().optional(),
  fixture: z.union([
    z.string().min(1),
    z.object({
      path: z.string().min(1),
      pace: z.boolean().optional(),
      readTextFile: aFunction.optional(),
    }),
  ]).optional(),
  retryMidStream: z.boolean().optional(),
  // `completeRetryPolicy` checks the ranges.
  retry: z.record(
    z.string(),
    z.custom(
      (value) => value === undefined || typeof value === "number",
      "must be a number",
    ),
  ).optional(),
  maxRetryAfter: timeout,
  connectTimeout: timeout,
  eventTimeout: timeout,
  drainTimeout: timeout,
  maxEventSize: z.number().int().positive().optional(),
  sendBody: z.enum(["whole", "stream"]).optional(),
  fetch: aFunction.optional(),
  clock: z.object({ now: aFunction, setTimeout: aFunction }).optional(),
  random: aFunction.optional(),
});

/**
 * Asks one model of one provider, and streams what it answers.
 *
 * All wire APIs, Responses, Chat Completions and Messages, give the same events. Every
 * stream ends once, and says how: see {@linkcode ResponseStream}.
 *
 * A request is repeated if it is answered with 408, 409, 425, 429 or 5xx, if it
 * gets no answer, or if its stream breaks off before the first event. The delay
 * is the one that the provider asks for, or grows with each attempt. An error
 * that the provider says will come again (such as `insufficient_quota`) is not
 * retried. After the first event, nothing is requested again, with two
 * exceptions: `retryMidStream` allows it, or the prompt asks for a response in
 * the background, whose stream is continued where it broke off.
 *
 * @example Print an answer as it comes
 * ```ts
 * import { ModelClient, providers, user } from "@rivulet/rivulet/model";
 *
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: providers.openai,
 *   fixture: "fixtures/demo.sse", // leave it out to ask OpenAI
 * });
 * const prompt = { input: [user("What is a log?")] };
 * for await (const event of await client.stream(prompt)) {
 *   if (event.type === "output_text.delta") console.log(event.delta);
 * }
 * ```
 */
export class ModelClient {
  readonly #options: ModelClientOptions;
  readonly #policy: CompleteRetryPolicy;
  readonly #wire: Wire;
  /** The traits that the provider was seen to have, by the name of the model. */
  readonly #traits = new Map<string, ServerTraits>();
  /** As the options say, or as the provider wants it. */
  #sendBody: ModelClientOptions["sendBody"];

  /**
   * Makes a client. Nothing is asked for, or read from the environment, until a
   * response is.
   *
   * @param options The model, its provider, and how to go about it.
   * @throws {TypeError} If an option is missing, or not what it must be.
   * @throws {RangeError} If a number of `retry` is out of its range.
   */
  constructor(options: ModelClientOptions) {
    const issue = schema.safeParse(options).error?.issues[0];
    if (issue) {
      throw new TypeError(
        `Cannot make a model client as '${
          issue.path.join(".") || "options"
        }' is not valid: ${issue.message}`,
      );
    }
    checkProvider(options.provider);
    this.#options = { ...options };
    const { retry = {}, maxRetryAfter = RETRY.maxRetryAfter } = options;
    const given = Object.entries(retry).filter(([, value]) =>
      value !== undefined
    );
    this.#policy = completeRetryPolicy(
      { ...RETRY, ...Object.fromEntries(given), maxRetryAfter },
      "make a model client",
    );
    this.#wire = wires[options.provider.wireApi ?? "responses"];
    this.#sendBody = options.sendBody;
  }

  /**
   * Asks for a response.
   *
   * @param prompt The prompt.
   * @param options The settings of this response alone, and a signal.
   * @returns The stream, once the provider has answered with one.
   * @throws {TypeError} If the prompt or an option is not valid, or if the
   * provider's API has no place for something in the prompt.
   * @throws {MissingKeyError} If the provider's key is not in the environment.
   * @throws {EnvironmentError} If a setting in the environment is not valid.
   * @throws {FixtureError} If the stream was to come from a file, and cannot.
   * @throws {UnexpectedStatusError} If the provider refuses the request.
   * @throws {RetryLimitError} If the provider is busy or broken for too long.
   * @throws {RetryAfterError} If the provider asks for too long a wait.
   * @throws {ConnectionFailedError} If the provider cannot be reached.
   * @throws {NotAStreamError} If the provider's answer is no event stream.
   */
  stream<T>(
    prompt: StructuredPrompt<T> & { tools?: undefined },
    options?: StreamOptions,
  ): Promise<StructuredStream<T>>;
  /**
   * Asks for a response that fits a schema, unless the model calls tools.
   *
   * @param prompt The prompt.
   * @param options The settings of this response alone, and a signal.
   * @returns The stream, once the provider has answered with one.
   */
  stream<T>(
    prompt: StructuredPrompt<T>,
    options?: StreamOptions,
  ): Promise<StructuredStream<T | undefined>>;
  /**
   * Asks for a response.
   *
   * @param prompt The prompt.
   * @param options The settings of this response alone, and a signal.
   * @returns The stream, once the provider has answered with one.
   */
  stream(prompt: Prompt, options?: StreamOptions): Promise<ResponseStream>;
  async stream(
    prompt: Prompt,
    options: StreamOptions = {},
  ): Promise<ResponseStream> {
    checkPrompt(prompt);
    checkPendingCalls(prompt);
    checkCall(options);
    const { signal: given, timeout = 0 } = options;
    given?.throwIfAborted();
    const { clock = systemClock, drainTimeout = DRAIN_TIMEOUT } = this.#options;
    const asked = this.#ask(withFormat(prompt), options);
    const controller = new AbortController();
    const { signal } = controller;
    const onAbort = () => controller.abort(given?.reason);
    given?.addEventListener("abort", onAbort);
    const cancelTimeout = timeout === 0 || timeout === Infinity
      ? () => {}
      : clock.setTimeout(() => controller.abort(tooLate(timeout)), timeout);
    const onEnd = () => {
      cancelTimeout();
      given?.removeEventListener("abort", onAbort);
    };
    try {
      const fixture = this.#fixture();
      let opened: Opened;
      let requester: Requester | undefined;
      if (fixture) {
        opened = await this.#openFixture(fixture, signal);
      } else {
        requester = this.#requester(asked, options, signal);
        opened = await requester.open();
      }
      const { deltas = true, retryMidStream = false } = this.#options;
      const answers = prompt.extra?.n;
      const hasSeveral = typeof answers === "number" && answers > 1;
      const streamOptions: ResponseStreamOptions = {
        makeDecoder: () => this.#wire.decoder({ deltas, hasSeveral }),
        requester,
        retryMidStream,
        background: prompt.extra?.background === true ||
          prompt.background === true && prompt.extra?.background === undefined,
        drainTimeout,
        clock,
        controller,
        onEnd,
      };
      const { output } = prompt;
      return output === undefined
        ? new ResponseStream(opened, streamOptions)
        : new StructuredStream(opened, streamOptions, output);
    } catch (error) {
      onEnd();
      throw error;
    }
  }

  /** Returns the request for a prompt; throws if the API has no place for something. */
  #ask(prompt: Prompt, options: StreamOptions): Asked {
    const model = options.model ?? this.#options.model;
    const reasoning = {
      ...this.#options.reasoning,
      ...given(options.reasoning),
    };
    const traits = () =>
      this.#traits.get(model) ?? traitsOf(this.#options.provider);
    let madeWith = traits();
    let body = this.#wire.body({ model, prompt, reasoning }, madeWith);
    return {
      body: () => {
        // Another response may have learnt something in the meantime.
        if (traits() !== madeWith) {
          madeWith = traits();
          body = this.#wire.body({ model, prompt, reasoning }, madeWith);
        }
        return body;
      },
      isMended: (status, refusal) => {
        if (status !== 400 && status !== 422) return false;
        if (traits() !== madeWith) return true;
        const learnt = this.#wire.learn(madeWith, refusal);
        if (learnt) this.#traits.set(model, learnt);
        return learnt !== undefined;
      },
    };
  }

  #fixture(): Fixture | undefined {
    const given = this.#options.fixture ?? readSetting("RIVULET_SSE_FIXTURE");
    return typeof given === "string" ? { path: given } : given;
  }

  async #openFixture(
    fixture: Fixture,
    signal: AbortSignal,
  ): Promise<Opened> {
    const { clock = systemClock } = this.#options;
    return {
      upstream: await openFixture(fixture, { clock, signal }),
      response: {
        status: 200,
        headers: new Headers(),
        requestId: undefined,
        rateLimits: {},
      },
      redact: (text) => text,
    };
  }

  #requester(
    asked: Asked,
    { headers = {}, retries }: StreamOptions,
    signal: AbortSignal,
  ): Requester {
    const options = this.#options;
    const { provider } = options;
    const wire = this.#wire;
    const idleTimeout = provider.idleTimeout ??
      readCount("OPENAI_STREAM_IDLE_TIMEOUT_MS") ?? IDLE_TIMEOUT;
    const baseUrl = this.#baseUrl();
    return new Requester({
      provider,
      baseUrl,
      path: wire.path(baseUrl),
      keyHeader: provider.keyHeader ?? wire.keyHeader,
      headers: wire.headers,
      callHeaders: headers,
      ...asked,
      requestMaxRetries: retries ?? provider.requestMaxRetries ??
        readCount("OPENAI_REQUEST_MAX_RETRIES") ?? REQUEST_MAX_RETRIES,
      streamMaxRetries: retries ?? provider.streamMaxRetries ??
        readCount("OPENAI_STREAM_MAX_RETRIES") ?? STREAM_MAX_RETRIES,
      policy: this.#policy,
      connectTimeout: options.connectTimeout ?? idleTimeout,
      idleTimeout,
      eventTimeout: options.eventTimeout ?? idleTimeout,
      maxEventSize: options.maxEventSize,
      sendBody: () => this.#sendBody,
      onLengthWanted: () => this.#sendBody = "whole",
      fetch: options.fetch,
      clock: options.clock ?? systemClock,
      random: options.random ?? Math.random,
      signal,
    });
  }

  #baseUrl(): string {
    const { baseUrl, baseUrlEnv } = this.#options.provider;
    if (baseUrlEnv === undefined) return baseUrl;
    // A known provider with another URL: the one who wrote it has the say.
    const isOverruled = Object.values(providers).some((known) =>
      known.baseUrlEnv === baseUrlEnv && known.baseUrl !== baseUrl
    );
    const other = isOverruled ? undefined : readSetting(baseUrlEnv);
    if (other === undefined) return baseUrl;
    if (!/^https?:\/\//.test(other) || !URL.canParse(other)) {
      // Without the value: a URL may hold a password.
      throw new EnvironmentError(baseUrlEnv, "a URL of http or https");
    }
    return other;
  }
}

/** The parts of a request for one response. */
type Asked = Pick<RequesterOptions, "body" | "isMended">;

function checkCall(options: StreamOptions): void {
  const issue = callSchema.safeParse(options).error?.issues[0];
  if (!issue) return;
  const path = ["options", ...issue.path].join(".");
  // Without the value: a header may be a key.
  throw new TypeError(
    `Cannot stream as '${path}' is not valid: ${issue.message}`,
  );
}

/** The fields that are given, and not just there. */
function given(reasoning: Reasoning = {}): Reasoning {
  return Object.fromEntries(
    Object.entries(reasoning).filter(([, value]) => value !== undefined),
  );
}

/** A prompt whose text has the format that its `output` demands. */
function withFormat(prompt: Prompt): Prompt {
  const { output, text } = prompt;
  if (output === undefined) return prompt;
  const { schema, strict } = wireSchemaOf(output, "stream", "prompt.output");
  const format = { type: "json_schema", name: "output", schema, strict };
  return { ...prompt, text: { ...text, format } };
}

function traitsOf({ dialect }: ModelProvider): ServerTraits {
  return dialect === "deepseek" ? DEEPSEEK_TRAITS : DEFAULT_TRAITS;
}

function tooLate(timeout: number): DOMException {
  return new DOMException(
    `The response was not whole after ${timeout} ms`,
    "TimeoutError",
  );
}
