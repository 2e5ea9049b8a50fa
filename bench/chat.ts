/**
 * The faults that each kind of chat survives: `deno task bench:chat` runs each
 * scenario of `tests/browser/chat/` in Chromium, and prints a table. It needs
 * Debian's `chromium` and `redis-server`.
 *
 * `tests/bench/chat_test.ts` holds the lines of the table in `docs/chat.md` to the code.
 *
 * @module
 */
import {
  CHAT_SCENARIOS,
  type ChatScenario,
  type ScenarioOptions,
} from "../tests/support/chat/chat_scenarios.ts";
import { type ChatSetup, ChatWorld } from "../tests/support/chat/chat_world.ts";
import { reactSetup } from "../tests/support/chat/library_setups.ts";
import { relayedSetup } from "../tests/support/chat/relayed_setup.ts";
import { startChromium } from "../tests/support/client/chromium.ts";
import { linesOf, WAYS } from "./chat/ways.ts";
import { resumableSetup } from "./chat/resumable_setup.ts";

/** The length of the network's absence, in milliseconds. */
const CUT = 5_000;

const SETUPS: Readonly<Record<keyof typeof WAYS, ChatSetup>> = {
  relayed: relayedSetup,
  library: reactSetup,
  resumable: resumableSetup,
};

async function outcomesOf(setup: ChatSetup): Promise<readonly string[]> {
  await using browser = await startChromium();
  const outcomes: string[] = [];
  const stands = async (
    { name, run }: ChatScenario,
    options: ScenarioOptions,
  ): Promise<boolean> => {
    // A world of its own: one that has failed may leave something behind.
    const world = await ChatWorld.start(setup, browser);
    try {
      await run(world, { cut: CUT, ...options });
      return true;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      console.error(`${setup.name}: ${name}: ${error.message}`);
      return false;
    } finally {
      world.gate.open();
      await world[Symbol.asyncDispose]();
    }
  };
  for (const scenario of CHAT_SCENARIOS) {
    if (await stands(scenario, {})) outcomes.push("yes");
    else if (!/tab/.test(scenario.name)) outcomes.push("no");
    else {
      const isAlone = await stands(scenario, { isAlone: true });
      outcomes.push(isAlone ? "without the second tab" : "no");
    }
  }
  return outcomes;
}

function rowOf(cells: readonly unknown[]): string {
  return `| ${cells.join(" | ")} |`;
}

if (import.meta.main) {
  const ways = Object.keys(WAYS) as (keyof typeof WAYS)[]; // they are its keys
  const columns: (readonly string[])[] = [];
  for (const way of ways) columns.push(await outcomesOf(SETUPS[way]));
  console.log(rowOf(["", ...ways.map((way) => WAYS[way].name)]));
  console.log(rowOf(["---", ...ways.map(() => "---")]));
  for (const [index, { name }] of CHAT_SCENARIOS.entries()) {
    console.log(rowOf([name, ...columns.map((column) => column[index])]));
  }
  for (const half of ["server", "page"] as const) {
    const lines = await Promise.all(ways.map((way) => linesOf(way, half)));
    console.log(rowOf([`lines of the ${half}`, ...lines]));
  }
  Deno.exit(); // Redis's client keeps a timer
}
