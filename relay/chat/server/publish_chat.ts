import { type Clock, systemClock } from "../../../src/fetch/clock.ts";
import { UiEndingReader } from "../../../src/model/wires/ui/endings.ts";
import { turnPart } from "../../../src/model/wires/ui/turn.ts";
import type { TopicEnd } from "../../client/topic_end.ts";
import { ChunkLog } from "./chunk_log.ts";
import { publisherToken } from "./chat_token.ts";
import { ChatPublishError, RelayTopic } from "./relay_topic.ts";

/**
 * The time that the relay may be away in the middle of a turn, in milliseconds.
 */
const WITHIN = 30_000;

/**
 * The time that the relay may be away before a turn, in milliseconds: a user is
 * looking at a spinner.
 */
const PATIENCE = 5_000;

/**
 * The time that a generation may take to finish after it was stopped, in
 * milliseconds.
 */
const LAST_WORDS = 1_000;

const DONE = "[DONE]";

/** The headers of a stream of UI messages, version 1. */
const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
  "X-Vercel-AI-UI-Message-Stream": "v1",
  "Access-Control-Expose-Headers": "Rivulet-Topic, Rivulet-Epoch",
};

/**
 * The chunks of an answer: what `toUIMessageStream` of the AI SDK gives.
 *
 * @example An answer without a model
 * ```ts
 * import type { ChatStream } from "@rivulet/rivulet/chat/server";
 *
 * const stream: ChatStream = new ReadableStream({
 *   start(controller) {
 *     controller.enqueue({ type: "finish" });
 *     controller.close();
 *   },
 * });
 * if (stream.locked) throw new Error("unreachable");
 * ```
 */
export type ChatStream = ReadableStream<{ readonly type: string }>;

/**
 * A turn, and the relay that it is published to.
 *
 * @example The least
 * ```ts
 * import type { PublishChatOptions } from "@rivulet/rivulet/chat/server";
 *
 * const options: PublishChatOptions = {
 *   relay: "http://localhost:8787",
 *   topic: "chat:ada:7",
 *   message: { id: "m1", role: "user", parts: [] },
 *   stream: () => new ReadableStream(),
 * };
 * if (!options.relay) throw new Error("unreachable");
 * ```
 */
export interface PublishChatOptions {
  /** The relay: its origin, or a URL below which it is. */
  readonly relay: string | URL;
  /**
   * A token with the right to write the topic, or a function that returns one
   * before each request. Its `sub` must stay the same: without `sub`, each
   * token is a publisher of its own, and a turn cannot be continued. Default: a
   * token made with `key`.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** The secret of the relay, or the private key to its public one, to make tokens with. */
  readonly key?: string | undefined;
  /** The topic: `chatTopic` names that of a chat. */
  readonly topic: string;
  /**
   * The last message of the conversation, which is answered. It is the first event of the
   * turn, so that other tabs can show it.
   */
  readonly message: unknown;
  /**
   * Begins the answer. It is called when the turn has begun in the topic: one that is busy
   * costs nothing. The signal is aborted when somebody stops the turn: give it to
   * `streamText` as `abortSignal`.
   */
  readonly stream:
    | ChatStream
    | ((signal: AbortSignal) => ChatStream | Promise<ChatStream>);
  /** Called when somebody has stopped the turn, with the reason that was given. */
  readonly onCancel?: ((reason: string | undefined) => void) | undefined;
  /**
   * Called with what went wrong, and returns words that users may see. What a publication
   * fails with is told as well, and its words are not used.
   *
   * @default {() => "An error occurred."}
   */
  readonly onError?: ((error: unknown) => string | void) | undefined;
  /** Is given what has to go on after the response, where the platform asks for that. */
  readonly waitUntil?: ((promise: Promise<void>) => void) | undefined;
  /**
   * The time that the relay may be away in the middle of a turn, in
   * milliseconds. The relay ends the topic as `truncated` if it hears nothing
   * from here for this long.
   *
   * @default {30_000}
   */
  readonly within?: number | undefined;
  /**
   * The `fetch` to the relay.
   *
   * @default {globalThis.fetch}
   */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** The source of time. */
  readonly clock?: Clock | undefined;
}

/**
 * Answers a message of a chat, and publishes the answer to the chat's topic.
 *
 * The turn is a new epoch of the topic: the message first, then the chunks as
 * they come. The caller gets the same stream. If the caller leaves, the turn
 * goes on. If the connection to the relay is lost for less than `within`, no
 * chunk is lost or doubled. If the topic is cancelled, the turn stops. The
 * topic ends as the stream does: `complete`; `failed`, with the error's text;
 * `cancelled`; or `truncated`, if the stream has no end or this process dies.
 *
 * The answer is kept in memory until its end, to be sent again.
 *
 * @param options The turn, and where it is published.
 * @returns The response for the caller, in any framework that takes a web `Response`: the
 * stream; 409 in words if a turn is going on; 503 in words if the relay cannot be reached; 502
 * in words if it refuses. It does not reject.
 *
 * @example A turn, and what is left of it
 * ```ts
 * import { publishChat } from "@rivulet/rivulet/chat/server";
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 * const response = await publishChat({
 *   relay: url,
 *   topic: "chat:ada:7",
 *   message: { id: "m1", role: "user", parts: [{ type: "text", text: "Hi" }] },
 *   stream: () =>
 *     ReadableStream.from([
 *       { type: "text-start", id: "0" },
 *       { type: "text-delta", id: "0", delta: "Hello" },
 *       { type: "finish" },
 *     ]),
 * });
 * await response.text();
 * assertEquals(await relay.topics.get("chat:ada:7")?.ended, { status: "complete" });
 * ```
 */
export async function publishChat(
  options: PublishChatOptions,
): Promise<Response> {
  const { topic: name, message, clock = systemClock } = options;
  const { within = WITHIN, onError } = options;
  const url = new URL(
    `topics/${encodeURIComponent(name)}`,
    `${options.relay}`.replace(/\/?$/, "/"),
  );
  const access = {
    url,
    token: () => tokenOf(options),
    fetch: options.fetch ?? globalThis.fetch,
    clock,
  };
  const first = JSON.stringify(turnPart(message));
  const topic = new RelayTopic({ ...access, within, patience: PATIENCE });
  let epoch: string;
  try {
    epoch = await topic.begin(first);
  } catch (error) {
    onError?.(error);
    return refusalFor(error);
  }
  const log = new ChunkLog();
  log.push(first);
  const done = new Turn(options, topic, log, clock).run(first);
  options.waitUntil?.(done);
  return new Response(log.stream(), {
    headers: { ...HEADERS, "Rivulet-Topic": name, "Rivulet-Epoch": epoch },
  });
}

/** A turn that has begun in its topic. */
class Turn {
  readonly #options: PublishChatOptions;
  readonly #topic: RelayTopic;
  readonly #log: ChunkLog;
  readonly #clock: Clock;
  readonly #stopped = new AbortController();
  readonly #ending = new UiEndingReader();
  /** The text of the last chunk that reported a failure. */
  #failure: string | undefined;

  constructor(
    options: PublishChatOptions,
    topic: RelayTopic,
    log: ChunkLog,
    clock: Clock,
  ) {
    this.#options = options;
    this.#topic = topic;
    this.#log = log;
    this.#clock = clock;
  }

  /** Generates and publishes at a time; resolves when both are over. */
  async run(first: string): Promise<void> {
    const published = this.#publish(first);
    await this.#generate();
    this.#log.push(DONE);
    this.#log.close();
    if (!await published) return;
    try {
      await this.#topic.end(this.#verdict());
    } catch (error) {
      this.#options.onError?.(error);
    }
  }

  /** Returns whether the topic has everything. */
  async #publish(first: string): Promise<boolean> {
    try {
      // The first event is in the topic.
      await this.#topic.add(first, () => this.#log.stream(1));
      return true;
    } catch (error) {
      const end = error instanceof ChatPublishError ? error.end : undefined;
      if (end?.status === "cancelled") {
        this.#stopped.abort(
          new DOMException(end.reason ?? "The turn was stopped", "AbortError"),
        );
        this.#options.onCancel?.(end.reason);
      } else this.#options.onError?.(error);
      return false;
    }
  }

  async #generate(): Promise<void> {
    const { stream } = this.#options;
    const { signal } = this.#stopped;
    let cancelTimer = (): void => {};
    try {
      const chunks = typeof stream === "function"
        ? await stream(signal)
        : stream;
      const reader = chunks.getReader();
      // It may have its own last word, and should not keep the caller waiting for it.
      const stop = () => {
        cancelTimer = this.#clock.setTimeout(
          () => void reader.cancel(signal.reason).catch(() => {}),
          LAST_WORDS,
        );
      };
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
      try {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          this.#say(value);
        }
      } finally {
        signal.removeEventListener("abort", stop);
        reader.releaseLock();
      }
    } catch (error) {
      if (!signal.aborted) {
        const words = this.#options.onError?.(error);
        this.#say({ type: "error", errorText: words || "An error occurred." });
      }
    } finally {
      cancelTimer();
    }
    if (signal.aborted && this.#ending.ending?.kind !== "cancelled") {
      this.#say({ type: "abort" });
    }
  }

  #say(chunk: { readonly type: string; readonly errorText?: string }): void {
    const data = JSON.stringify(chunk);
    if (chunk.type === "error") this.#failure = chunk.errorText;
    this.#ending.take({ event: "message", data, id: "" });
    this.#log.push(data);
  }

  #verdict(): TopicEnd {
    const ending = this.#ending.close();
    switch (ending.kind) {
      case "completed":
        return { status: "complete" };
      case "incomplete":
        return { status: "complete", reason: ending.reason };
      case "cancelled":
        return { status: "cancelled" };
      case "failed": {
        const reason = this.#failure;
        return { status: "failed", ...(reason && { reason }) };
      }
      case "truncated":
        return {
          status: "truncated",
          reason: `The answer ended without ${ending.missing}`,
        };
    }
  }
}

async function tokenOf(
  { token, key, topic }: PublishChatOptions,
): Promise<string | undefined> {
  if (token !== undefined) {
    return typeof token === "function" ? await token() : token;
  }
  return key === undefined ? undefined : await publisherToken(key, topic);
}

/** Answers the caller of a turn that has not begun, in words that may be shown. */
function refusalFor(error: unknown): Response {
  const { code, relayCode } = error instanceof ChatPublishError
    ? error
    : { code: "refused", relayCode: undefined };
  if (relayCode === "topic_busy") {
    return new Response(
      "The answer to the last message is still being written.",
      { status: 409 },
    );
  }
  return new Response("The chat is not available at the moment.", {
    status: code === "unreachable" ? 503 : 502,
  });
}
