// This module is browser compatible.
import type { Clock } from "../../fetch/clock.ts";
import type { HostilePlan } from "./plan.ts";
import type { Reply } from "./reply.ts";
import { bodySteps, headSteps, type Step } from "./steps.ts";

/**
 * The outcome of a request:
 *
 * - `"pending"`: it is under way.
 * - `"ended"`: the answer was given to its end.
 * - `"broken"`: the connection was reset or cut, as planned.
 * - `"aborted"`: the client left first.
 */
export type HostileOutcome = "pending" | "ended" | "broken" | "aborted";

/** A request that was made to a {@linkcode HostileProvider}. */
export interface HostileRequest {
  /**
   * The time of the request, by the clock: in milliseconds since the Unix
   * epoch.
   */
  readonly time: number;
  /** The method. */
  readonly method: string;
  /** The path, such as `/v1/responses`. */
  readonly path: string;
  /** The query. */
  readonly query: URLSearchParams;
  /** The headers; the client's key is among them. */
  readonly headers: Headers;
  /** The body as text, decoded from UTF-8; `""` until all of it was read. */
  readonly body: string;
  /** The plan for the request. */
  readonly plan: HostilePlan;
  /** The number of events sent so far. */
  readonly events: number;
  /** The outcome so far. */
  readonly outcome: HostileOutcome;
  /** Resolves with the outcome once it is no longer pending. */
  readonly done: Promise<HostileOutcome>;
}

/** One request, and the answer to it. */
export class Exchange implements HostileRequest {
  readonly time: number;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly plan: HostilePlan;
  readonly done: Promise<HostileOutcome>;
  body = "";
  events = 0;
  outcome: HostileOutcome = "pending";

  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #onDone: (outcome: HostileOutcome) => void = () => {};
  /** Ends what the connection waits for. */
  #wake: () => void = () => {};
  /** Ends a wait, but not a planned silence without an end. */
  #hurry: () => void = () => {};
  /** Ends the body on an abort, once there is a body. */
  #onAborted: (reason: unknown) => void = () => {};
  readonly #abort = (): void => {
    if (this.#finish("aborted")) this.#onAborted(this.#signal.reason);
  };

  constructor(request: Request, plan: HostilePlan, clock: Clock) {
    const url = new URL(request.url);
    this.time = clock.now();
    this.method = request.method;
    this.path = url.pathname;
    this.query = url.searchParams;
    this.headers = request.headers;
    this.plan = plan;
    this.#clock = clock;
    this.#signal = request.signal;
    this.done = new Promise((resolve) => {
      this.#onDone = resolve;
    });
    this.#signal.addEventListener("abort", this.#abort);
    if (this.#signal.aborted) this.#abort();
  }

  /** Reads the request's body. */
  async read(request: Request): Promise<Uint8Array<ArrayBuffer>> {
    try {
      const bytes = new Uint8Array(await request.arrayBuffer());
      this.body = new TextDecoder().decode(bytes);
      return bytes;
    } catch (error) {
      this.#finish("aborted");
      throw error;
    }
  }

  /** Does what is planned before the head. */
  async begin(): Promise<void> {
    for (const step of headSteps(this.plan, this.#clock)) {
      if (step.kind === "break") throw this.fail(step.error);
      await this.#pause(step);
      if (this.outcome !== "pending") throw this.#signal.reason;
    }
  }

  /** The connection is broken: returns the error. */
  fail<T>(error: T): T {
    this.#finish("broken");
    return error;
  }

  /** Answers, and does what is planned after the head. */
  respond(reply: Reply): Response {
    const { status } = reply;
    const headers = new Headers(reply.headers);
    // The length of a response that is cut short is not known.
    if (this.plan.fault) headers.delete("Content-Length");
    const steps = bodySteps(reply, this.plan, this.#clock, () => this.events++);
    const end = () => this.#hurry();
    reply.ended?.addEventListener("abort", end, { once: true });
    void this.done.then(() => reply.ended?.removeEventListener("abort", end));
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => {
        this.#onAborted = (reason) => controller.error(reason);
      },
      pull: async (controller) => {
        while (this.outcome === "pending") {
          const { done, value: step } = steps.next();
          if (done) {
            this.#finish("ended");
            return controller.close();
          }
          if (step.kind === "send") return controller.enqueue(step.bytes);
          if (step.kind === "break") {
            return controller.error(this.fail(step.error));
          }
          await this.#pause(step);
        }
      },
      cancel: () => void this.#finish("aborted"),
    }, { highWaterMark: 0 });
    return new Response(body, { status, headers });
  }

  /** Waits as a step says, or until there is nothing left to wait for. */
  #pause(step: Step): Promise<void> {
    return new Promise((resolve) => {
      const cancel = step.kind === "wait"
        ? this.#clock.setTimeout(
          resolve,
          Math.max(0, step.until - this.#clock.now()),
        )
        : () => {};
      this.#wake = () => {
        cancel();
        resolve();
      };
      this.#hurry = step.kind === "wait" ? this.#wake : () => {};
    });
  }

  /** Returns whether it was pending. */
  #finish(outcome: HostileOutcome): boolean {
    if (this.outcome !== "pending") return false;
    this.outcome = outcome;
    this.#signal.removeEventListener("abort", this.#abort);
    this.#wake();
    this.#onDone(outcome);
    return true;
  }
}
