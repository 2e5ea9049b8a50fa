import { TextLineStream } from "@std/streams/text-line-stream";
import type { Clock } from "../../src/fetch/clock.ts";
import type { Figure } from "../metrics/instruments.ts";
import { type Problem, unresponsiveWorker } from "../problem.ts";
import type { RelayStatus } from "../status/relay_status.ts";
import type { StartedProcess } from "../runtime.ts";
import { LinePeer, PeerError } from "./line_peer.ts";
import {
  type CountChanges,
  countChanges,
  figures,
  idle,
  readRefusal,
  type StartOrder,
  type StartReport,
  startReport,
  type Usage,
  usage,
  writeRefusal,
} from "./messages.ts";

/** The time that a worker has for an answer, in milliseconds. */
const PATIENCE = 5_000;

/** The process that has started a worker, as far as the worker can ask and tell it. */
export interface WorkerListener {
  /** Writes the figures of all workers. */
  metrics(): Promise<string>;
  /** Returns for how long nobody has followed a topic at any worker, in milliseconds. */
  idleFor(topic: string): Promise<number>;
  /** Returns why a worker is not ready, if one is not. */
  readiness(query: string): Promise<Problem | undefined>;
  /** Returns how the workers are, as one relay; that of the worker that asks is the first. */
  status(worker: WorkerProcess): Promise<RelayStatus>;
  /** Returns why the workers do not work, if they do not. */
  health(): Promise<Problem | undefined>;
  /** Is told what a worker has counted. */
  counted(worker: WorkerProcess, changes: CountChanges): void;
  /** Is told a line of a worker's log. */
  logged(line: string): void;
  /** Is told a line that a worker has written otherwise, such as the last words of its runtime. */
  said(worker: WorkerProcess, line: string): void;
}

/** A worker, as the process sees it that has started it. */
export class WorkerProcess {
  /** The number of the worker, from 1 on. */
  readonly number: number;
  /** Resolves when the worker has ended and all that it said is read, with how it ended. */
  readonly ended: Promise<string>;
  /** The id of its store, once it listens. */
  store: string | undefined;
  /** The memory that it occupies, as it has said last. */
  usage: Usage = { resident: 0, heap: 0 };
  /** Its figures, as it has told them last. */
  lastFigures: readonly Figure[] = [];
  /** The status that it has told last. */
  lastStatus: RelayStatus | undefined;
  readonly #process: StartedProcess;
  readonly #peer: LinePeer;
  readonly #clock: Clock;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  /** Takes a process that was just started. */
  constructor(
    number: number,
    process: StartedProcess,
    listener: WorkerListener,
    clock: Clock,
  ) {
    this.number = number;
    this.#process = process;
    this.#clock = clock;
    this.#writer = process.input.getWriter();
    this.#writer.closed.catch(() => {}); // the process has ended, which `ended` tells
    const encoder = new TextEncoder();
    this.#peer = new LinePeer({
      input: process.output,
      write: (text) => this.#writer.write(encoder.encode(text)),
      onCall: (method, body) => call(listener, this, method, body),
      onNote: (method, body) => this.#note(listener, method, body),
      onOther: (line) => listener.said(this, line),
    });
    const said = this.#readErrors((line) => listener.said(this, line));
    this.ended = Promise.all([process.ended, this.#peer.closed, said])
      .then(([how]) => how);
  }

  /** The number that the system has given the process. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Has the worker listen. */
  async start(order: StartOrder): Promise<StartReport> {
    const report = startReport.parse(await this.#peer.call("start", order));
    if (report.kind === "listening") this.store = report.store;
    return report;
  }

  /** Returns the figures of the worker; those before if it does not answer. */
  async figures(): Promise<readonly Figure[]> {
    try {
      const told = figures.parse(await this.#ask("figures"));
      // They are as prom-client has written them.
      this.lastFigures = told as unknown as readonly Figure[];
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
    }
    return this.lastFigures;
  }

  /** Returns the status of the worker; the one before if it does not answer. */
  async status(): Promise<RelayStatus | undefined> {
    try {
      // It is as the relay has written it.
      this.lastStatus = await this.#ask("status") as RelayStatus;
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
    }
    return this.lastStatus;
  }

  /** Returns for how long nobody has followed a topic there, in milliseconds. */
  async idleFor(topic: string): Promise<number> {
    try {
      return idle.parse(await this.#ask("idle", topic));
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      return Infinity; // whoever has followed there is gone
    }
  }

  /** Returns why the worker is not ready, if it is not. */
  async readiness(query: string): Promise<Problem | undefined> {
    try {
      return readRefusal(await this.#ask("readiness", query));
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      return unresponsiveWorker(this.number);
    }
  }

  /**
   * Waits for a sign of life.
   *
   * @param patience For how long, in milliseconds.
   * @returns Whether there was one.
   */
  async isAlive(patience: number): Promise<boolean> {
    try {
      await this.#ask("ping", null, patience);
      return true;
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      return false;
    }
  }

  /** Tells the worker of changes at others, and what they occupy. */
  tell(changes: CountChanges): void {
    this.#peer.note("counts", changes);
  }

  /** Tells the worker what the other processes occupy, unless it has yet to read that. */
  tellUsage(others: Usage): void {
    if (!this.#peer.isBusy) this.#peer.note("usage", others);
  }

  /** Drains the worker; resolves when its relay is closed, or it has ended. */
  async drain(duration: number): Promise<void> {
    await this.#peer.call("drain", duration).catch(() => {});
    await this.#writer.close().catch(() => {});
  }

  /** Cuts the drain short. */
  close(): void {
    this.#peer.note("close");
  }

  /** Ends the process at once. */
  kill(): void {
    this.#process.kill();
  }

  #note(listener: WorkerListener, method: string, body: unknown): void {
    switch (method) {
      case "counts":
        return listener.counted(this, countChanges.parse(body));
      case "usage":
        this.usage = usage.parse(body);
        return;
      case "log":
        return listener.logged(String(body));
    }
  }

  #ask(
    method: string,
    body: unknown = null,
    patience: number = PATIENCE,
  ): Promise<unknown> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#clock.setTimeout(
      () => late.reject(new PeerError(`Expected an answer in ${patience} ms`)),
      patience,
    );
    return Promise.race([this.#peer.call(method, body), late.promise])
      .finally(cancel);
  }

  async #readErrors(told: (line: string) => void): Promise<void> {
    const lines = this.#process.errors.pipeThrough(
      // The streams of Deno are of buffers that are not shared, those of Node of any.
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
    ).pipeThrough(new TextLineStream());
    for await (const line of lines) told(line);
  }
}

async function call(
  listener: WorkerListener,
  worker: WorkerProcess,
  method: string,
  body: unknown,
): Promise<unknown> {
  switch (method) {
    case "status":
      return await listener.status(worker);
    case "metrics":
      return await listener.metrics();
    case "idle":
      return idle.encode(await listener.idleFor(String(body)));
    case "readiness":
      return writeRefusal(await listener.readiness(String(body)));
    case "health":
      return writeRefusal(await listener.health());
    default:
      throw new TypeError(`Expected a call that is known: got '${method}'`);
  }
}
