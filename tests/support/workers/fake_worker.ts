/**
 * A worker that is no process, and does what a test tells it to.
 *
 * @module
 */
import type { StartedProcess } from "../../../relay/runtime.ts";
import { LinePeer } from "../../../relay/workers/line_peer.ts";
import {
  type CountChanges,
  countChanges,
  type StartOrder,
  startOrder,
  type Usage,
  usage,
} from "../../../relay/workers/messages.ts";

/** A worker in this process. */
export class FakeWorker {
  /** The order that it was started with. */
  readonly order: Promise<StartOrder>;
  /** The counts elsewhere that it was told. */
  readonly counts: CountChanges = [];
  /** The memory of the others, as it was told last. */
  others: Usage | undefined;
  /** The calls that it got, without `start`. */
  readonly calls: string[] = [];
  /** Answers calls but `start`; may be replaced. */
  answer: (method: string, body: unknown) => unknown = () => null;
  /** The end that supervisors see. */
  readonly process: StartedProcess;
  /** The end of the worker. */
  readonly peer: LinePeer;
  readonly #ended = Promise.withResolvers<string>();
  readonly #output = new TransformStream<Uint8Array, Uint8Array>();
  readonly #errors = new TransformStream<Uint8Array, Uint8Array>();

  /** Makes one. */
  constructor(pid: number, report: unknown) {
    const input = new TransformStream<Uint8Array, Uint8Array>();
    const output = this.#output.writable.getWriter();
    const order = Promise.withResolvers<StartOrder>();
    this.order = order.promise;
    this.process = {
      pid,
      input: input.writable,
      output: this.#output.readable,
      errors: this.#errors.readable,
      ended: this.#ended.promise,
      kill: () => this.end("SIGKILL"),
    };
    const encoder = new TextEncoder();
    this.peer = new LinePeer({
      input: input.readable,
      write: (text) => output.write(encoder.encode(text)),
      onCall: async (method, body) => {
        if (method === "start") {
          order.resolve(startOrder.parse(body));
          return report;
        }
        this.calls.push(method);
        return await this.answer(method, body);
      },
      onNote: (method, body) => {
        if (method === "counts") this.counts.push(...countChanges.parse(body));
        if (method === "usage") this.others = usage.parse(body);
      },
      onOther() {},
    });
    // It ends when its stdin does, as workers do.
    void this.peer.closed.then(() => this.end("status 0"));
    this.#end = () => {
      output.close().catch(() => {});
      this.#errors.writable.close().catch(() => {});
    };
  }

  readonly #end: () => void;

  /** Ends it. */
  end(how: string): void {
    this.#ended.resolve(how);
    this.#end();
  }
}
