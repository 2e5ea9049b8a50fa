/** Something that fills a topic until it ends. */
export interface Source {
  /**
   * Resolves when the source is there: its upstream has answered, its file has
   * been read. Rejects with why it is not; the topic has then ended as `failed`.
   */
  readonly opened: Promise<void>;
  /** Resolves when the source fills the topic no more, for whatever reason. */
  readonly finished: Promise<void>;
  /** Stops filling the topic, and leaves it as it is. */
  stop(): void;
}
