import { getLogger } from "@logtape/logtape";
import { systemClock } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import { wait } from "../../src/fetch/retry.ts";
import { processMemory } from "../limits/memory/memory_reading.ts";
import { startLogging } from "../logs/logging.ts";
import { readConfiguration } from "../options/read_configuration.ts";
import type { CommandOptions } from "../options/schema.ts";
import type { WorkerRelay } from "../relay.ts";
import {
  type ParentAddress,
  parseParentAddress,
} from "../stores/parent/parent_address.ts";
import type { RelayStatus } from "../status/relay_status.ts";
import { LinePeer } from "../workers/line_peer.ts";
import {
  countChanges,
  idle,
  readRefusal,
  type StartOrder,
  startOrder,
  type StartReport,
  usage,
  writeRefusal,
} from "../workers/messages.ts";
import { SharedCounts } from "../workers/shared_counts.ts";
import { type Command, UnavailableError } from "./command.ts";
import { listen } from "./listen.ts";
import { relayOptionsOf } from "./relay_options_of.ts";
import type { System } from "./system.ts";

const HELP = `Is a worker of a relay: rivulet --workers starts it.
`;

/** The interval at which a worker tells what it occupies, in milliseconds. */
const TELL = 250;

/** The time that a worker has to end by itself, in milliseconds: a relay closes within 3 s. */
const LAST = 5_000;

const logger = getLogger(["rivulet", "relay", "workers"]);

/** The command that a relay starts its workers with; no help lists it. */
export const workerCommand: Command = {
  help: HELP,
  run: (_args, system) => runWorker(system),
};

/** Does what the process asks that has started this one, until that one ends. */
async function runWorker(system: System): Promise<void> {
  // The terminal, or systemd, sends signals to all processes: the one that has started
  // this one says what is to be done.
  system.onStop(() => {});
  await using worker = new Worker(system);
  await worker.peer.closed;
}

class Worker implements AsyncDisposable {
  readonly peer: LinePeer;
  readonly #counts: SharedCounts;
  readonly #stopping = new AbortController();
  #relay: WorkerRelay | undefined;
  #logging: AsyncDisposable | undefined;

  constructor(system: System) {
    this.#counts = new SharedCounts(
      systemClock,
      (changes) => void this.peer.note("counts", changes),
    );
    this.peer = new LinePeer({
      input: system.readInput(),
      write: (text) => system.write(text),
      onCall: (method, body) => this.#answer(method, body),
      onNote: (method, body) => this.#take(method, body),
      // Nobody but the process that has started this one has its stdin.
      onOther: () => {},
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    // Where the process with the store is gone, some of it may wait for ever.
    const late = Promise.withResolvers<void>();
    const cancel = systemClock.setTimeout(late.resolve, LAST);
    await Promise.race([this.#close(), late.promise]);
    cancel();
  }

  async #close(): Promise<void> {
    await this.#relay?.close();
    this.#counts[Symbol.dispose]();
    await this.#logging?.[Symbol.asyncDispose]();
  }

  async #answer(method: string, body: unknown): Promise<unknown> {
    switch (method) {
      case "start":
        return await this.#start(startOrder.parse(body));
      case "drain":
        return await this.#relay?.drain(Number(body));
      case "figures":
        return await this.#relay?.figures();
      case "status":
        return this.#relay?.status();
      case "readiness":
        return writeRefusal(
          this.#relay?.readiness(new URLSearchParams(String(body))),
        );
      case "idle":
        return idle.encode(this.#relay?.idleFor(String(body)) ?? Infinity);
      case "ping":
        return true;
      default:
        throw new TypeError(`Expected a call that is known: got '${method}'`);
    }
  }

  #take(method: string, body: unknown): void {
    switch (method) {
      case "counts":
        return this.#counts.heard(countChanges.parse(body));
      case "usage":
        this.#counts.others = usage.parse(body);
        return;
      case "close":
        return void this.#relay?.close();
    }
  }

  async #start(order: StartOrder): Promise<StartReport> {
    const options = await optionsOf(order);
    this.#logging = await startLogging({
      level: options.logLevel,
      format: order.log,
      write: (bytes) => this.peer.note("log", new TextDecoder().decode(bytes)),
      worker: order.worker,
    });
    const { createWorkerRelay } = await import("../relay.ts");
    const { ParentStore } = await import(
      "../stores/parent/parent_store.ts"
    );
    const store = new ParentStore({
      address: addressOf(order),
      token: order.link.secret,
      name: `worker ${order.worker}`,
      clock: systemClock,
    });
    const relay = this.#relay = createWorkerRelay({
      ...relayOptionsOf(options),
      store,
      port: order.port,
      reusePort: true,
      memory: {
        read: () => this.#memory(),
        collect: () => processMemory.collect(),
      },
    }, {
      count: order.of,
      isAgain: order.isAgain,
      hasOthers: order.link.hasOthers,
      starts: (index) => index % order.of === order.worker - 1,
      elsewhere: this.#counts,
      idleFor: async (topic) => idle.parse(await this.peer.call("idle", topic)),
      // It is as the process has added it up that has started this one.
      status: async () => await this.peer.call("status") as RelayStatus,
      metricsText: async () => String(await this.peer.call("metrics")),
      readiness: async (query) =>
        readRefusal(await this.peer.call("readiness", String(query))),
      health: async () => readRefusal(await this.peer.call("health")),
    });
    try {
      const address = await listen(relay);
      void this.#tellUsage();
      return { kind: "listening", ...address, store: store.id };
    } catch (error) {
      return { kind: "failed", ...failureOf(error) };
    }
  }

  /** Returns what all processes of the relay occupy, as one. */
  #memory(): { resident: number; heap: number; heapLimit: number } {
    const { resident, heap, heapLimit } = processMemory.read();
    const { others } = this.#counts;
    return {
      resident: resident + others.resident,
      // New work would be too much for the process of the store, too.
      heap: Math.max(heap, others.heap * heapLimit),
      heapLimit,
    };
  }

  async #tellUsage(): Promise<void> {
    try {
      for (;;) {
        const { resident, heap, heapLimit } = processMemory.read();
        void this.peer.note("usage", { resident, heap: heap / heapLimit });
        await wait(TELL, systemClock, this.#stopping.signal);
      }
    } catch (error) {
      if (!this.#stopping.signal.aborted) {
        logger.error("Cannot report the memory of the worker: {error}", {
          error,
        });
      }
    }
  }
}

/** Reads the options of a worker. */
async function optionsOf({ config }: StartOrder): Promise<CommandOptions> {
  const command = await readConfiguration(["--config", "the relay's own"], {
    environment: () => undefined,
    readText: () => Promise.resolve(config),
  });
  // Nothing in it asks for more.
  if (command.kind === "run") return command.options;
  throw new TypeError("Expected options to run with");
}

function addressOf({ link }: StartOrder): ParentAddress {
  const address = parseParentAddress(`unix:${link.path}`);
  if (address) return address;
  throw new TypeError(
    `Expected a folder of temporary files without ':', '?' and '#' in its path: got ${link.path}`,
  );
}

function failureOf(error: unknown): { isLater: boolean; message: string } {
  return {
    isLater: error instanceof UnavailableError,
    message: messageOf(error),
  };
}
