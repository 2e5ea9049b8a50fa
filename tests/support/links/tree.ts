import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { startRelay, type TestRelay } from "../relay/relay.ts";

/** Relays of which each is the store of the next one: the root first. */
export class Tree implements AsyncDisposable {
  readonly relays: readonly TestRelay[];

  private constructor(relays: readonly TestRelay[]) {
    this.relays = relays;
  }

  /**
   * Starts a root and some levels below.
   *
   * @param options The options of the root.
   * @param below Those of the relays below.
   */
  static async start(
    levels: number,
    options: RelayOptions = {},
    below: RelayOptions = {},
  ): Promise<Tree> {
    const relays = [await startRelay({ ...options, links: true })];
    for (let level = 0; level < levels; level++) {
      const store = relays.at(-1)!.url; // there is the root at least
      relays.push(await startRelay({ ...below, store, links: true }));
    }
    return new Tree(relays);
  }

  /** The root. */
  get root(): TestRelay {
    return this.relays[0]!; // it was started first
  }

  /** The relay farthest from the root. */
  get leaf(): TestRelay {
    return this.relays.at(-1)!; // there is the root at least
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const relay of this.relays.toReversed()) {
      await relay[Symbol.asyncDispose]();
    }
  }
}
