import { type Topic, TopicEndedError } from "../topics/topic.ts";

/**
 * A signal that is aborted with a {@linkcode TopicEndedError} when a topic ends.
 *
 * It is for what is done to a topic many times: whoever waits for `ended` is kept
 * by the topic until then, this only until it is disposed of.
 */
export class EndedSignal implements Disposable {
  /** The signal. */
  readonly signal: AbortSignal;
  readonly #stop: () => void;

  /** Watches a topic. */
  constructor(topic: Topic) {
    const controller = new AbortController();
    const changed = ({ name, state }: Topic): void => {
      if (state.kind !== "ended") return;
      controller.abort(new TopicEndedError(name, state.end));
    };
    this.signal = controller.signal;
    this.#stop = topic.observe({ changed });
    changed(topic);
  }

  /** Watches it no more. */
  [Symbol.dispose](): void {
    this.#stop();
  }
}
