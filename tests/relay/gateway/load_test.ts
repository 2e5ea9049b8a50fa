/**
 * Many runs at a time, each with a caller and subscribers, which check every
 * event to the letter; `load_main.ts` does the same for as long as you like.
 *
 * Nothing is said of how fast it is: that is printed.
 */
import { assert, assertEquals } from "@std/assert";
import {
  type GatewayLoadOptions,
  runGatewayLoad,
} from "../../support/gateway/load/gateway_load.ts";
import { describeRound } from "./load_main.ts";

const OPTIONS: GatewayLoadOptions = {
  runs: 100,
  rate: 50,
  subscribers: 3,
  seconds: 1,
  rounds: 3,
};

/**
 * The memory that the rounds after the first may leave behind, in bytes: the
 * frames that are kept for late readers, up to a limit of their own, and
 * compiled code. The events of two rounds would be twice as much.
 */
const LEFT = 7 * 2 ** 20;

const isLinux = Deno.build.os === "linux";
if (!isLinux) {
  console.log("The load of the gateway is ignored: its clients need Linux.");
}

Deno.test({
  name: "The gateway loses nothing of many runs at a time, and keeps nothing",
  ignore: !isLinux,
  fn: async () => {
    const { rounds, requests, eventsPerRun, memory } = await runGatewayLoad(
      OPTIONS,
    );
    const { runs, subscribers: each } = OPTIONS;
    for (const round of rounds) {
      for (const line of describeRound(round, OPTIONS)) console.log(line);
      assertEquals(round.errors, []);
      const { callers, subscribers } = round;
      assertEquals(callers.whole, runs);
      assertEquals(callers.events, runs * eventsPerRun);
      assertEquals(subscribers.whole, runs * each);
      assertEquals(subscribers.events, runs * each * eventsPerRun);
    }
    assertEquals(requests, runs * rounds.length);
    const [first, last] = [rounds[0], rounds.at(-1)];
    assert(first && last);
    const grown = last.memory.heapUsed - first.memory.heapUsed;
    assert(
      grown < LEFT,
      `The rounds after the first have left ${grown} bytes; before it there were ${memory.heapUsed}`,
    );
  },
});
