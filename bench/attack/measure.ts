import { pinned } from "../fanout/load.ts";
import { BenchProcess, type StartOptions } from "../fanout/process.ts";
import { startAndHear } from "../fanout/servers/program.ts";
import type { Attack } from "./attacks.ts";
import type { Health } from "./prober.ts";
import { sleep } from "../sleep.ts";

/** The load of a server during an attack. */
export interface Load extends Health {
  /** The share of a core that the server took during the attack. */
  readonly cpu: number;
  /** The share of the time for which the server waited for its core: others had it. */
  readonly waited: number;
}

/**
 * The effect of an attack on a relay. Memory is in bytes. Memory is in bytes.
 */
export interface Effect extends Load {
  /** The resident memory before the attack, at its height, and after it. */
  readonly before: number;
  readonly peak: number;
  readonly after: number;
  /** Whether the relay was healthy after the attack. */
  readonly lives: boolean;
}

/** The way of measuring. */
export interface Method {
  /** The length of an attack, in seconds. */
  readonly seconds: number;
  /** The main module of the relay. */
  readonly relay: string;
}

const RELAY_CORE = 0;
const LOAD_CORE = 1;

/** The interval at which memory is looked at, in milliseconds. */
const LOOK = 50;

/** The time in which relay and prober load and compile what a probe takes, in milliseconds. */
const WARM_UP = 1_500;

/** The time for the relay to come to rest, in milliseconds. */
const REST = 700;

const ROOT = new URL("../../", import.meta.url);

/** The flags of V8 with which a relay is run, by `deno task relay` and the unit. */
const V8_FLAGS = "--v8-flags=--max-semi-space-size=8";

function deno(module: string, ...args: readonly unknown[]): string[] {
  const { pathname } = new URL(module, ROOT);
  return [Deno.execPath(), "run", "-A", "--no-check", V8_FLAGS, pathname]
    .concat(args.map(String));
}

function on(core: number): StartOptions {
  return pinned ? { core } : {};
}

async function upstreamFlags(
  { upstream }: Attack,
  stack: AsyncDisposableStack,
): Promise<string[]> {
  if (!upstream) return [];
  const process = stack.use(
    new BenchProcess(
      ["nice", ...deno("bench/attack/upstreams.ts")],
      on(LOAD_CORE),
    ),
  );
  const [port] = await process.hear(/^[0-9]+$/);
  const url = `http://127.0.0.1:${port}`;
  return upstream === "source"
    ? ["--source", `s=${url}/`]
    : ["--provider", `bench=${url}/v1`];
}

/** A server under attack. */
interface Battle {
  readonly load: Load;
  readonly before: number;
  readonly peak: number;
  readonly server: BenchProcess;
  readonly prober: BenchProcess;
}

/** Starts a server and attacks it; when this resolves, the attack is over. */
async function fight(
  attack: Attack,
  { seconds, relay: module }: Method,
  stack: AsyncDisposableStack,
): Promise<Battle> {
  const { descriptors, flags = [] } = attack;
  const command = deno(module, "--port", 0, "--log-level", "warning", ...flags)
    .concat(await upstreamFlags(attack, stack));
  const limited = descriptors === undefined
    ? command
    : ["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh", ...command];
  const { port, process: server } = stack.use(
    await startAndHear(
      limited,
      { core: pinned ? RELAY_CORE : undefined },
      / on http:\/\/\S+:([0-9]+)$/,
    ),
  );
  const prober = stack.use(
    new BenchProcess(deno("bench/attack/prober.ts", port), on(LOAD_CORE)),
  );
  await prober.hear(/^ready$/);
  await sleep(WARM_UP);
  const before = server.usage().rss;
  await using attacker = new BenchProcess(
    ["nice", ...deno("bench/attack/attacker.ts", attack.name, port)],
    on(LOAD_CORE),
  );
  await attacker.hear(/^ready$/);
  await prober.say("begin");
  const start = server.usage();
  const began = performance.now();
  let peak = start.rss;
  while (performance.now() - began < seconds * 1_000) {
    await sleep(LOOK);
    peak = Math.max(peak, server.usage().rss);
  }
  const end = server.usage();
  const elapsed = (performance.now() - began) / 1_000;
  const health = await askHealth(prober);
  const cpu = (end.cpu - start.cpu) / elapsed;
  const waited = (end.waited - start.waited) / elapsed;
  return { load: { ...health, cpu, waited }, before, peak, server, prober };
}

async function askHealth(prober: BenchProcess): Promise<Health> {
  await prober.say("end");
  return JSON.parse((await prober.hear(/^\{.*\}$/))[0]);
}

/** Attacks a new relay, and looks at its health and its memory meanwhile. */
export async function measure(
  attack: Attack,
  method: Method,
): Promise<Effect> {
  await using stack = new AsyncDisposableStack();
  const { load, before, peak, server, prober } = await fight(
    attack,
    method,
    stack,
  );
  await sleep(REST);
  await prober.say("begin");
  await sleep(REST);
  const later = await askHealth(prober);
  return {
    ...load,
    before,
    peak,
    after: server.usage().rss,
    lives: later.failed === 0 && later.max < 5_000,
  };
}

/** Attacks, in place of a relay, a server that does nothing with what it reads. */
export async function measureFloor(
  attack: Attack,
  { seconds }: Method,
): Promise<Load> {
  await using stack = new AsyncDisposableStack();
  const relay = "bench/attack/floor.ts";
  return (await fight(attack, { seconds, relay }, stack)).load;
}
