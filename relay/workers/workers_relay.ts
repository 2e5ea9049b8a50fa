import { storeFailed } from "../doors/readiness.ts";
import { findMemoryLimit } from "../limits/memory/memory_limit.ts";
import { processMemory } from "../limits/memory/memory_reading.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import type { LogFormat } from "../logs/log_format.ts";
import type { Logging } from "../logs/logging.ts";
import type { CommandOptions } from "../options/schema.ts";
import type { RelayAddress } from "../relay.ts";
import { RelayStartError } from "../wiring/relay_errors.ts";
import { startOwnProgram } from "../runtime.ts";
import { parseStoreAddress } from "../stores/store_address.ts";
import { type KeptStore, openKeptStore } from "./kept_store.ts";
import { configurationOfWorker } from "./orders.ts";
import { permissionsOfWorker } from "./permissions.ts";
import { type ReservedPort, reservePort } from "./reserve_port.ts";
import { StoreFigures } from "./store_figures.ts";
import { Supervisor } from "./supervisor.ts";
import { WorkersError } from "./workers_error.ts";
import { WORKER_COMMAND } from "./worker_command.ts";

/** The parts of a relay that consists of workers. */
export interface WorkersRelayOptions {
  /** The options of the relay. */
  readonly options: CommandOptions;
  /** The number of workers, 2 at least. */
  readonly count: number;
  /** The log of this process. */
  readonly logging: Logging;
  /** The format of log lines. */
  readonly format: LogFormat;
}

/** The parts that run once it listens. */
interface Running {
  readonly kept: KeptStore;
  readonly supervisor: Supervisor;
}

/**
 * A relay that consists of workers: processes that share the port. This process keeps
 * the store.
 */
export class WorkersRelay {
  readonly #options: WorkersRelayOptions;
  readonly #closing = new AbortController();
  #running: Running | undefined;
  #drained: Promise<void> | undefined;

  /** Starts nothing yet. */
  constructor(options: WorkersRelayOptions) {
    this.#options = options;
  }

  /**
   * Opens the store, and starts the workers.
   *
   * @returns Where the relay can be reached. Rejects with a {@linkcode RelayStartError},
   * or a `WorkersError`.
   */
  async listen(): Promise<RelayAddress> {
    const { options } = this.#options;
    // Two relays that were given one port do not get as far as one file.
    const reserved = await this.#reserve();
    try {
      // A store that had to be mended commits before it is open.
      const made: { figures?: StoreFigures } = {};
      const kept = await openStore(
        options,
        (report) => made.figures?.commits.committed(report),
      );
      const figures = made.figures = new StoreFigures({
        store: kept.store,
        counts: kept.counts,
        running: () => supervisor.listening,
      });
      void figures.countEnds(this.#closing.signal);
      const supervisor = this.#supervise(kept, figures, reserved.port);
      this.#running = { kept, supervisor };
      const { hostname, port, url } = await supervisor.start(() =>
        void reserved.release()
      );
      return { hostname, port, url };
    } catch (error) {
      await reserved.release();
      await this.drain(0);
      throw error;
    }
  }

  /**
   * Drains all workers, and then closes the store.
   *
   * @param duration In milliseconds.
   */
  drain(duration: number): Promise<void> {
    return this.#drained ??= this.#drain(duration);
  }

  /** As {@linkcode WorkersRelay.drain}, at once. */
  close(): Promise<void> {
    this.#running?.supervisor.close();
    return this.drain(0);
  }

  async #drain(duration: number): Promise<void> {
    const running = this.#running;
    await running?.supervisor.drain(duration);
    this.#closing.abort();
    await running?.kept[Symbol.asyncDispose]();
  }

  async #reserve(): Promise<ReservedPort> {
    const { host, port } = this.#options.options;
    try {
      return await reservePort(host, port);
    } catch (cause) {
      throw new RelayStartError(
        "listen_failed",
        `Cannot listen on ${host}:${port}: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  #supervise(
    { store, link, forget }: KeptStore,
    figures: StoreFigures,
    port: number,
  ): Supervisor {
    const { options, count, logging, format } = this.#options;
    const maxMemory = options.limits.maxMemory ?? findMemoryLimit().bytes;
    const permissions = permissionsOfWorker(options, port, link.path);
    const config = configurationOfWorker(options, count, maxMemory);
    return new Supervisor({
      count,
      startProcess: () => startOwnProgram([WORKER_COMMAND], permissions),
      order: { config, port, link, log: format },
      figures,
      usage() {
        const { resident, heap, heapLimit } = processMemory.read();
        return { resident, heap: heap / heapLimit, heapUsed: heap };
      },
      store: () => ({
        kind: parseStoreAddress(String(options.store)).kind,
        isLasting: store.isLasting,
        isShared: link.hasOthers,
        ...(store.failure && { failure: store.failure.failure }),
      }),
      storeFailure: () => storeFailed(store),
      forget,
      log: (line) => logging.write(line),
      clock: options.clock,
    });
  }
}

async function openStore(
  ...options: Parameters<typeof openKeptStore>
): Promise<KeptStore> {
  try {
    return await openKeptStore(...options);
  } catch (cause) {
    if (cause instanceof WorkersError) throw cause;
    throw new RelayStartError("store_failed", `--store: ${messageOf(cause)}`, {
      cause,
    });
  }
}
