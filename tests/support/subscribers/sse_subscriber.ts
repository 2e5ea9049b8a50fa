/**
 * An SSE subscriber that checks everything that it is told.
 *
 * @module
 */
import { readEvents } from "../../../src/sse/read_events.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { Absence, TopicReader } from "./followed_topic.ts";
import { readReference } from "../recordings/reference_events.ts";
import { LIMIT, within } from "../within.ts";

/** The ways of a subscriber. */
export interface SseSubscriberOptions {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  /**
   * `readEvents`: our own reader. `text`: read by the test itself, with the
   * upstream's ids. `raw`: the same, `?raw`. `EventSource`: the runtime's own.
   */
  readonly client: "readEvents" | "text" | "raw" | "EventSource";
  /** The part of the request that has the position. */
  readonly positionIn: "header" | "query";
  /** The client whose connections the requests use. */
  readonly http: Deno.HttpClient;
}

/** An event that came, with what else was said of it. */
interface Received extends ServerSentEvent {
  readonly upstreamId?: string | undefined;
}

async function* readBlocks(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<Received> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const end = rest.lastIndexOf("\n\n") + 2;
    if (end < 2) continue;
    const text = rest.slice(0, end);
    rest = rest.slice(end);
    for (const { event, data, id, unknown } of readReference(text)) {
      yield { event, data, id, upstreamId: unknown["upstream-id"] ?? "" };
    }
  }
  // Comments are no part of an event: the first may say that the topic is pending.
  const left = rest.replace(/^:.*\n/gm, "");
  if (left !== "") throw new Error(`The stream ended within an event: ${left}`);
}

/** Yields what there is until the connection is cut; calls back if it was. */
async function* untilCut<T>(
  events: AsyncIterable<T>,
  onCut: () => void,
): AsyncGenerator<T> {
  try {
    yield* events;
  } catch (error) {
    // The runtime's error of a body whose connection was cut.
    if (!(error instanceof TypeError)) throw error;
    onCut();
  }
}

/** An SSE client of one topic. */
export class SseSubscriber {
  readonly who: string;
  readonly reader: TopicReader;
  readonly #options: SseSubscriberOptions;
  readonly #result = Promise.withResolvers<void>();
  readonly #abort = new AbortController();
  #isRunning: Promise<void> = Promise.resolve();

  constructor(
    who: string,
    reader: TopicReader,
    options: SseSubscriberOptions,
  ) {
    this.who = who;
    this.reader = reader;
    this.#options = options;
  }

  /** The readers of its topics. */
  get readers(): readonly TopicReader[] {
    return [this.reader];
  }

  /** Resolves when the topic was read to its end, and rejects at the first wrong event. */
  get done(): Promise<void> {
    return this.#result.promise;
  }

  /** The missing events, for the message of a wait that failed. */
  get state(): string {
    const { topic, seen, hasEnded, visits } = this.reader;
    return `${this.who} ${this.#options.client} (${topic.name} ${seen}/${topic.events.length}${
      hasEnded ? " ended" : ""
    } visits=${visits})`;
  }

  /** Begins to follow the topic. */
  join(): void {
    if (this.reader.topic.isAbandoned) return;
    const run = this.#options.client === "EventSource"
      ? this.#runEventSource()
      : this.#run();
    this.#isRunning = run.then(this.#result.resolve, this.#result.reject);
  }

  /** Cuts what is open, and resolves when it is. */
  async dispose(): Promise<void> {
    this.reader.topic.abandon();
    this.#abort.abort(new Error("The test is over"));
    await within(
      this.#isRunning,
      LIMIT,
      () => `the request of ${this.state} to end`,
    );
  }

  #request(
    position: string | undefined,
    accept = "text/event-stream",
  ): Promise<Response> {
    const { origin, client, positionIn, http } = this.#options;
    const url = new URL(`/topics/${this.reader.topic.name}`, origin);
    const headers = new Headers({ Accept: accept });
    if (client === "raw") url.searchParams.set("raw", "");
    if (position !== undefined && positionIn === "query") {
      url.searchParams.set("after", position);
    } else if (position !== undefined) {
      // The URL says where the first visit began: `Last-Event-ID` takes
      // precedence over it.
      url.searchParams.set("after", "start");
      headers.set("Last-Event-ID", position);
    }
    const { signal } = this.#abort;
    return fetch(url, { headers, signal, client: http });
  }

  async #run(): Promise<void> {
    const { reader } = this;
    for (;;) {
      const absence = await this.#visit();
      if (!absence) break;
      const { topic } = reader;
      await topic.reached(topic.seen + absence.for);
      if (topic.isAbandoned) return;
      // Without the relay's own events, the end is not seen: there is nothing to come back for.
      if (
        this.#options.client === "raw" && reader.seen === topic.events.length
      ) {
        await topic.reached(Infinity);
        break;
      }
    }
    // Only where the end has not been seen can there be anything more.
    const isRaw = this.#options.client === "raw";
    const position = isRaw ? reader.position : reader.topic.endPosition;
    if (position === undefined) return;
    const again = await this.#request(position);
    const text = await again.text();
    reader.expect(
      again.status === 204 && text === "",
      () => `expected 204 after the end, got ${again.status} ${text}`,
    );
  }

  /** Follows until the topic's end, or until it is time to leave: returns which absence it is. */
  async #visit(): Promise<Absence | undefined> {
    const { reader } = this;
    const isRaw = this.#options.client === "raw";
    reader.arrive();
    const response = await this.#request(reader.position);
    const type = response.headers.get("content-type") ?? "";
    if (
      response.status !== 200 || !type.startsWith("text/event-stream") ||
      !response.body
    ) {
      return reader.fail(
        `got ${response.status} ${type} ${await response.text()}`,
      );
    }
    const { signal } = this.#abort;
    // Deno's `fetch` alone may ignore the signal by now: collected_request_test.ts.
    const body = response.body.pipeThrough(new TransformStream(), { signal });
    reader.checkEpoch(response.headers.get("rivulet-epoch"));
    const events = this.#options.client === "readEvents"
      ? readEvents(body)
      : readBlocks(body);
    let end = "whole";
    for await (const event of untilCut(events, () => end = "cut")) {
      this.#onEvent(event);
      const absence = reader.takeAbsence();
      if (absence) return absence; // the loop cancels the body
    }
    reader.expect(
      isRaw ? reader.seen === reader.topic.events.length : reader.hasEnded,
      () => "the stream ended before the topic did",
    );
    // Without the relay's own events, only the end of the body tells how it was.
    const expected = isRaw && reader.topic.status !== "complete"
      ? "cut"
      : "whole";
    reader.expect(end === expected, () => `the body is ${end}`);
    return undefined;
  }

  #onEvent({ event, data, id, upstreamId }: Received): void {
    const { reader } = this;
    if (event.startsWith("rivulet.")) {
      const { client } = this.#options;
      reader.expect(client !== "raw", () => `did not expect ${event}`);
      const message = JSON.parse(data);
      reader.expect(
        `rivulet.${message.type}` === event &&
          message.topic === reader.topic.name,
        () => `${event} says ${data}`,
      );
      if (event === "rivulet.live") return reader.onLive(message.next);
      if (event !== "rivulet.end") reader.fail(`did not expect ${event}`);
      reader.onEnd(message);
      return reader.expect(
        id === reader.topic.endPosition,
        () => `the end has the id ${id}`,
      );
    }
    const [epoch, offset] = id.split(":");
    reader.checkEpoch(epoch);
    reader.onEvent(Number(offset), {
      event,
      data,
      ...(upstreamId !== undefined && { id: upstreamId }),
    });
  }

  /** The runtime's own client comes back by itself, which takes seconds: it stays. */
  async #runEventSource(): Promise<void> {
    const { reader } = this;
    const { origin } = this.#options;
    reader.arrive();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const source = new EventSource(`${origin}/topics/${reader.topic.name}`);
    const onEvent = (event: MessageEvent) => {
      try {
        this.#onEvent({
          event: event.type,
          data: event.data,
          id: event.lastEventId,
        });
        if (reader.hasEnded) resolve();
      } catch (error) {
        reject(error);
      }
    };
    const types = new Set(reader.topic.events.map(({ event }) => event));
    for (const type of [...types, "message", "rivulet.live", "rivulet.end"]) {
      source.addEventListener(type, onEvent);
    }
    source.onerror = (event) => {
      // An upstream may well name its events `error`: those are data.
      if (reader.hasEnded || event instanceof MessageEvent) return;
      const why = event instanceof ErrorEvent ? event.message : "no message";
      reject(new Error(`${this.state}: an error: ${why}`));
    };
    const stop = () => reject(this.#abort.signal.reason);
    this.#abort.signal.addEventListener("abort", stop);
    try {
      await promise;
    } finally {
      source.close();
    }
    const again = await this.#request(reader.topic.endPosition);
    reader.expect(
      again.status === 204,
      () => `got ${again.status} after the end`,
    );
    await again.body?.cancel();
  }
}
