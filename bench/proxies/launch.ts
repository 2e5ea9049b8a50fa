import { pinned } from "../fanout/load.ts";
import { BenchProcess, type Usage } from "../fanout/process.ts";
import type { Candidate } from "./candidates.ts";

const SERVER_CORE = 0;
const LOAD_CORE = 1;

/** The resources that a candidate and the generator have used so far. */
export interface Usages {
  /** The generator's, where nothing stands between. */
  readonly server: Usage;
  readonly generator: Usage;
  /** In seconds. */
  readonly time: number;
}

/** A candidate that runs, and the generator. */
export interface Launched extends AsyncDisposable {
  readonly generator: BenchProcess;
  /** The port that callers connect to. */
  readonly port: number;
  usage(): Usages;
}

/**
 * Starts a generator on one core, and a candidate on another, whose provider the
 * generator is.
 *
 * @param module The generator's, which says the provider's port first.
 */
export async function launch(
  candidate: Candidate,
  module: URL,
): Promise<Launched> {
  await using stack = new AsyncDisposableStack();
  const generator = stack.use(
    new BenchProcess(
      [Deno.execPath(), "run", "-A", module.pathname],
      pinned ? { core: LOAD_CORE } : {},
    ),
  );
  const upstream = Number((await generator.hear(/^[0-9]+$/))[0]);
  const core = pinned ? SERVER_CORE : undefined;
  const server = candidate.kind === "direct"
    ? { process: generator, port: upstream }
    : stack.use(await candidate.start({ core, upstream }));
  const running = stack.move();
  return {
    generator,
    port: server.port,
    usage: () => ({
      server: server.process.usage(),
      generator: generator.usage(),
      time: performance.now() / 1_000,
    }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
