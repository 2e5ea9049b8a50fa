import { JetStreamStore } from "../../../relay/stores/jetstream/jetstream_store.ts";
import { parseNatsAddress } from "../../../relay/stores/jetstream/nats_address.ts";
import type { Retention } from "../../../relay/topics/log.ts";
import type { StoreContractWorld } from "../../../relay/testing/mod.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { NatsServer } from "./nats_server.ts";

/** Returns a prefix that nothing else has. */
function freshPrefix(): string {
  return `t${crypto.randomUUID().slice(0, 8)}`;
}

/** A store in a nats-server of its own, which can be opened again. */
export class JetStreamWorld implements StoreContractWorld {
  readonly clock: FakeClock = new FakeClock(1_000_000);
  readonly server: NatsServer;
  readonly #prefix = freshPrefix();
  readonly #retention: Retention;
  #store: JetStreamStore | undefined;

  private constructor(server: NatsServer, retention: Retention) {
    this.server = server;
    this.#retention = retention;
  }

  /** Opens an empty store. */
  static async open(retention: Retention): Promise<JetStreamWorld> {
    const world = new JetStreamWorld(await NatsServer.start(), retention);
    await world.#open();
    return world;
  }

  /** The store that is open. */
  get store(): JetStreamStore {
    return this.#store!; // there is one until the end
  }

  /** Closes the store, and opens it again. */
  async reopen(): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await this.#open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }

  async #open(): Promise<void> {
    const address = parseNatsAddress(
      `nats://${this.server.host}?prefix=${this.#prefix}`,
    )!; // it is an address
    const { clock } = this;
    this.#store = new JetStreamStore({
      address,
      retention: this.#retention,
      clock,
    });
    await this.#store.open();
  }
}
