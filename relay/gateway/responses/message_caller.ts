import { Buffer } from "node:buffer";
import { isFields, parseData } from "../../../src/model/wires/event_data.ts";
import { isEventStreamType } from "../../../src/fetch/media_type.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { SseParser } from "../../../src/sse/parser.ts";
import type { HeaderList } from "../../header_list.ts";
import type { Problem } from "../../problem.ts";
import type { CallerOfRun } from "../caller.ts";
import { sdkProblem } from "../sdk_problem.ts";
import { ResponseOutput } from "./response_output.ts";

/** The socket that a response's messages go to. */
export interface MessageSink {
  /** Whether the client is gone. */
  readonly isGone: boolean;
  /** Sends one message: JSON. */
  send(text: string): void;
  /** Resolves when there is room for more, or the client is gone. */
  drained(): Promise<void>;
  /** Logs and counts a problem that the client is told. */
  refused(problem: Problem): void;
}

/** The most of an answer that is no event stream, in bytes. */
const MAX_PLAIN = 1024 * 1024;

/** The longest event, in UTF-16 code units: longer ones end the topic, too. */
const MAX_EVENT_SIZE = 64 * 1024 * 1024;

/** The headers of a refusal that clients act on. */
const TOLD_HEADERS =
  /^(?:retry-after(?:-ms)?|x-request-id|x-should-retry|x-ratelimit-.*)$/;

/** The message of a stream that is over before its last word. */
const BROKEN = {
  type: "server_error",
  code: "provider_unreachable",
  message: "The provider's stream broke off before its last word",
  param: null,
} as const;

/**
 * The caller of a run that has come over a WebSocket: it gets each event of the stream as
 * a message, and any other answer as a message `error`, in the provider's words.
 */
export class MessageCaller implements CallerOfRun {
  /** The response, as far as its events have told. */
  readonly output: ResponseOutput = new ResponseOutput();
  readonly #sink: MessageSink;
  readonly #lane: string | undefined;
  readonly #onDone: () => void;
  #status = 0;
  #headers: HeaderList | undefined;
  #parser: SseParser | undefined;
  readonly #decoder = new TextDecoder();
  #plain: Uint8Array[] | undefined;
  #plainBytes = 0;
  #isDone = false;
  /** Whether the client was told how the response ends. */
  #isTold = false;

  /**
   * Waits for an answer.
   *
   * @param sink The socket.
   * @param lane The lane that messages are of, if they are of one.
   * @param onDone Called when the caller has all that it will get.
   */
  constructor(
    sink: MessageSink,
    lane: string | undefined,
    onDone: () => void = () => {},
  ) {
    this.#sink = sink;
    this.#lane = lane;
    this.#onDone = onDone;
  }

  get isGone(): boolean {
    return this.#isDone || this.#sink.isGone;
  }

  head(status: number, _statusText: string, headers: HeaderList): void {
    if (this.#status !== 0) return;
    this.#status = status;
    this.#headers = headers;
    const isStream = status < 300 &&
      isEventStreamType(headers.get("content-type"));
    if (!isStream) return void (this.#plain = []);
    this.#parser = new SseParser({
      maxEventSize: MAX_EVENT_SIZE,
      onEvent: (event) => this.#onEvent(event),
    });
  }

  write(bytes: Uint8Array): void {
    if (this.#isDone || bytes.length === 0) return;
    if (this.#plain) {
      this.#plainBytes += bytes.length;
      if (this.#plainBytes <= MAX_PLAIN) this.#plain.push(bytes);
      return;
    }
    try {
      this.#parser?.push(this.#decoder.decode(bytes, { stream: true }));
    } catch {
      this.cut(); // the event is too long
    }
  }

  drained(): Promise<void> {
    return this.#sink.drained();
  }

  end(last?: Uint8Array): void {
    if (last) this.write(last);
    if (this.#isDone) return;
    if (this.#plain) this.#tellPlain(Buffer.concat(this.#plain));
    else if (!this.#isTold) this.#tellBroken();
    this.#finish();
  }

  refuse(problem: Problem): void {
    if (this.#isDone) return;
    if (this.#status !== 0) return this.cut();
    this.#sink.refused(problem);
    this.#send(errorMessage(problem));
    this.#finish();
  }

  cut(): void {
    if (this.#isDone) return;
    if (!this.#isTold) this.#tellBroken();
    this.#finish();
  }

  #finish(): void {
    this.#isDone = true;
    this.#plain = undefined;
    this.#onDone();
  }

  #onEvent({ event: name, data }: ServerSentEvent): void {
    const text = withType(name, data);
    if (text === undefined) return;
    this.output.take(text);
    this.#isTold ||= this.output.isOver;
    this.#send(text);
  }

  /** Tells an answer that is no event stream. */
  #tellPlain(bytes: Uint8Array): void {
    const body = parseData(new TextDecoder().decode(bytes));
    if (this.#status < 300 && isFields(body) && body.object === "response") {
      // Of a server that was asked for a stream, and does not know how.
      const { status } = body;
      const type = status === "failed" || status === "incomplete"
        ? `response.${status}`
        : "response.completed";
      const text = JSON.stringify({ type, response: body });
      this.output.take(text);
      return this.#send(text);
    }
    const said = isFields(body) && isFields(body.error) ? body.error : {
      type: "server_error",
      code: null,
      message: isFields(body) && typeof body.error === "string"
        ? body.error
        : `The provider has answered ${this.#status} with what is no event stream`,
      param: null,
    };
    const headers = [...this.#headers ?? []]
      .filter(([name]) => TOLD_HEADERS.test(name));
    this.#send(JSON.stringify({
      type: "error",
      status: this.#status < 400 ? 502 : this.#status,
      error: said,
      ...(headers.length > 0 && { headers: Object.fromEntries(headers) }),
    }));
  }

  #tellBroken(): void {
    this.#send(JSON.stringify({ type: "error", status: 502, error: BROKEN }));
  }

  #send(text: string): void {
    this.#sink.send(this.#lane === undefined ? text : inLane(text, this.#lane));
  }
}

/** Returns a problem as a message. */
export function errorMessage(problem: Problem, lane?: string): string {
  const { status, facts, headers } = sdkProblem(problem);
  const text = JSON.stringify({
    type: "error",
    status,
    error: facts["error"],
    ...(Object.keys(headers).length > 0 && { headers }),
  });
  return lane === undefined ? text : inLane(text, lane);
}

/** Adds a lane to a message. */
function inLane(text: string, lane: string): string {
  // It is an object, as those are that are sent, and not empty.
  const brace = text.indexOf("{");
  return `{"stream_id":${JSON.stringify(lane)},${text.slice(brace + 1)}`;
}

/**
 * Returns the data of an event as a message, which has a type; `undefined` for pings and
 * `[DONE]`.
 */
function withType(name: string, data: string): string | undefined {
  if (data.startsWith('{"type":"')) return data;
  const wire = parseData(data);
  if (isFields(wire)) {
    if (typeof wire.type === "string") return data;
    const isError = name === "error" || "error" in wire;
    const type = isError ? "error" : name === "message" ? undefined : name;
    return JSON.stringify({ type: type ?? "response.unknown", ...wire });
  }
  if (name !== "error") return undefined;
  return JSON.stringify({
    type: "error",
    error: { ...BROKEN, message: data.slice(0, 1_000) },
  });
}
