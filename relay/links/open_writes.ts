/** The writes to a topic that are under way. */
interface Open {
  count: number;
  settled: PromiseWithResolvers<void> | undefined;
}

/**
 * The writes of a linked relay that are not kept or refused yet, by topic. They outlast the
 * link that they came over: over the next one, the relay asks how far its topics have come.
 */
export class OpenWrites {
  readonly #byTopic = new Map<string, Open>();

  /** The number of topics with writes under way. */
  get size(): number {
    return this.#byTopic.size;
  }

  /** Takes note of a write that begins. */
  begin(topic: string): void {
    const open = this.#byTopic.get(topic);
    if (open) open.count++;
    else this.#byTopic.set(topic, { count: 1, settled: undefined });
  }

  /** Takes note of a write that is kept or refused. */
  end(topic: string): void {
    const open = this.#byTopic.get(topic);
    if (!open || --open.count > 0) return;
    this.#byTopic.delete(topic);
    open.settled?.resolve();
  }

  /** Resolves once nothing is under way for a topic; `undefined` if nothing is now. */
  settled(topic: string): Promise<void> | undefined {
    const open = this.#byTopic.get(topic);
    return open && (open.settled ??= Promise.withResolvers()).promise;
  }
}
