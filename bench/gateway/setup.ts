import { pinned } from "../fanout/load.ts";
import { BenchProcess } from "../fanout/process.ts";
import { startAndHear } from "../fanout/servers/program.ts";
import type { RunningServer } from "../fanout/servers/server.ts";
import type { Options } from "./options.ts";

/** The relay has one core; the provider and the callers share the other. */
const RELAY_CORE = 0;
const LOAD_CORE = 1;

const ROOT = new URL("../../", import.meta.url);

function moduleCommand(module: string, flags: readonly string[]): string[] {
  const { pathname } = new URL(module, ROOT);
  return [Deno.execPath(), "run", "-A", ...flags, pathname];
}

/** The processes of the bench. */
export class Setup implements AsyncDisposable {
  readonly relay: RunningServer;
  readonly provider: RunningServer;
  readonly caller: BenchProcess;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    relay: RunningServer,
    provider: RunningServer,
    caller: BenchProcess,
    stack: AsyncDisposableStack,
  ) {
    this.relay = relay;
    this.provider = provider;
    this.caller = caller;
    this.#stack = stack;
  }

  /** Starts them; nobody calls yet. */
  static async start(
    module: string,
    { v8Flags }: Pick<Options, "v8Flags">,
  ): Promise<Setup> {
    await using stack = new AsyncDisposableStack();
    const on = (core: number) => pinned ? core : undefined;
    const provider = stack.use(
      await startAndHear(
        moduleCommand("bench/gateway/provider.ts", []),
        { core: on(LOAD_CORE) },
        /^([0-9]+)$/,
      ),
    );
    const upstream = `http://127.0.0.1:${provider.port}`;
    const flags = v8Flags === "" ? [] : [`--v8-flags=${v8Flags}`];
    const relay = stack.use(
      await startAndHear(
        moduleCommand(module, flags)
          .concat("--port", "0", "--provider", `bench=${upstream}/v1`),
        { core: on(RELAY_CORE) },
        / on http:\/\/\S+:([0-9]+)$/,
      ),
    );
    const caller = stack.use(
      new BenchProcess(
        moduleCommand("bench/gateway/caller/main.ts", []),
        pinned ? { core: LOAD_CORE } : {},
      ),
    );
    return new Setup(relay, provider, caller, stack.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
