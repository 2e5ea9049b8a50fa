// This module is browser compatible.
import type { ServerSentEvent } from "../../../sse/event.ts";
import { NotAStreamError } from "../../errors/not_a_stream_error.ts";
import { UnexpectedStatusError } from "../../errors/status_errors.ts";
import type { Opened, Requester } from "../../requester.ts";
import { factsOf } from "./event_facts.ts";
import { resumePath } from "./request.ts";
import type { Upstream } from "../../upstream.ts";

/** The outcome of a request for the rest of a response. */
export type Resumption =
  | { readonly opened: Opened }
  /** It cannot be had. */
  | { readonly refusal: unknown };

/**
 * Asks for the rest of a response that the provider keeps: from the event on that
 * follows the last one that came, or else for all of it, whose known part is
 * passed over. A stream that does not go on where the last one ended is of no use.
 *
 * @see {@link https://platform.openai.com/docs/guides/background#streaming-a-background-response | OpenAI: streaming a background response}
 *
 * @param requester The requester of the rest.
 * @param responseId The response.
 * @param after The number of the last event that came.
 * @returns The rest; or why it cannot be had.
 * @throws {ModelError} If the provider is busy or out of reach, for too long.
 */
export async function resumeResponse(
  requester: Requester,
  responseId: string,
  after: number,
): Promise<Resumption> {
  let refusal: unknown;
  for (const startingAfter of [after, undefined]) {
    if (!requester.mayRetryStream) break;
    const { path, query } = resumePath(responseId, startingAfter);
    let opened: Opened;
    try {
      opened = await requester.resume(path, query);
    } catch (error) {
      // OpenAI lets a stream be resumed for five minutes.
      const isRefusal = error instanceof UnexpectedStatusError ||
        error instanceof NotAStreamError;
      if (!isRefusal) throw error;
      refusal = error;
      continue;
    }
    const rest = new Rest(opened.upstream, after);
    if (await rest.start()) {
      return { opened: { ...opened, upstream: rest } };
    }
    await rest.cancel(undefined);
    refusal = new Error(
      `Cannot go on with the response as the events must follow number ${after}: got number ${rest.firstNumber}`,
    );
  }
  return { refusal };
}

/** The events of a stream that come after a number. */
class Rest implements Upstream {
  readonly #upstream: Upstream;
  readonly #after: number;
  /** The first that is new, and what came with it. */
  #first: Promise<ServerSentEvent[] | undefined> | undefined;
  /** The number of the first event that is new. */
  firstNumber: number | undefined;

  constructor(upstream: Upstream, after: number) {
    this.#upstream = upstream;
    this.#after = after;
  }

  /** Reads as far as the first new event; whether it is the one that is due. */
  async start(): Promise<boolean> {
    let last: number | undefined;
    for (;;) {
      let batch: ServerSentEvent[] | undefined;
      try {
        batch = await this.#upstream.nextBatch();
      } catch (error) {
        // Broken once more: told when the events are asked for.
        this.#first = Promise.reject(error);
        this.#first.catch(() => {});
        return true;
      }
      if (batch === undefined) {
        this.#first = Promise.resolve(undefined);
        return true;
      }
      for (const [index, { data }] of batch.entries()) {
        // A ping, which has no place among the events.
        if (data.trim() === "") continue;
        const { type, sequenceNumber: number } = factsOf(data);
        if (number !== undefined && number <= this.#after) {
          last = number;
          continue;
        }
        this.firstNumber = number;
        this.#first = Promise.resolve(batch.slice(index));
        // A provider may leave numbers out, and has then shown the one before. That
        // it has failed is worth knowing wherever it comes.
        return number === this.#after + 1 || last === this.#after ||
          number === undefined && type === "error";
      }
    }
  }

  nextBatch(): Promise<ServerSentEvent[] | undefined> {
    const first = this.#first;
    this.#first = undefined;
    return first ?? this.#upstream.nextBatch();
  }

  cancel(reason: unknown): Promise<void> {
    return this.#upstream.cancel(reason);
  }
}
