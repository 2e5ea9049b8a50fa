// This module is browser compatible.
import type { Clock } from "../../fetch/clock.ts";
import { type Asked, RefusedError } from "./asked.ts";
import { eventPieces } from "./event_pieces.ts";
import { type Dialect, failure, failureReply } from "./failure.ts";
import { chat } from "./formats/chat.ts";
import { embeddings } from "./formats/embeddings.ts";
import { files } from "./formats/files.ts";
import { messages } from "./formats/messages.ts";
import { model, models } from "./formats/models.ts";
import { Responses } from "./formats/responses.ts";
import { jsonReply, piece, type Reply } from "./reply.ts";
import type { HostileAnswer } from "./plan.ts";
import { STREAM_HEADERS, typed, writer } from "./stream_reply.ts";

const PAGE =
  "<!doctype html>\n<title>Sign in</title>\n<h1>Sign in to continue</h1>\n";

const MESSAGE = "This is what the plan of the hostile provider says.";

/** Returns the dialect in which a request is answered. */
export function dialectOf({ path, headers }: Pick<Asked, "path" | "headers">) {
  return path.startsWith("messages") || headers.has("anthropic-version")
    ? "anthropic"
    : "openai";
}

/** The answer at each path, or the one that the plan puts in its place. */
export class Routes {
  readonly #responses = new Responses();
  readonly #recordings: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

  constructor(recordings: ReadonlyMap<string, Uint8Array<ArrayBuffer>>) {
    this.#recordings = recordings;
  }

  /** Answers. */
  async answer(asked: Asked): Promise<Reply> {
    const { answer = { kind: "run" } } = asked.plan;
    const dialect = dialectOf(asked);
    try {
      return answer.kind === "run"
        ? await this.#run(asked, dialect)
        : this.#planned(asked, answer, dialect);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      return failureReply(dialect, error.status, error.message);
    }
  }

  async #run(asked: Asked, dialect: Dialect): Promise<Reply> {
    const { method, path } = asked;
    switch (`${method} ${path}`) {
      case "POST responses":
        return this.#responses.create(asked);
      case "POST chat/completions":
        return chat(asked);
      case "POST messages":
        return messages(asked);
      case "POST embeddings":
        return embeddings(asked);
      case "POST files":
        return await files(asked);
      case "GET models":
        return models(dialect);
    }
    const [, kind, id, action] =
      /^(responses|models)\/([^/]+)(?:\/(cancel))?$/.exec(path) ?? [];
    if (kind && id) {
      if (kind === "models" && method === "GET" && !action) {
        return model(dialect, decodeURIComponent(id));
      }
      if (kind === "responses" && method === "GET" && !action) {
        return this.#responses.retrieve(asked, id);
      }
      if (kind === "responses" && method === "POST" && action) {
        return this.#responses.cancel(asked, id);
      }
    }
    throw new RefusedError(`Unknown request URL: ${method} ${path}.`, 404);
  }

  #planned(
    asked: Asked,
    answer: Exclude<HostileAnswer, { kind: "run" }>,
    dialect: Dialect,
  ): Reply {
    switch (answer.kind) {
      case "recording": {
        const body = this.#recordings.get(answer.name);
        if (body) return this.#recorded(asked, body, dialect);
        throw new RefusedError(
          `The plan asks for the recording '${answer.name}', which the hostile provider does not have.`,
        );
      }
      case "body":
        return this.#recorded(asked, piece(answer.text).bytes, dialect);
      case "status":
        return failureReply(dialect, answer.status, MESSAGE, {
          headers: retryAfter(answer.retryAfter, asked.clock),
        });
      case "json":
        return jsonReply(failure(dialect, 500, MESSAGE));
      case "html": {
        const page = piece(PAGE);
        return {
          ...jsonReply(null),
          headers: {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Length": String(page.bytes.byteLength),
          },
          pieces: [page],
        };
      }
      case "empty":
        return { ...jsonReply(null), headers: STREAM_HEADERS, pieces: [] };
    }
  }

  #recorded(
    { path, plan }: Asked,
    body: Uint8Array<ArrayBuffer>,
    dialect: Dialect,
  ): Reply {
    const write = writer(plan.lines);
    const error = failure(dialect, 500, MESSAGE);
    const ping = path.startsWith("chat")
      ? { event: "ping", data: "" }
      : typed({ type: dialect === "anthropic" ? "ping" : "keepalive" });
    return {
      status: 200,
      headers: STREAM_HEADERS,
      pieces: eventPieces(body),
      error: () => [
        path.startsWith("chat")
          ? write({ data: JSON.stringify(error) })
          : write(typed({ ...error, type: "error" })),
      ],
      ping: write(ping),
    };
  }
}

function retryAfter(
  form: Extract<HostileAnswer, { kind: "status" }>["retryAfter"],
  clock: Clock,
): Readonly<Record<string, string>> {
  if (!form) return {};
  if ("seconds" in form) return { "Retry-After": String(form.seconds) };
  if ("milliseconds" in form) {
    return { "Retry-After-Ms": String(form.milliseconds) };
  }
  // A date has whole seconds: not before the time.
  const time = Math.ceil(clock.now() / 1_000 + form.date) * 1_000;
  return { "Retry-After": new Date(time).toUTCString() };
}
