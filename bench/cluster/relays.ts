/**
 * Relays that share three NATS servers, and one that has its topics in memory, as
 * processes.
 *
 * @module
 */
import { NatsCluster } from "../../tests/cluster/nats_cluster.ts";
import { startRelay, V8_FLAGS } from "../fanout/servers/relay.ts";
import type { RunningServer } from "../fanout/servers/server.ts";

/** Relays that have the same topics. */
export interface Relays {
  readonly name: string;
  readonly all: readonly RunningServer[];
}

/** The number of relays of a cluster. */
const RELAYS = 3;

const BOUNDS = ["--max-events", "10000000", "--max-bytes", "4GiB"];

/** Three NATS servers, and relays of each kind. */
export class Setup implements AsyncDisposable {
  readonly #nats: NatsCluster;
  readonly #relays: Relays[] = [];

  private constructor(nats: NatsCluster) {
    this.#nats = nats;
  }

  /** Starts the NATS servers. */
  static async start(): Promise<Setup> {
    return new Setup(await NatsCluster.start(3));
  }

  /** The addresses of the NATS servers. */
  get servers(): readonly string[] {
    return this.#nats.ports.map((port) => `127.0.0.1:${port}`);
  }

  /** Starts relays that share topics of which so many servers have each event. */
  async cluster(replicas: number): Promise<Relays> {
    const servers = this.servers.join();
    // One after the other: the first makes the streams.
    const all: RunningServer[] = [];
    const name = `cluster, R${replicas}`;
    this.#relays.push({ name, all });
    for (let count = 0; count < RELAYS; count++) {
      all.push(
        await startRelay("relay/main.ts", V8_FLAGS, { core: undefined }, [
          "--store",
          `nats://${servers}?replicas=${replicas}&prefix=r${replicas}`,
          ...BOUNDS,
        ]),
      );
    }
    return { name, all };
  }

  /** Starts one relay without a store. */
  async alone(): Promise<Relays> {
    const launch = { core: undefined };
    const relay = await startRelay("relay/main.ts", V8_FLAGS, launch, BOUNDS);
    const relays = { name: "one relay", all: [relay] };
    this.#relays.push(relays);
    return relays;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { all } of this.#relays) {
      for (const relay of all) await relay[Symbol.asyncDispose]();
    }
    await this.#nats[Symbol.asyncDispose]();
  }
}
