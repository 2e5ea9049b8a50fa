/**
 * The clients as the contract tests see them: LaunchDarkly's harness drives a
 * "test service", which opens streams and reports what comes of them.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Clock } from "../../../src/fetch/clock.ts";
import { FetchEventSource } from "../../../src/fetch/event_source.ts";
import { type EventStream, streamEvents } from "../../../src/fetch/mod.ts";
import type { ReconnectPolicy } from "../../../src/fetch/reconnect.ts";
import { LIMIT, within } from "../within.ts";

/** An event as the contract has it. */
export interface ContractEvent {
  /** Its type. */
  readonly type: string;
  /** Its data. */
  readonly data: string;
  /** The last event id. */
  readonly id: string;
}

/** A report of a client. */
export type Report =
  | { readonly kind: "event"; readonly event: ContractEvent }
  | { readonly kind: "comment"; readonly comment: string }
  | { readonly kind: "error"; readonly error: unknown };

/** The harness's parameters for a stream, under the contract's names. */
export interface StreamParams {
  /** The URL to connect to. */
  readonly streamUrl: string;
  /** The delay before a reconnection, in milliseconds. */
  readonly initialDelayMs: number;
  /** The time limit for silence, in milliseconds. */
  readonly readTimeoutMs?: number | undefined;
  /** The id after which the stream is to go on. */
  readonly lastEventId?: string | undefined;
  /** Headers of the request. */
  readonly headers?: Record<string, string> | undefined;
  /** The method of the request. */
  readonly method?: string | undefined;
  /** The body of the request. */
  readonly body?: string | undefined;
  /** Types of events that will come, besides `message`. */
  readonly types?: readonly string[] | undefined;
  /** The client's `fetch`. */
  readonly fetch: (
    input: string | URL | Request,
    init?: RequestInit,
  ) => Promise<Response>;
  /** The client's clock. */
  readonly clock?: Clock | undefined;
}

/** A client at work. */
export abstract class ContractClient implements AsyncDisposable {
  readonly #reports: Report[] = [];
  #arrived = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #ignoreError = false;

  /** Disconnects, and connects again at once. */
  abstract restart(): void;

  /** Disconnects for good. */
  abstract [Symbol.asyncDispose](): Promise<void>;

  /** Reports something. */
  protected report(report: Report): void {
    this.#reports.push(report);
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }

  /** The stream is over for good. */
  protected end(): void {
    this.#ended.resolve();
  }

  /** Waits until the client itself has given up for good. */
  async ended(): Promise<void> {
    await within(this.#ended.promise, LIMIT, "the end of the stream");
  }

  /** The next report may be an error, which is then passed over. */
  ignoreErrorHere(): void {
    this.#ignoreError = true;
  }

  /** Expects these events, in a row. */
  async events(...events: Partial<ContractEvent>[]): Promise<void> {
    for (const expected of events) {
      const report = await this.#next("an event");
      assertEquals(report, {
        kind: "event",
        event: { type: "message", data: "", id: "", ...expected },
      });
    }
  }

  /** Expects an event, of any kind. */
  async event(): Promise<ContractEvent> {
    const report = await this.#next("an event");
    if (report.kind === "event") return report.event;
    throw unexpected("an event", report);
  }

  /** Expects a comment. */
  async comment(comment: string): Promise<void> {
    assertEquals(await this.#next("a comment"), { kind: "comment", comment });
  }

  /** Expects an error. */
  async error(): Promise<unknown> {
    const report = await this.#next("an error");
    if (report.kind === "error") return report.error;
    throw unexpected("an error", report);
  }

  /** Whether everything that was reported has been expected. */
  get idle(): boolean {
    return this.#reports.length === 0;
  }

  async #next(what: string): Promise<Report> {
    const arrival = async (): Promise<Report> => {
      for (;;) {
        const report = this.#reports.shift();
        if (!report) {
          await this.#arrived.promise;
          continue;
        }
        const ignored = this.#ignoreError && report.kind === "error";
        this.#ignoreError = false;
        if (!ignored) return report;
      }
    };
    return await within(arrival(), LIMIT, what);
  }
}

function unexpected(what: string, report: Report): Error {
  return new Error(`Expected ${what}, got ${Deno.inspect(report)}`);
}

/** Returns the reconnection policy for a stream. */
function policy({ initialDelayMs: minTimeout }: StreamParams): ReconnectPolicy {
  return { minTimeout, multiplier: 1, jitter: 0 };
}

/** `FetchEventSource`. */
class SourceClient extends ContractClient {
  readonly #params: StreamParams;
  #source: FetchEventSource;

  constructor(params: StreamParams) {
    super();
    this.#params = params;
    this.#source = this.#connect(params.lastEventId);
  }

  override restart(): void {
    this.#source.close();
    this.#source = this.#connect(this.#source.lastEventId);
  }

  override [Symbol.asyncDispose](): Promise<void> {
    this.#source.close();
    return Promise.resolve();
  }

  #connect(lastEventId: string | undefined): FetchEventSource {
    const { streamUrl, method, headers, body, fetch, clock } = this.#params;
    const source = new FetchEventSource(streamUrl, {
      ...(method !== undefined && { method }),
      ...(headers !== undefined && { headers }),
      ...(body !== undefined && { body }),
      ...(clock !== undefined && { clock }),
      ...(lastEventId !== undefined && { lastEventId }),
      ...(this.#params.readTimeoutMs !== undefined &&
        { idleTimeout: this.#params.readTimeoutMs }),
      fetch,
      reconnect: policy(this.#params),
      onComment: (comment: string) => this.report({ kind: "comment", comment }),
    });
    for (const type of new Set(["message", ...this.#params.types ?? []])) {
      source.addEventListener(type, (event: Event) => {
        if (!(event instanceof MessageEvent)) return;
        const { data, lastEventId: id } = event;
        this.report({ kind: "event", event: { type: event.type, data, id } });
      });
    }
    source.addEventListener("error", (event: Event) => {
      if (event instanceof MessageEvent) return;
      this.report({ kind: "error", error: Reflect.get(event, "error") });
      if (source.readyState === FetchEventSource.CLOSED) this.end();
    });
    return source;
  }
}

/** `streamEvents`. */
class StreamClient extends ContractClient {
  readonly #params: StreamParams;
  readonly #loops: Promise<void>[] = [];
  #stream: EventStream;

  constructor(params: StreamParams) {
    super();
    this.#params = params;
    this.#stream = this.#connect(params.lastEventId);
  }

  override restart(): void {
    const { lastEventId } = this.#stream;
    this.#loops.push(this.#stream.cancel());
    this.#stream = this.#connect(lastEventId);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream.cancel();
    await Promise.all(this.#loops);
  }

  #connect(lastEventId: string | undefined): EventStream {
    const { streamUrl, method, headers, body, fetch, clock } = this.#params;
    const stream = streamEvents(streamUrl, {
      method,
      headers,
      body,
      clock,
      lastEventId,
      fetch,
      idleTimeout: this.#params.readTimeoutMs,
      reconnect: { ...policy(this.#params), onCleanEnd: "reconnect" },
      onComment: (comment: string) => this.report({ kind: "comment", comment }),
      onRetry: ({ reason }) => this.report({ kind: "error", error: reason }),
    });
    const loop = async () => {
      try {
        for await (const { event: type, data, id } of stream) {
          this.report({ kind: "event", event: { type, data, id } });
        }
      } catch (error) {
        this.report({ kind: "error", error });
      }
      if (stream === this.#stream) this.end();
    };
    this.#loops.push(loop());
    return stream;
  }
}

/** The clients that the contract holds for. */
export const contractClients: readonly {
  readonly name: string;
  readonly connect: (params: StreamParams) => ContractClient;
}[] = [
  {
    name: "FetchEventSource",
    connect: (params) => new SourceClient(params),
  },
  { name: "streamEvents", connect: (params) => new StreamClient(params) },
];
