import { getLogger } from "@logtape/logtape";
import type { ReceiveAccount } from "../../limits/memory/receive_budget.ts";
import { HeaderList } from "../../header_list.ts";
import { Problem } from "../../problem.ts";
import type { GatewayRequest } from "../request.ts";
import type { SendByOtherMeans } from "../provider_request.ts";
import type { CallerPlan } from "../run.ts";
import type { Upstreams } from "../../upstream/upstreams.ts";
import { Conversation, notFound } from "./conversation.ts";
import {
  bodyOf,
  type CreateMessage,
  messageOf,
  valueOf,
} from "./create_message.ts";
import {
  errorMessage,
  MessageCaller,
  type MessageSink,
} from "./message_caller.ts";
import { ProviderSocket } from "./provider_socket.ts";

/** A request for a response that has come over a WebSocket. */
export interface ResponseRequest {
  /** The request, as a POST would have it. */
  readonly call: GatewayRequest;
  /** The body. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** The caller. */
  readonly caller: CallerPlan;
  /** Asks the provider over its WebSocket. Default: it is asked by POST. */
  readonly other: SendByOtherMeans | undefined;
}

/** The parts of a connection. */
export interface ResponsesConnectionContext {
  /** The request to make a response, as a POST would have it. */
  readonly call: GatewayRequest;
  /** The client's header of the features that it knows of WebSockets. Default: `null`. */
  readonly beta: string | null;
  /** The client. */
  readonly sink: MessageSink;
  /** Whether the provider makes responses over a WebSocket, too. */
  readonly asksOverWebSocket: boolean;
  /** Connects to providers. */
  readonly upstreams: Upstreams;
  /** The most bytes of a body, and of what is kept of responses. */
  readonly maxBytes: number;
  /** Counts what is kept of responses. */
  readonly account: ReceiveAccount;
  /** Returns the time, in milliseconds. */
  now(): number;
  /** Returns the time, in milliseconds since the epoch. */
  wallTime(): number;
  /** Makes a run; resolves when it is over. Rejects with a {@linkcode Problem} if there is none. */
  run(request: ResponseRequest): Promise<void>;
}

/** The header of features that are not for everybody yet. */
export const BETA = "openai-beta";

/** The feature that is about WebSockets, which is nothing to a POST. */
const SOCKET_BETA = /^responses_websockets=/;

/** Returns the header of features as a POST has it; `null` for none. */
export function betaOfPost(beta: string | null): string | null {
  const kept = (beta ?? "").split(",").map((feature) => feature.trim())
    .filter((feature) => feature !== "" && !SOCKET_BETA.test(feature));
  return kept.length > 0 ? kept.join(", ") : null;
}

const logger = getLogger(["rivulet", "relay", "gateway"]);

/** Nothing was used, since no model was asked. */
const NO_USAGE = {
  input_tokens: 0,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 0,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 0,
} as const;

/**
 * A client's connection at which it makes responses: it remembers what each response can
 * be gone on from, and makes a run of each message.
 */
export class ResponsesConnection implements Disposable {
  readonly #context: ResponsesConnectionContext;
  readonly #conversation: Conversation;
  /** The connections to the provider, one for each lane. */
  readonly #sockets = new Map<string, ProviderSocket>();
  /** The calls that tell the runs under way that the client has left. */
  readonly #leaving = new Set<() => void>();
  #asksOverWebSocket: boolean;
  #isClosed = false;

  /** Begins without responses. */
  constructor(context: ResponsesConnectionContext) {
    const { maxBytes, account } = context;
    this.#context = context;
    this.#asksOverWebSocket = context.asksOverWebSocket;
    this.#conversation = new Conversation(maxBytes, (bytes) => {
      account.trySet(bytes);
    });
    // If memory is short, the kept responses are dropped: the client sends them
    // again.
    account.onRefused = () => queueMicrotask(() => this.#conversation.clear());
  }

  /** The number of bytes that are kept of responses. */
  get kept(): number {
    return this.#conversation.bytes;
  }

  /**
   * Makes a response; resolves when it is over. Whatever is wrong is told to the client.
   *
   * @param message The client's message.
   */
  async create(message: CreateMessage): Promise<void> {
    const { sink } = this.#context;
    try {
      const earlier = this.#conversation.before(message.previousId);
      if (message.isWarmUp) this.#warmUp(message, earlier);
      else await this.#run(message, earlier);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      sink.refused(error);
      sink.send(errorMessage(error, message.lane));
    }
  }

  /** Closes the connections to the provider, and forgets all responses. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const socket of this.#sockets.values()) socket[Symbol.dispose]();
    this.#sockets.clear();
    this.#conversation.clear();
    this.#context.account[Symbol.dispose]();
  }

  /** Answers a request for no output: a provider would have to be paid. */
  #warmUp(
    message: CreateMessage,
    earlier: readonly Uint8Array[] | undefined,
  ): void {
    const { sink, wallTime } = this.#context;
    if (!earlier) throw notFound(message.previousId);
    const id = Conversation.ownId();
    const model = valueOf(message.members, "model");
    const response = {
      id,
      object: "response",
      created_at: Math.floor(wallTime() / 1_000),
      ...(typeof model === "string" && { model }),
      error: null,
      incomplete_details: null,
      output: [],
    };
    const lane = message.lane === undefined ? {} : { stream_id: message.lane };
    const created = { ...response, status: "in_progress", usage: null };
    const completed = { ...response, status: "completed", usage: NO_USAGE };
    this.#conversation.add(id, [...earlier, message.input]);
    sink.send(JSON.stringify({
      ...lane,
      type: "response.created",
      sequence_number: 0,
      response: created,
    }));
    sink.send(JSON.stringify({
      ...lane,
      type: "response.completed",
      sequence_number: 1,
      response: completed,
    }));
  }

  async #run(
    message: CreateMessage,
    earlier: readonly Uint8Array[] | undefined,
  ): Promise<void> {
    const { call, sink, run } = this.#context;
    let leaving: (() => void) | undefined;
    const caller = new MessageCaller(sink, message.lane, () => {
      if (leaving) this.#leaving.delete(leaving);
    });
    // Without a response to go on from, the input stays as it was written.
    const before = message.previousId === undefined ? undefined : earlier;
    await run({
      call,
      body: bodyOf(message, before),
      caller: {
        open: (onLeave) => {
          leaving = onLeave;
          if (sink.isGone) queueMicrotask(onLeave);
          else this.#leaving.add(onLeave);
          return caller;
        },
      },
      other: this.#asksOverWebSocket
        ? this.#overWebSocket(message, before)
        : undefined,
    });
    const { output } = caller;
    if (!earlier || !output.isKept || this.#isClosed) return;
    const isStored = valueOf(message.members, "store") !== false;
    this.#conversation.add(output.id!, [
      ...earlier,
      message.input,
      output.asInput(isStored),
    ]);
  }

  /** The client has left: its runs go on, or are cancelled, as it wanted. */
  leave(): void {
    for (const onLeave of [...this.#leaving]) onLeave();
    this.#leaving.clear();
  }

  #overWebSocket(
    message: CreateMessage,
    earlier: readonly Uint8Array[] | undefined,
  ): SendByOtherMeans {
    const { upstreams, now, beta } = this.#context;
    const lane = message.lane ?? "";
    const { previousId } = message;
    return async (url, posted, signal) => {
      const headers = new HeaderList(posted);
      // There is no body.
      headers.delete("content-type");
      headers.delete("accept");
      if (beta !== null) headers.set(BETA, beta);
      let socket = this.#sockets.get(lane);
      if (!socket) {
        socket = new ProviderSocket(upstreams, now);
        this.#sockets.set(lane, socket);
      }
      const answer = await socket.ask({
        url,
        headers,
        signal,
        whole: messageOf(message, earlier),
        rest: previousId === undefined ? undefined : {
          previousId,
          message: messageOf(message, undefined),
        },
      });
      if (answer) return answer;
      this.#asksOverWebSocket = false;
      logger.warning(
        "{url} does not accept WebSockets: the relay sends POST requests instead. Remove ',websocket' from its --provider",
        { url: url.origin + url.pathname },
      );
      return undefined;
    };
  }
}
