import { z } from "zod";
import type { Clock } from "../../../src/fetch/clock.ts";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { completeRetryPolicy, retryDelay } from "../../../src/fetch/retry.ts";
import type { TopicEnd } from "../../client/topic_end.ts";
import { isTemporary } from "../../problem.ts";

/** The body of a relay's refusal. */
const problem = z.object({
  code: z.string(),
  detail: z.string(),
  end: z.object({
    status: z.enum([
      "complete",
      "failed",
      "truncated",
      "cancelled",
      "expired",
    ]),
    reason: z.string().optional(),
  }).optional(),
});

const published = z.object({ epoch: z.string() });

/** Waits between attempts, in milliseconds. */
const RETRY = completeRetryPolicy(
  { minTimeout: 100, maxTimeout: 2_000 },
  "publish",
);

/**
 * The reason why a turn could not be published: the relay has `refused` it, or
 * could not be reached for too long (`unreachable`).
 *
 * @example Both
 * ```ts
 * import type { ChatPublishErrorCode } from "@rivulet/rivulet/chat/server";
 *
 * const codes: ChatPublishErrorCode[] = ["refused", "unreachable"];
 * ```
 */
export type ChatPublishErrorCode = "refused" | "unreachable";

/**
 * A turn could not be published, or not to its end.
 *
 * @example Tell a wrong token from a relay that is away
 * ```ts
 * import { ChatPublishError } from "@rivulet/rivulet/chat/server";
 *
 * function onError(error: unknown): void {
 *   if (error instanceof ChatPublishError) console.error(error.code, error.relayCode);
 * }
 * onError(new ChatPublishError("refused", "No right", { relayCode: "forbidden" }));
 * ```
 */
export class ChatPublishError extends Error {
  /** The error's code, for programs. */
  readonly code: ChatPublishErrorCode;
  /** The status of the relay's answer, if there was one. */
  readonly status: number | undefined;
  /** The `code` of the relay's refusal, if there was one. */
  readonly relayCode: string | undefined;
  /** The end of the topic, if that is the reason. */
  readonly end: TopicEnd | undefined;

  /**
   * Makes an error.
   *
   * @param code The error's code, for programs.
   * @param message The message for the operator of the application.
   * @param facts The other facts.
   */
  constructor(
    code: ChatPublishErrorCode,
    message: string,
    facts: ErrorOptions & {
      status?: number;
      relayCode?: string;
      end?: TopicEnd | undefined;
    } = {},
  ) {
    super(message, facts);
    this.name = "ChatPublishError";
    this.code = code;
    this.status = facts.status;
    this.relayCode = facts.relayCode;
    this.end = facts.end;
  }
}

/** The address of a topic, and the limits of waiting for it. */
export interface RelayTopicOptions {
  /** The URL of the topic. */
  readonly url: URL;
  /** Returns the token for the next request; `undefined` if the relay needs none. */
  readonly token: () => Promise<string | undefined>;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
  /**
   * The time that the relay may be away in between, in milliseconds. The relay
   * waits as long.
   */
  readonly within: number;
  /**
   * The time that the relay may be away before the first event, in
   * milliseconds.
   */
  readonly patience: number;
}

/** A topic of a relay that a turn is published to. */
export class RelayTopic {
  readonly #options: RelayTopicOptions;
  /** The prefix of this turn's keys. */
  readonly #key = crypto.randomUUID();

  constructor(options: RelayTopicOptions) {
    this.#options = options;
  }

  /**
   * Begins a new epoch with an event.
   *
   * @param data The data of the event.
   * @returns The epoch.
   * @throws {ChatPublishError} If that cannot be.
   */
  async begin(data: string): Promise<string> {
    return await this.#retry(() => this.#begin(data), this.#options.patience);
  }

  /**
   * Adds a stream of events, again from its beginning where the connection breaks.
   *
   * @param first The event given to {@linkcode begin}: a relay without a store
   * may have forgotten it.
   * @param stream Returns the stream, from its beginning.
   * @throws {ChatPublishError} If that cannot be; with `end` if the topic has ended.
   */
  async add(
    first: string,
    stream: () => ReadableStream<Uint8Array>,
  ): Promise<void> {
    let attempts = 0;
    await this.#retry(async () => {
      if (attempts++ > 0) await this.#begin(first);
      // A relay that refuses may do so while there is more to send.
      const over = new AbortController();
      try {
        await this.#request(this.#within, {
          headers: {
            "Content-Type": "text/event-stream",
            "Idempotency-Key": `${this.#key}-answer`,
          },
          body: stream(),
          signal: over.signal,
        });
      } finally {
        over.abort();
      }
    });
  }

  /** Ends the topic. One that has ended stays as it is. */
  async end(end: TopicEnd): Promise<void> {
    try {
      await this.#retry(() =>
        this.#request("/end", {
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(end),
        })
      );
    } catch (error) {
      if (!(error instanceof ChatPublishError && error.end)) throw error;
    }
  }

  get #within(): string {
    return `?within=${this.#options.within}`;
  }

  async #begin(data: string): Promise<string> {
    const answer = await this.#request(this.#within, {
      headers: {
        "Content-Type": "application/json",
        "Idempotency-Key": `${this.#key}-turn`,
        "Rivulet-If-Ended": "renew",
      },
      body: JSON.stringify({ data }),
    });
    return published.parse(JSON.parse(answer)).epoch;
  }

  async #retry<T>(
    attempt: () => Promise<T>,
    within = this.#options.within,
  ): Promise<T> {
    const { clock } = this.#options;
    let failures = 0;
    let since = clock.now();
    for (;;) {
      const started = clock.now();
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof ChatPublishError)) throw error;
        const { code, status = 0, relayCode = "" } = error;
        if (
          code === "refused" && !isTemporary({ status, code: relayCode })
        ) throw error;
        const now = clock.now();
        // It has stood for a while: what was before is over.
        if (now - started > within / 2) failures = 0;
        if (failures === 0) since = now;
        failures += 1;
        const delay = retryDelay(failures, 0, RETRY);
        if (now - since + delay > within) throw error;
        await new Promise<void>((resolve) => clock.setTimeout(resolve, delay));
      }
    }
  }

  async #request(
    suffix: string,
    init: {
      readonly headers: Record<string, string>;
      readonly body: string | ReadableStream<Uint8Array>;
      readonly signal?: AbortSignal;
    },
  ): Promise<string> {
    const { url, token, fetch } = this.#options;
    const bearer = await token();
    let response: Response;
    try {
      response = await fetch(url.href + suffix, {
        ...init,
        method: "POST",
        headers: {
          ...init.headers,
          ...(bearer !== undefined && { Authorization: `Bearer ${bearer}` }),
        },
        // Node wants it for a stream, and the types do not know it.
        ...{ duplex: "half" },
      });
    } catch (cause) {
      throw new ChatPublishError(
        "unreachable",
        `Expected an answer of the relay at ${url.origin}, got none: ${
          messageOf(cause)
        }`,
        { cause },
      );
    }
    if (!response.ok) throw await refusalOf(response);
    return await response.text();
  }
}

async function refusalOf(response: Response): Promise<ChatPublishError> {
  const { status } = response;
  let said: z.output<typeof problem> | undefined;
  try {
    said = problem.safeParse(JSON.parse(await response.text())).data;
  } catch {
    // A proxy's answer, or one that broke off.
  }
  const end = said?.end && {
    status: said.end.status,
    ...(said.end.reason !== undefined && { reason: said.end.reason }),
  };
  const { code = "refused", detail = "it does not say why" } = said ?? {};
  return new ChatPublishError(
    "refused",
    `Expected the relay to take the turn, got ${status} ${code}: ${detail}`,
    { status, relayCode: code, end },
  );
}
