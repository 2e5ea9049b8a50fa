import { type Topic, TopicEndedError } from "../topics/topic.ts";

/**
 * A signal that is aborted with a {@linkcode TopicEndedError} when a topic ends, and
 * with another signal.
 *
 * It is for what is done to a topic many times: whoever waits for `ended` is kept
 * by the topic until then, this only until it is disposed of.
 */
export class EndedSignal implements Disposable {
  /** The signal. */
  readonly signal: AbortSignal;
  readonly #stop: () => void;

  /** Watches a topic, if there is one, and a signal that lives longer. */
  constructor(topic: Topic | undefined, other?: AbortSignal) {
    const controller = new AbortController();
    const changed = ({ name, state }: Topic): void => {
      if (state.kind !== "ended") return;
      controller.abort(new TopicEndedError(name, state.end));
    };
    this.signal = controller.signal;
    const onAbort = (): void => controller.abort(other?.reason);
    const unobserve = topic?.observe({ changed });
    other?.addEventListener("abort", onAbort);
    this.#stop = () => {
      unobserve?.();
      other?.removeEventListener("abort", onAbort);
    };
    if (other?.aborted) onAbort();
    if (topic) changed(topic);
  }

  /** Watches it no more. */
  [Symbol.dispose](): void {
    this.#stop();
  }
}
