import { LEAST_SIZE } from "./event.ts";
import type { Counts } from "./generator/main.ts";
import { BenchProcess, canPin, type StartOptions } from "./process.ts";
import type { RunningServer, Server } from "./servers/server.ts";
import { sleep } from "../sleep.ts";

/** The load that every server is measured with. */
export interface Load {
  readonly subscribers: number;
  /** The bytes of an event's data. */
  readonly size: number;
  /** In events a second; 0 for as many as the server takes. */
  readonly rate: number;
}

/** The way of measuring. */
export interface Method {
  readonly seconds: number;
  /** Events in an HTTP chunk of the upstream. */
  readonly chunk: number;
}

/**
 * One measurement. Shares are of one core's time; latencies in milliseconds.
 * Shares are of one core's time; latencies in milliseconds.
 */
export interface Measurement {
  /** Events a second, of all subscribers together. */
  readonly delivered: number;
  readonly eventsPerMessage: number;
  /** In seconds. */
  readonly cpuPerMillion: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** In bytes, while all are connected and nothing is sent. */
  readonly rssPerConnection: number;
  /** In bytes, at the end. */
  readonly rss: number;
  readonly serverShare: number;
  /**
   * The share of the time in which the server waited for its core: others had
   * it.
   */
  readonly waitShare: number;
  readonly generatorShare: number;
  readonly feedShare: number;
  /** The generator's, in µs. */
  readonly cpuPerRead: number;
  readonly missed: number;
  readonly errors: number;
}

/** Time for the compiler to find what is hot, in milliseconds. */
const WARM_UP = 2_000;

/** Time for a server to come to rest before its memory is read, in milliseconds. */
const REST = 1_000;

const SERVER_CORE = 0;
const LOAD_CORE = 1;

/** Whether every process has its core. */
export const pinned: boolean = canPin() && navigator.hardwareConcurrency > 1;

function startModule(module: string, args: readonly unknown[]): BenchProcess {
  const path = new URL(module, import.meta.url).pathname;
  const options: StartOptions = pinned ? { core: LOAD_CORE } : {};
  return new BenchProcess(
    [Deno.execPath(), "run", "-A", path, ...args.map(String)],
    options,
  );
}

/** A server with those who send to it and read from it, all of them started. */
export class Setup implements AsyncDisposable {
  readonly server: RunningServer;
  readonly feed: BenchProcess;
  readonly generator: BenchProcess;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    server: RunningServer,
    feed: BenchProcess,
    generator: BenchProcess,
    stack: AsyncDisposableStack,
  ) {
    this.server = server;
    this.feed = feed;
    this.generator = generator;
    this.#stack = stack;
  }

  /**
   * Starts everything; nobody is connected yet.
   *
   * @param limit How many events are sent in all; 0 for no limit.
   */
  static async start(
    { feed: kind, protocol, start }: Server,
    { size, rate }: Omit<Load, "subscribers">,
    chunk: number,
    limit = 0,
  ): Promise<Setup> {
    if (size < LEAST_SIZE) throw new Error(`Events have ${LEAST_SIZE} bytes`);
    await using stack = new AsyncDisposableStack();
    const core = pinned ? SERVER_CORE : undefined;
    const startFeed = (port: number): BenchProcess =>
      stack.use(
        startModule("feed/main.ts", [kind, port, size, rate, chunk, limit]),
      );
    let feed: BenchProcess;
    let server: RunningServer;
    if (kind === "sse") {
      feed = startFeed(0);
      const [port] = await feed.hear(/^[0-9]+$/);
      const upstream = `http://127.0.0.1:${port}/`;
      server = stack.use(await start({ core, upstream }));
    } else {
      server = stack.use(await start({ core, upstream: "" }));
      feed = startFeed(server.port);
    }
    const generator = stack.use(
      startModule("generator/main.ts", [protocol, server.port, size]),
    );
    return new Setup(server, feed, generator, stack.move());
  }

  /**
   * Connects subscribers; returns what each has added to the server's memory, in
   * bytes, once it has come to rest.
   */
  async connect(subscribers: number): Promise<number> {
    await sleep(REST);
    const before = this.server.process.usage();
    await this.generator.say(`connect ${subscribers}`);
    await this.generator.hear(/^connected$/);
    await sleep(REST);
    return (this.server.process.usage().rss - before.rss) / subscribers;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** Measures a server with a load, once. */
export async function measure(
  server: Server,
  load: Load,
  { seconds, chunk }: Method,
): Promise<Measurement> {
  await using setup = await Setup.start(server, load, chunk);
  const { generator, feed } = setup;
  const rssPerConnection = await setup.connect(load.subscribers);
  const usage = () =>
    [setup.server.process, generator, feed].map((process) => process.usage());

  await feed.say("go");
  await sleep(WARM_UP);
  await generator.say("begin");
  const began = performance.now();
  const before = usage();
  await sleep(seconds * 1_000);
  const after = usage();
  const elapsed = (performance.now() - began) / 1_000;
  await generator.say("end");
  const [json] = await generator.hear(/^\{.*\}$/);
  const counts: Counts = JSON.parse(json);

  const cpu = (index: number): number =>
    (after[index]?.cpu ?? NaN) - (before[index]?.cpu ?? NaN);
  return {
    delivered: counts.delivered / elapsed,
    eventsPerMessage: counts.delivered / counts.messages,
    cpuPerMillion: cpu(0) / counts.delivered * 1e6,
    p50: counts.p50 ?? NaN,
    p99: counts.p99 ?? NaN,
    max: counts.max ?? NaN,
    rssPerConnection,
    rss: after[0]?.rss ?? NaN,
    serverShare: cpu(0) / elapsed,
    waitShare: ((after[0]?.waited ?? NaN) - (before[0]?.waited ?? NaN)) /
      elapsed,
    generatorShare: cpu(1) / elapsed,
    feedShare: cpu(2) / elapsed,
    cpuPerRead: cpu(1) / counts.reads * 1e6,
    missed: counts.missed,
    errors: counts.errors,
  };
}

/** Measures what an idle subscriber adds to a server's memory, in bytes. */
export async function measureIdle(
  server: Server,
  subscribers: number,
): Promise<number> {
  await using setup = await Setup.start(server, { size: 120, rate: 1 }, 1);
  return await setup.connect(subscribers);
}
