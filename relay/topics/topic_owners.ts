import type { Topic } from "./topic.ts";

/** The owners of topics, and the number of topics of each. */
export class TopicOwners {
  readonly #owners = new Map<Topic, string>();
  /** The number of topics of each owner. */
  readonly #counts = new Map<string, number>();

  /** Returns the owner of a topic, if it is somebody's. */
  of(topic: Topic): string | undefined {
    return this.#owners.get(topic);
  }

  /** Returns how many topics an owner has. */
  count(owner: string): number {
    return this.#counts.get(owner) ?? 0;
  }

  /** Makes a topic somebody's that is nobody's. */
  add(topic: Topic, owner: string | undefined): void {
    if (!owner) return;
    this.#owners.set(topic, owner);
    this.#counts.set(owner, this.count(owner) + 1);
  }

  /** Makes a topic nobody's. */
  delete(topic: Topic): void {
    const owner = this.#owners.get(topic);
    if (owner === undefined) return;
    this.#owners.delete(topic);
    const left = this.count(owner) - 1;
    if (left > 0) this.#counts.set(owner, left);
    else this.#counts.delete(owner);
  }
}
