import { pinned } from "../fanout/load.ts";
import { BenchProcess, type StartOptions } from "../fanout/process.ts";
import { startAndHear } from "../fanout/servers/program.ts";
import type { Attack } from "./attacks.ts";
import type { Health } from "./prober.ts";
import { sleep } from "../sleep.ts";

/** What an attack did to a relay. Memory is in bytes. */
export interface Effect extends Health {
  /** The share of a core that the relay took during the attack. */
  readonly cpu: number;
  /** The share of the time for which the relay waited for its core: others had it. */
  readonly waited: number;
  /** The resident memory before the attack, at its height, and after it. */
  readonly before: number;
  readonly peak: number;
  readonly after: number;
  /** Whether the relay was healthy after the attack. */
  readonly lives: boolean;
}

/** How it is measured. */
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

/** The time for the prober to warm up, and for the relay to come to rest, in milliseconds. */
const REST = 700;

const ROOT = new URL("../../", import.meta.url);

function deno(module: string, ...args: readonly unknown[]): string[] {
  const { pathname } = new URL(module, ROOT);
  return [Deno.execPath(), "run", "-A", "--no-check", pathname]
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

/** Attacks a new relay, and looks at its health and its memory meanwhile. */
export async function measure(
  attack: Attack,
  { seconds, relay: module }: Method,
): Promise<Effect> {
  await using stack = new AsyncDisposableStack();
  const { descriptors, flags = [] } = attack;
  const command = deno(module, "--port", 0, "--log-level", "warning", ...flags)
    .concat(await upstreamFlags(attack, stack));
  const limited = descriptors === undefined
    ? command
    : ["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh", ...command];
  const { port, process } = stack.use(
    await startAndHear(
      limited,
      { core: pinned ? RELAY_CORE : undefined, upstream: "" },
      / on http:\/\/\S+:([0-9]+)$/,
    ),
  );
  const prober = stack.use(
    new BenchProcess(deno("bench/attack/prober.ts", port), on(LOAD_CORE)),
  );
  await prober.hear(/^ready$/);
  await sleep(REST);
  const before = process.usage();
  const attacker = stack.use(
    new BenchProcess(
      ["nice", ...deno("bench/attack/attacker.ts", attack.name, port)],
      on(LOAD_CORE),
    ),
  );
  await attacker.hear(/^ready$/);
  await prober.say("begin");
  const start = process.usage();
  const began = performance.now();
  let peak = start.rss;
  while (performance.now() - began < seconds * 1_000) {
    await sleep(LOOK);
    peak = Math.max(peak, process.usage().rss);
  }
  const end = process.usage();
  const elapsed = (performance.now() - began) / 1_000;
  await prober.say("end");
  const health: Health = JSON.parse((await prober.hear(/^\{.*\}$/))[0]);
  await attacker[Symbol.asyncDispose]();
  await sleep(REST);
  await prober.say("begin");
  await sleep(REST);
  await prober.say("end");
  const later: Health = JSON.parse((await prober.hear(/^\{.*\}$/))[0]);
  return {
    ...health,
    cpu: (end.cpu - start.cpu) / elapsed,
    waited: (end.waited - start.waited) / elapsed,
    before: before.rss,
    peak,
    after: process.usage().rss,
    lives: later.failed === 0 && later.max < 5_000,
  };
}
