// This module is browser compatible.
import { type Asked, readJson, RefusedError } from "../asked.ts";
import { digest } from "../reproducible.ts";
import { jsonReply, type Reply } from "../reply.ts";
import { speak } from "../speech.ts";
import { streamReply, typed, type WireEvent } from "../stream_reply.ts";
import { questionOf, responseRequest } from "./response_request.ts";
import { ResponseRun } from "./response_run.ts";

/** The number of responses that can be asked for later. */
const KEPT = 1_000;

/**
 * The time for which a response can be streamed again, in milliseconds, as at
 * OpenAI.
 */
const STREAMABLE_FOR = 300_000;

const FAILURE = {
  code: "server_error",
  message: "The server had an error while processing your request.",
};

/** The Responses API, with the responses that it remembers. */
export class Responses {
  readonly #runs = new Map<string, ResponseRun>();
  /** The number of background responses that each request has had. */
  readonly #repeats = new Map<string, number>();

  /** `POST /v1/responses` */
  create(asked: Asked): Reply {
    const request = readJson(asked, responseRequest);
    const { answer, pace = 0 } = asked.plan;
    const run = new ResponseRun({
      id: this.#idOf(asked.body, request.background === true),
      request,
      speech: speak(questionOf(request), answer),
      start: asked.clock.now(),
      pace,
    });
    this.#keep(run);
    return request.stream
      ? streamOf(run, asked, -1)
      : jsonReply(run.response(run.start - 1));
  }

  /** `GET /v1/responses/{id}`, with `?stream=true` from `starting_after` on. */
  retrieve(asked: Asked, id: string): Reply {
    const { query, clock } = asked;
    const run = this.#run(id);
    if (query.get("stream") !== "true") {
      return jsonReply(run.response(clock.now()));
    }
    if (!run.isBackground) {
      throw new RefusedError(
        `Response ${id} cannot be streamed: it was not created with background=true.`,
      );
    }
    if (clock.now() - run.start > STREAMABLE_FOR) {
      throw new RefusedError(
        `Response ${id} can no longer be streamed because it is more than 5 minutes old.`,
      );
    }
    const after = query.get("starting_after") ?? "-1";
    if (!/^(-1|[0-9]{1,9})$/.test(after)) {
      throw new RefusedError(
        `Invalid 'starting_after': expected an integer, got '${after}'.`,
      );
    }
    return streamOf(run, asked, Number(after));
  }

  /** `POST /v1/responses/{id}/cancel` */
  cancel({ clock }: Asked, id: string): Reply {
    const run = this.#run(id);
    if (!run.isBackground) {
      throw new RefusedError(
        `Response ${id} cannot be cancelled: it was not created with background=true.`,
      );
    }
    run.cancel(clock.now());
    return jsonReply(run.response(clock.now()));
  }

  /** Equal requests get equal answers, but what goes on by itself is not shared. */
  #idOf(body: string, isBackground: boolean): string {
    const id = digest(body);
    if (!isBackground) return id;
    const count = (this.#repeats.get(id) ?? 0) + 1;
    this.#repeats.set(id, count);
    return count === 1 ? id : `${id}${count}`;
  }

  #keep(run: ResponseRun): void {
    this.#runs.delete(run.id);
    this.#runs.set(run.id, run);
    if (this.#runs.size <= KEPT) return;
    for (const [oldest] of this.#runs) {
      this.#runs.delete(oldest);
      return;
    }
  }

  #run(id: string): ResponseRun {
    const run = this.#runs.get(id);
    if (run) return run;
    throw new RefusedError(`Response with id '${id}' not found.`, 404);
  }
}

/** The events of a response that follow the one with this number. */
function streamOf(run: ResponseRun, { plan }: Asked, after: number): Reply {
  const isNumbered = plan.sequence?.kind !== "unnumbered";
  const numbered = (
    event: Parameters<typeof typed>[0],
    sequence_number: number,
  ) => typed(isNumbered ? { ...event, sequence_number } : event);
  const events = function* (): Generator<WireEvent> {
    let number = 0;
    for (const [event, due] of run.events()) {
      if (number > after) yield { ...numbered(event, number), due };
      number++;
    }
  };
  return streamReply({
    events: events(),
    error: (sent) => [
      numbered({
        type: "error",
        error: { type: "server_error", ...FAILURE, param: null },
      }, after + 1 + sent),
      numbered({
        type: "response.failed",
        response: run.failed(FAILURE.code, FAILURE.message),
      }, after + 2 + sent),
    ],
    ping: typed({ type: "keepalive" }),
    ended: run.isBackground ? run.cancelled : undefined,
  }, plan);
}
