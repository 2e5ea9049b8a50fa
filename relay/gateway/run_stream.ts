import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
import { secretsOf } from "../../src/fetch/secrets/request_secrets.ts";
import type { Watchdog } from "../../src/fetch/watchdog.ts";
import type { BodyEnd } from "../../src/model/wires/ending.ts";
import {
  endingReader,
  formatOf,
  type TellingHeaders,
  type WireFormat,
} from "../../src/model/wires/format.ts";
import { lastWord } from "../../src/model/wires/last_word.ts";
import {
  hasToken,
  readStreamFacts,
} from "../../src/model/wires/stream_facts.ts";
import type { Usage } from "../../src/model/usage.ts";
import { parseUsage } from "../../src/model/wires/usage.ts";
import { resumePath } from "../../src/model/wires/responses/request.ts";
import { encodeEvent } from "../../src/sse/encode.ts";
import { EventTooLargeError } from "../../src/sse/errors.ts";
import { EventLimitError } from "../topics/event_limit.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import {
  EventRefusedError,
  type EventRoom,
} from "../limits/memory/event_room.ts";
import { EventScrubber } from "../secrets/event_scrubber.ts";
import type { RunTrace } from "../traces/run_trace.ts";
import type { RunUsage } from "../topics/run_facts.ts";
import type { AnswerBody, UpstreamAnswer } from "../upstream/answer.ts";
import { HeaderList } from "../header_list.ts";
import { slices, type Steps } from "../slices.ts";
import { abridgedEvents, isLong } from "./abridge.ts";
import type { CallerOfRun } from "./caller.ts";
import { lastWords, UI_STREAM_HEADERS } from "./chat/last_words.ts";
import { EventBody } from "./event_body.ts";
import { EventGate } from "./event_gate.ts";
import { streamHeaders } from "./headers.ts";
import { Judge, judgeFor, type Verdict } from "./judge.ts";
import { partsWithSecrets, type ProviderRequest } from "./provider_request.ts";
import type { Reasons } from "./reasons.ts";
import type { Recording } from "./recording/recording.ts";
import type { KeptResponse } from "./kept_response.ts";
import { type RunTopic, topicHeaders } from "./run_topic.ts";
import { StreamSample } from "./stream_sample.ts";

/** The parts of a stream. */
export interface RunStreamContext {
  /** The request that the stream answers. */
  readonly request: ProviderRequest;
  /** The caller, which gets the bytes. */
  readonly caller: CallerOfRun;
  /** The topic, which gets the events. */
  readonly topic: RunTopic;
  /** The span of the run. */
  readonly trace: RunTrace;
  /** Watches over the provider's silence. */
  readonly watchdog: Watchdog;
  /** The room for an event that is not whole yet. */
  readonly room: EventRoom;
  /** Makes reasons that may be shown. */
  readonly reasons: Reasons;
  /** Begins a recording, if runs are recorded. */
  record(topic: string): Recording | undefined;
  /**
   * The part of the response that an earlier relay has received, to be
   * continued.
   */
  readonly kept?: KeptResponse | undefined;
  /** Called once the response has an id by which it can be asked for. */
  onResponseId(id: string): void;
  /**
   * Called with the id of a response that its provider goes on with when nobody reads
   * it, before its first events are added to the topic.
   */
  onBackground(id: string): void;
}

/** The death of an answer: it was over before its provider had said how it ended. */
export interface Death {
  /** The reason, which may be shown. */
  readonly reason: string;
  /** Whether no byte of the request can have reached the provider. Default: `false`. */
  readonly isUnsent?: boolean;
}

/** The longest event, in UTF-16 code units. */
const MAX_EVENT_SIZE = 64 * 1024 * 1024;

/**
 * The number of events within which a first token is looked for: of a format that has
 * none, each event would be parsed, which takes 1 µs or more.
 */
const TOKEN_WITHIN = 256;

const encoder = new TextEncoder();

const logger = getLogger(["rivulet", "relay", "gateway"]);

/**
 * The event stream that a run passes on: one stream to its caller and its topic,
 * of however many answers of the provider it is made.
 */
export class RunStream {
  readonly #context: RunStreamContext;
  /** Of the format that the path tells, until an answer tells another. */
  #judge: Judge;
  /** Made for the first event: most answers are no streams, and a body may be long. */
  #scrubber: EventScrubber | undefined;
  readonly #gate = new EventGate();
  readonly #sample = new StreamSample();
  #hasToken = false;
  #recording: Recording | undefined;
  #delivered = 0;
  #hasResponseId = false;
  /** The number of events of which the facts were told. */
  #factsToldAt = 0;
  #isInBackground = false;
  #isUnread = false;
  /** The format of the answers. */
  #format: WireFormat;
  /** The size of the unfinished event, in UTF-16 code units. */
  #pending = 0;

  /** Makes a stream that has not begun. */
  constructor(context: RunStreamContext) {
    this.#context = context;
    this.#format = this.#formatOf();
    this.#judge = this.#judgeOf();
  }

  /** The number of events so far. */
  get delivered(): number {
    return this.#delivered;
  }

  /** Whether events have come, here or to a relay before this one: the rest follows them. */
  get hasBegun(): boolean {
    return this.#delivered > 0 || this.#context.kept !== undefined;
  }

  /** Whether the relay has given up to read its events: only the caller gets the rest. */
  get isUnread(): boolean {
    return this.#isUnread;
  }

  /** The id of the response, if the provider has told one. */
  get responseId(): string | undefined {
    return this.#judge.responseId ?? this.#context.kept?.responseId;
  }

  /** The number of the last event that has one. */
  get #sequenceNumber(): number | undefined {
    return this.#judge.sequenceNumber ?? this.#context.kept?.sequenceNumber;
  }

  /** Whether the provider goes on with the response when nobody reads it. */
  get #isBackground(): boolean {
    return this.#context.kept !== undefined || this.#judge.background;
  }

  /**
   * Whether the caller gets whole events alone: the rest of a background response may
   * come with another answer, and the relay may have the last word in a turn of a chat.
   */
  get #holdsBack(): boolean {
    return this.#isBackground || this.#context.request.peer === "application";
  }

  /** The verdict, once the provider has said how the stream ends, or can no longer say it. */
  get said(): Verdict | undefined {
    const judge = this.#judge;
    return judge.verdict ?? (judge.isOver ? judge.end("clean") : undefined);
  }

  /**
   * The URL of the rest of a background response; `undefined` if the provider does
   * not go on with the response when nobody reads it.
   */
  get rest(): URL | undefined {
    const { responseId } = this;
    const sequenceNumber = this.#sequenceNumber;
    if (!this.#isBackground || !responseId) return undefined;
    // A relay before this one may have had no event.
    if (sequenceNumber === undefined && this.#delivered > 0) return undefined;
    // Half a character has no place in a URL.
    if (!responseId.isWellFormed()) return undefined;
    // The caller may have half an event, which no other answer goes on with.
    if (this.#gate.isOpen) return undefined;
    const url = new URL(this.#context.request.url);
    // If the response was asked for by its id, the path has it already.
    const { path, query } = resumePath(responseId, sequenceNumber);
    url.pathname = url.pathname.replace(/\/responses$/, () => path);
    for (const [name, value] of Object.entries(query)) {
      url.searchParams.set(name, value);
    }
    return url;
  }

  /** Gives the topic what stands before the stream. */
  begin(): void {
    const { topic } = this.#context;
    if (topic.opening.length > 0) topic.begin(this.#scrub([...topic.opening]));
  }

  /**
   * Says how the answer to a turn of a chat ends, in place of the application.
   *
   * @returns Whether the caller has its end: otherwise nothing can be said in an event
   * stream.
   */
  breakOff(end: Verdict): boolean {
    const { request: { peer }, caller, topic } = this.#context;
    if (peer !== "application" || this.#isUnread || this.said) return false;
    if (!topic.isStreaming) {
      if (!topic.topic || end.status !== "cancelled") return false;
      const headers = new HeaderList(Object.entries(UI_STREAM_HEADERS));
      const ours = topicHeaders(topic.topic);
      caller.head(STATUS_CODE.OK, "OK", streamHeaders(headers, ours));
      this.#open();
    }
    // As those are told who read the topic.
    const said = topic.topic?.verdict ?? end;
    caller.end(encoder.encode(lastWords(said)));
    return true;
  }

  /**
   * Tells the caller in its format that there is no more: not if it has no head of a
   * stream, has the provider's own last word, or would take this for the rest of an event.
   *
   * @param message The reason, in words.
   */
  tellCancelled(message: string): void {
    const { caller, topic } = this.#context;
    const isWithin = this.#pending > 0 && this.#gate.isOpen;
    if (!topic.isStreaming || this.said || isWithin || this.#isUnread) return;
    const events = lastWord(this.#format, {
      message,
      responseId: this.responseId,
      sequenceNumber: this.#sequenceNumber,
    });
    const text = events.map((event) => encodeEvent(event)).join("");
    if (text === "") return;
    // And no cut behind it: Codex 0.169 takes a cut for a bad network whatever was said
    // before, and so does the AI SDK.
    caller.end(encoder.encode(text));
  }

  /**
   * Passes an answer on: a first one, or one that goes on where another has died.
   *
   * @param response The answer.
   * @param answerBody Its body.
   * @returns The death of the answer, if the stream can be continued;
   * `undefined` if it has ended.
   * @throws {Problem} If no topic may be made for it.
   */
  async follow(
    response: UpstreamAnswer,
    answerBody: AnswerBody,
  ): Promise<Death | undefined> {
    this.#begin(response);
    const { caller, watchdog, reasons, room } = this.#context;
    const isResumed = this.hasBegun;
    room.reset();
    using body = new EventBody(answerBody, {
      maxEventSize: MAX_EVENT_SIZE,
      // Only the provider's own silence counts. The wait for the end of the body
      // started when the verdict arrived, in `#take`.
      onWait: () => {
        if (!this.said) watchdog.start();
      },
      onBytes: (bytes) => caller.write(this.#gate.push(bytes)),
      onPending: (size, left) => {
        this.#pending = size;
        room.hold(size + left + this.#gate.held);
      },
    });
    room.onRefused = (error) => {
      body.giveUp(error);
      // The relay has no room for the bytes held back: the caller takes them.
      caller.write(this.#gate.open());
    };
    let how: BodyEnd = "clean";
    let death: Death = {
      reason: "The stream has ended without a last word",
    };
    try {
      for (let isFirst = true;; isFirst = false) {
        const events = await body.nextBatch();
        if (!events) break;
        // It is then the last event of the topic, so that the events that the caller
        // has keep their numbers.
        if (body.isStray && !events.some((one) => this.#judge.takeStray(one))) {
          continue;
        }
        // Each wait for nothing would cost 1 µs or more.
        const read = this.#abridge(events);
        const told = read instanceof Promise ? await read : read;
        if (isFirst && isResumed && !this.#goesOn(told[0])) {
          how = "broken";
          death = {
            reason: "The provider did not go on where its stream broke off",
          };
          break;
        }
        const more = this.#take(events, told);
        if (more) await more;
      }
    } catch (error) {
      const reason = reasons.ofThrown(error);
      const isGivenUp = error instanceof EventRefusedError ||
        error instanceof EventTooLargeError || error instanceof EventLimitError;
      if (isGivenUp) return await this.#passOn(body, reason);
      how = "broken";
      death = { reason };
    }
    // Once the provider has said how it ends, nothing that follows changes that.
    const verdict = this.said ?? this.#judge.end(how, death.reason);
    if (!this.said && verdict.status === "truncated") return death;
    this.#finish(verdict);
    return undefined;
  }

  /**
   * Passes on the rest of an answer whose events the relay cannot hold: its topic is
   * truncated, and the caller gets every byte.
   */
  async #passOn(body: EventBody, reason: string): Promise<undefined> {
    const { caller, topic, trace, watchdog } = this.#context;
    const { said } = this;
    if (said) this.#end(said);
    else {
      trace.verdict({ status: "truncated" });
      topic.breakOff({ status: "truncated", reason });
    }
    logger.warning(
      "Stopped filling topic {topic}; its caller still gets the rest: {reason}",
      { topic: topic.topic?.name, reason },
    );
    this.#isUnread = true;
    caller.write(this.#gate.open());
    try {
      while (!caller.isGone && await body.skip()) {
        watchdog.stop();
        await caller.drained();
      }
      caller.end();
    } catch {
      caller.cut(); // it must not take a part for the whole
    }
    return undefined;
  }

  /** Ends as the provider's answer has ended, which the caller gets whole. */
  #finish(verdict: Verdict): void {
    const { caller } = this.#context;
    this.#end(verdict);
    caller.write(this.#gate.open());
    caller.end();
  }

  #begin({ status, statusText, headers }: UpstreamAnswer): void {
    const { caller, topic, trace, record } = this.#context;
    if (topic.isStreaming) {
      this.#gate.reset();
      topic.open();
      return;
    }
    const opened = topic.open();
    trace.streaming(opened.name);
    const recording = record(opened.name);
    this.#recording = recording;
    void recording?.file.then((file) => {
      if (file !== undefined) topic.tell({ recording: file });
    });
    recording?.response(status, headers);
    this.#format = this.#formatOf(headers);
    this.#judge = this.#judgeOf();
    void opened.ended.then(({ status, reason }) =>
      recording?.end(status, reason)
    );
    caller.head(
      status,
      statusText,
      streamHeaders(headers, topicHeaders(opened)),
    );
    this.#open();
  }

  /** Gives the caller what stands before the stream, as all who read the topic get it. */
  #open(): void {
    const { caller, topic } = this.#context;
    for (const event of topic.opening) {
      caller.write(encoder.encode(encodeEvent({ data: event.data })));
    }
  }

  #formatOf(headers?: TellingHeaders): WireFormat {
    const { peer, path } = this.#context.request;
    // An application need not say by a header what it is asked for.
    return peer === "application" ? "ui" : formatOf(path, headers);
  }

  #judgeOf(): Judge {
    const { reasons } = this.#context;
    return new Judge(
      endingReader(this.#format),
      (text) => reasons.redact(text),
    );
  }

  /** Whether an answer begins with the event after the last one. */
  #goesOn(event: ServerSentEvent | undefined): boolean {
    // Before the first event, which has the number 0, there is none.
    const before = this.#sequenceNumber ?? (this.#delivered > 0 ? NaN : -1);
    if (!event) return false;
    const judge = judgeFor(this.#context.request.path);
    judge.take(event);
    return judge.sequenceNumber === before + 1;
  }

  /** Returns the events as they are read: long ones are cut, in steps. */
  #abridge(
    events: ServerSentEvent[],
  ): ServerSentEvent[] | Promise<ServerSentEvent[]> {
    if (!this.#judge.isOver) this.#context.watchdog.stop();
    return events.some(isLong) ? this.#inSteps(abridgedEvents(events)) : events;
  }

  /** Does work on long events, in turns with that of other runs. */
  #inSteps<T>(steps: Steps<T>): T | Promise<T> {
    return slices.run(`events of ${this.#context.topic.topic?.name}`, steps);
  }

  /**
   * Takes events in.
   *
   * @param events The events.
   * @param told The same as they are read.
   * @returns Resolves once more may be taken; `undefined` if that is now.
   */
  #take(
    events: ServerSentEvent[],
    told: readonly ServerSentEvent[],
  ): Promise<void> | undefined {
    const { caller, topic } = this.#context;
    const judge = this.#judge;
    for (const event of told) judge.take(event);
    this.#delivered += events.length;
    this.#sample.take(told);
    this.#lookForToken(told);
    caller.write(this.#holdsBack ? this.#gate.release() : this.#gate.open());
    if (topic.isEnded) return undefined;
    this.#recording?.events(events);
    this.#tellBackground();
    if (events.some(isLong)) return this.#appendLong(events);
    const more = topic.append(this.#scrub(events));
    if (more) return more.then(() => this.#taken());
    this.#taken();
    return undefined;
  }

  /** Adds events to the topic of which some are long. */
  async #appendLong(events: ServerSentEvent[]): Promise<void> {
    const { topic } = this.#context;
    await topic.append(
      await this.#inSteps(this.#scrubberOf().scrubLong(events)),
    );
    this.#taken();
  }

  /** Says what the topic's followers are to know now, behind the events. */
  #taken(): void {
    const { watchdog } = this.#context;
    this.#tellResponseId();
    const verdict = this.said;
    if (!verdict) return;
    watchdog.start();
    // Followers need not wait for the provider to close.
    if (this.#judge.isOver) this.#end(verdict);
  }

  /** Says what the stream has told of itself, before its topic ends. */
  tellFacts(): void {
    const { topic, reasons } = this.#context;
    if (this.#delivered === this.#factsToldAt) return;
    this.#factsToldAt = this.#delivered;
    const told = readStreamFacts(this.#format, this.#sample.events);
    const usage = parseUsage(this.#judge.usage) ?? told.usage;
    const responseId = this.responseId ?? told.responseId;
    topic.tell({
      ...(usage && { usage: this.#shown(usage) }),
      ...(responseId && { responseId: reasons.ofId(responseId) }),
    });
  }

  /** Its numbers say nothing of the request; its words are the provider's. */
  #shown({ serviceTier, ...counts }: Usage): RunUsage {
    const { reasons } = this.#context;
    return {
      ...counts,
      ...(serviceTier && { serviceTier: reasons.ofId(serviceTier) }),
    };
  }

  #lookForToken(events: readonly ServerSentEvent[]): void {
    if (this.#hasToken || this.#delivered > TOKEN_WITHIN) return;
    if (!events.some(hasToken)) return;
    this.#hasToken = true;
    this.#context.topic.tellFirstToken();
  }

  #scrub(events: ServerSentEvent[]): ServerSentEvent[] {
    return this.#scrubberOf().scrub(events);
  }

  #scrubberOf(): EventScrubber {
    return this.#scrubber ??= new EventScrubber(
      secretsOf(partsWithSecrets(this.#context.request)),
    );
  }

  #tellBackground(): void {
    const { responseId, background } = this.#judge;
    if (this.#isInBackground || !background || !responseId) return;
    this.#isInBackground = true;
    // Half a character has no place in the URL of the rest.
    if (responseId.isWellFormed()) this.#context.onBackground(responseId);
  }

  #tellResponseId(): void {
    const { responseId } = this.#judge;
    if (this.#hasResponseId || !responseId) return;
    this.#hasResponseId = true;
    this.#context.onResponseId(responseId);
  }

  #end(verdict: Verdict): void {
    const { topic, trace } = this.#context;
    trace.verdict({ status: verdict.status });
    this.tellFacts();
    topic.conclude(verdict);
  }
}
