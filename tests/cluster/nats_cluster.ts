/**
 * Three nats-servers with one JetStream, as processes.
 *
 * @module
 */
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsServer } from "../support/nats/nats_server.ts";
import { LIMIT, until } from "../support/within.ts";
import { freePort } from "../support/http/free_port.ts";
import { Line } from "./line.ts";

/** The way from one server to another. */
interface Way {
  readonly from: number;
  readonly to: number;
  readonly line: Line;
}

/** The servers, each of which can be killed and started again. */
export class NatsCluster implements AsyncDisposable {
  readonly size: number;
  readonly #folder: string;
  readonly #ports: readonly number[];
  readonly #routes: readonly number[];
  readonly #ways: readonly Way[];
  readonly #servers: (NatsServer | undefined)[] = [];

  private constructor(
    folder: string,
    ports: readonly number[],
    routes: readonly number[],
    ways: readonly Way[],
  ) {
    this.#folder = folder;
    this.#ports = ports;
    this.#routes = routes;
    this.#ways = ways;
    this.size = ports.length;
  }

  /**
   * Starts them, and waits until they have a leader.
   *
   * @param size The number of servers.
   * @param canBeCut Whether {@linkcode NatsCluster.cutOff} can be used, for which what
   * they say to each other goes through this process. Default: no.
   */
  static async start(size: number, canBeCut = false): Promise<NatsCluster> {
    const folder = await Deno.makeTempDir({ prefix: "rivulet-cluster-" });
    const ports: number[] = [];
    const routes: number[] = [];
    for (let index = 0; index < size; index++) {
      ports.push(freePort());
      routes.push(freePort());
    }
    const ways: Way[] = [];
    for (const from of canBeCut ? ports.keys() : []) {
      for (const [to, route] of routes.entries()) {
        if (to === from) continue;
        ways.push({ from, to, line: await Line.start(() => [route]) });
      }
    }
    const cluster = new NatsCluster(folder, ports, routes, ways);
    await Promise.all(ports.map((_, index) => cluster.start(index)));
    await cluster.#hasLeader();
    return cluster;
  }

  /** The ports of the servers for clients. */
  get ports(): readonly number[] {
    return this.#ports;
  }

  /** The numbers of the processes that there are. */
  get pids(): readonly number[] {
    return this.#servers.flatMap((server) => server?.pid ?? []);
  }

  /** Starts a server that is not there. */
  async start(index: number): Promise<void> {
    const folder = `${this.#folder}/${index}`;
    await Deno.mkdir(folder, { recursive: true });
    const routes = this.#routes.map((port, to) => {
      const way = this.#ways.find((way) => way.from === index && way.to === to);
      return `nats://127.0.0.1:${way?.line.port ?? port}`;
    }).join(", ");
    this.#servers[index] = await NatsServer.start({
      port: this.#ports[index]!, // within the list
      folder,
      jetstream: this.size > 1 ? "max_outstanding_catchup: 32MB" : "",
      config: this.size > 1
        ? `server_name: s${index}\ncluster { name: c, host: 127.0.0.1, port: ${
          this.#routes[index]
        }, no_advertise: true, routes: [${routes}] }`
        : "",
    });
  }

  /** Kills a server; its folder stays. */
  async kill(index: number): Promise<void> {
    await this.#servers[index]?.kill();
    this.#servers[index] = undefined;
  }

  /** Sends a server a signal. */
  signal(index: number, signal: Deno.Signal): void {
    this.#servers[index]?.signal(signal);
  }

  /** Lets the others hear nothing of a server, nor it of them; its clients do. */
  cutOff(index: number): void {
    for (const line of this.#linesOf(index)) line.silence();
  }

  /** Lets a server and the others hear each other again. */
  join(index: number): void {
    for (const line of this.#linesOf(index)) line.speak();
  }

  #linesOf(index: number): readonly Line[] {
    return this.#ways.filter(({ from, to }) => from === index || to === index)
      .map(({ line }) => line);
  }

  /** Returns the server that leads a stream. */
  async leaderOf(stream: string): Promise<number> {
    const nats = await connect({
      servers: this.#ports.map((port) => `127.0.0.1:${port}`),
      ignoreClusterUpdates: true,
    });
    try {
      const manager = await jetstreamManager(nats);
      const { cluster } = await manager.streams.info(stream);
      return Number(cluster?.leader?.slice(1) ?? 0);
    } finally {
      await nats.close();
    }
  }

  /** Says which server leads each stream, and how far the others are. */
  async describe(): Promise<string> {
    const nats = await connect({
      servers: this.#ports.map((port) => `127.0.0.1:${port}`),
      ignoreClusterUpdates: true,
    });
    try {
      const manager = await jetstreamManager(nats);
      const names: string[] = [];
      for await (const name of manager.streams.names()) names.push(name);
      const lines = await Promise.all(names.map(async (name) => {
        try {
          const { cluster, state } = await manager.streams.info(name);
          return `${name}: ${state.messages} messages, ${
            JSON.stringify(cluster)
          }`;
        } catch (error) {
          return `${name}: ${error}`;
        }
      }));
      return lines.join("\n");
    } catch (error) {
      return `NATS: ${error}`;
    } finally {
      await nats.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server?.kill()));
    for (const { line } of this.#ways) await line[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #hasLeader(): Promise<void> {
    await until(
      async () => {
        try {
          const nats = await connect({
            servers: this.#ports.map((port) => `127.0.0.1:${port}`),
            ignoreClusterUpdates: true,
          });
          try {
            const manager = await jetstreamManager(nats);
            await manager.streams.add({
              name: "probe",
              num_replicas: this.size,
            });
            await manager.streams.delete("probe");
            return true;
          } finally {
            await nats.close();
          }
        } catch {
          return undefined; // not yet
        }
      },
      LIMIT,
      "a leader of JetStream",
    );
  }
}
