// This module is browser compatible.
import { abortable } from "../fetch/abortable.ts";
import { type Clock, systemClock } from "../fetch/clock.ts";
import { digest } from "./hostile/reproducible.ts";
import { Exchange, type HostileRequest } from "./hostile/exchange.ts";
import { failureReply } from "./hostile/failure.ts";
import { checkedPlan, type HostilePlan } from "./hostile/plan.ts";
import { HostilePlanError } from "./hostile/plan_error.ts";
import { parseHostilePlan } from "./hostile/plan_text.ts";
import type { Reply } from "./hostile/reply.ts";
import { dialectOf, Routes } from "./hostile/routes.ts";

/** Options for {@linkcode HostileProvider}. */
export interface HostileProviderOptions {
  /**
   * The plan for requests without a plan of their own, as an object or as text.
   *
   * @default {{}}
   */
  plan?: HostilePlan | string | undefined;
  /**
   * Bodies of event streams, which plans ask for by their names. Text is sent as
   * UTF-8.
   *
   * @default {{}}
   */
  recordings?: Readonly<Record<string, string | Uint8Array>> | undefined;
  /**
   * The key without which a request gets status 401; it comes as
   * `Authorization: Bearer KEY`, or as `X-Api-Key`.
   *
   * @default {undefined}, which lets everybody in
   */
  apiKey?: string | undefined;
  /**
   * Is called with each request when it was made: to wait for its end, or to show
   * it.
   *
   * @default {undefined}
   */
  onRequest?: ((request: HostileRequest) => void) | undefined;
  /**
   * The clock of plans.
   *
   * @default {systemClock}
   */
  clock?: Clock | undefined;
}

/** A caller that waits for a number of requests. */
interface Waiter {
  readonly count: number;
  readonly resolve: () => void;
}

/**
 * A provider of language models for tests, which fails as planned.
 *
 * It is a handler for servers: `Deno.serve(provider.fetch)`, or
 * `Bun.serve({ fetch: provider.fetch })`. It can also take the place of `fetch`
 * itself. It answers as OpenAI and Anthropic do, with and without `stream`:
 *
 * - `POST /v1/responses`, also in the background, with `GET /v1/responses/{id}`,
 *   `?stream=true&starting_after=N`, and `POST /v1/responses/{id}/cancel`;
 * - `POST /v1/chat/completions` and `POST /v1/messages`;
 * - `GET /v1/models`, `POST /v1/embeddings`, `POST /v1/files`.
 *
 * The model repeats the last text that it was given, word by word. If there are
 * tools, it calls those that the text names, or else the first one, and then
 * says their results. It says at most `max_tokens` words. Its answer depends on
 * the request alone: equal requests get equal answers.
 *
 * The plan of a request is a {@linkcode HostilePlan}: the one in its `Hostile`
 * header, as {@linkcode parseHostilePlan} reads it; else the next one in the
 * queue; else the one of the options.
 *
 * @example Once without, then with success
 * ```ts
 * import { HostileProvider } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const provider = new HostileProvider();
 * provider.enqueue("status=429; retry-after=2");
 * const ask = () =>
 *   provider.fetch(
 *     new Request("http://localhost/v1/chat/completions", {
 *       method: "POST",
 *       body: JSON.stringify({
 *         model: "hostile-1",
 *         messages: [{ role: "user", content: "Say this" }],
 *       }),
 *     }),
 *   );
 *
 * const refused = await ask();
 * assertEquals(refused.status, 429);
 * assertEquals(refused.headers.get("Retry-After"), "2");
 * await refused.body?.cancel();
 * const { choices } = await (await ask()).json();
 * assertEquals(choices[0].message.content, "Say this");
 * assertEquals(provider.requests.length, 2);
 * ```
 *
 * @example A stream that breaks off, asked for in a header
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { HostileProvider } from "@rivulet/rivulet/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const provider = new HostileProvider();
 * const events = streamEvents("http://localhost/v1/messages", {
 *   method: "POST",
 *   headers: { Hostile: "reset; after=2" },
 *   body: JSON.stringify({
 *     model: "hostile-1",
 *     max_tokens: 100,
 *     stream: true,
 *     messages: [{ role: "user", content: "Say this" }],
 *   }),
 *   reconnect: false,
 *   fetch: provider.fetch,
 * });
 * assertEquals((await events.next()).value?.event, "message_start");
 * assertEquals((await events.next()).value?.event, "content_block_start");
 * await assertRejects(() => events.next());
 * assertEquals(await provider.requests[0]?.done, "broken");
 * ```
 */
export class HostileProvider {
  readonly #plan: HostilePlan;
  readonly #queue: HostilePlan[] = [];
  readonly #routes: Routes;
  readonly #apiKey: string | undefined;
  readonly #onRequest: (request: HostileRequest) => void;
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();
  #requests: Exchange[] = [];
  #read = 0;

  /**
   * Makes a provider.
   *
   * @param options The plans for requests, and other settings.
   * @throws {HostilePlanError} If the plan says what cannot be.
   */
  constructor(options: HostileProviderOptions = {}) {
    const { plan = {}, recordings = {}, apiKey, onRequest, clock } = options;
    this.#plan = planOf(plan);
    this.#apiKey = apiKey;
    this.#onRequest = onRequest ?? (() => {});
    this.#clock = clock ?? systemClock;
    const encoder = new TextEncoder();
    this.#routes = new Routes(
      new Map(
        Object.entries(recordings).map(([name, body]) => [
          name,
          typeof body === "string"
            ? encoder.encode(body)
            : new Uint8Array(body),
        ]),
      ),
    );
  }

  /** The requests that were made so far, in order. */
  get requests(): readonly HostileRequest[] {
    return this.#requests;
  }

  /**
   * Plans what becomes of the next requests, one by one, in the order in which
   * they are made. A request that has a plan of its own, in its header, takes none.
   *
   * @param plans The plans, as objects or as text.
   * @throws {HostilePlanError} If one of them says what cannot be; then none is
   * taken.
   *
   * @example Twice an error, and then success
   * ```ts
   * import { HostileProvider } from "@rivulet/rivulet/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const provider = new HostileProvider();
   * provider.enqueue("status=500", { answer: { kind: "status", status: 503 } });
   * const statuses: number[] = [];
   * for (let index = 0; index < 3; index++) {
   *   const response = await provider.fetch(
   *     new Request("http://localhost/v1/models"),
   *   );
   *   await response.body?.cancel();
   *   statuses.push(response.status);
   * }
   * assertEquals(statuses, [500, 503, 200]);
   * ```
   */
  enqueue(...plans: readonly (HostilePlan | string)[]): void {
    this.#queue.push(...plans.map(planOf));
  }

  /**
   * Waits until this many requests were made since the start, or since
   * `forget()`, and read to their ends.
   *
   * @param count The number of requests.
   * @param options A signal, which ends the waiting.
   * @returns Resolves then, or now; rejects with the signal's reason.
   *
   * @example Know when the client is there
   * ```ts
   * import { HostileProvider } from "@rivulet/rivulet/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const provider = new HostileProvider({ plan: "stall" });
   * const client = new AbortController();
   * const answer = provider.fetch(
   *   new Request("http://localhost/v1/models", { signal: client.signal }),
   * );
   * await provider.requested(1);
   * client.abort();
   * await answer.catch(() => {});
   * assertEquals(provider.requests[0]?.outcome, "aborted");
   * ```
   */
  async requested(
    count: number,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#read >= count) return;
    let resolve = (): void => {};
    const read = new Promise<void>((settle) => {
      resolve = settle;
    });
    const waiter: Waiter = { count, resolve };
    this.#waiters.add(waiter);
    try {
      await (signal ? abortable(read, signal) : read);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  /**
   * Forgets the requests that were made so far, which take memory, and what is
   * still in the queue.
   *
   * @example Between two parts of a test
   * ```ts
   * import { HostileProvider } from "@rivulet/rivulet/testing";
   * import { assertEquals } from "@std/assert";
   *
   * const provider = new HostileProvider();
   * await provider.fetch(new Request("http://localhost/v1/models"));
   * assertEquals(provider.requests.length, 1);
   * provider.forget();
   * assertEquals(provider.requests.length, 0);
   * ```
   */
  forget(): void {
    this.#requests = [];
    this.#queue.length = 0;
    this.#read = 0;
  }

  /**
   * Answers a request; can be passed around as it is.
   *
   * @param input The request, or its URL. Its signal says that the client has left;
   * so does whoever cancels the answer's body.
   * @param init The rest of the request, as `fetch` takes it.
   * @returns The answer. It rejects with a {@linkcode HostileConnectionError}
   * where the connection is to break before the head, and with the signal's reason
   * if the client leaves first.
   */
  readonly fetch = async (
    input: string | URL | Request,
    init?: RequestInit | object,
  ): Promise<Response> => {
    // Servers pass a second argument of their own, which has none of these fields.
    const request = input instanceof Request && init === undefined
      ? input
      : new Request(input, init);
    const planned = this.#next(request);
    const exchange = new Exchange(
      request,
      planned instanceof HostilePlanError ? {} : planned,
      this.#clock,
    );
    const requests = this.#requests;
    requests.push(exchange);
    this.#onRequest(exchange);
    const bytes = await exchange.read(request);
    if (requests === this.#requests) this.#count();
    await exchange.begin();
    const asked = {
      method: request.method,
      path: exchange.path.replace(/^.*?\/v1\//, ""),
      query: exchange.query,
      headers: request.headers,
      bytes,
      body: exchange.body,
      plan: exchange.plan,
      clock: this.#clock,
    };
    let reply: Reply;
    if (planned instanceof HostilePlanError) {
      reply = failureReply(dialectOf(asked), 400, planned.message, planned);
    } else if (!this.#isAllowed(request.headers)) {
      reply = failureReply(
        dialectOf(asked),
        401,
        "Incorrect API key provided.",
      );
    } else reply = await this.#routes.answer(asked);
    const response = exchange.respond(reply);
    const id = digest(`${request.method} ${exchange.path} ${exchange.body}`);
    response.headers.set(
      dialectOf(asked) === "anthropic" ? "Request-Id" : "X-Request-Id",
      `req_${id}`,
    );
    return response;
  };

  #next({ headers }: Request): HostilePlan | HostilePlanError {
    const text = headers.get("Hostile");
    if (text === null) return this.#queue.shift() ?? this.#plan;
    try {
      return parseHostilePlan(text);
    } catch (error) {
      if (error instanceof HostilePlanError) return error;
      throw error;
    }
  }

  #isAllowed(headers: Headers): boolean {
    return this.#apiKey === undefined ||
      headers.get("Authorization") === `Bearer ${this.#apiKey}` ||
      headers.get("X-Api-Key") === this.#apiKey;
  }

  #count(): void {
    this.#read++;
    for (const waiter of this.#waiters) {
      if (waiter.count > this.#read) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }
}

function planOf(plan: HostilePlan | string): HostilePlan {
  return typeof plan === "string" ? parseHostilePlan(plan) : checkedPlan(plan);
}
