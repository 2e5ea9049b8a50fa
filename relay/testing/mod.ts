/**
 * The tests that a store of topics must pass. Use them if you write a store of your
 * own, which `createRelay({ store })` of `./relay` then takes.
 *
 * {@linkcode storeContract} returns a list of checks, each with a name and a
 * function. A check opens a new, empty store with the retention that it needs, and
 * drives it by a `FakeClock`, so that no check waits. Register each one
 * as a test of your test runner.
 *
 * @example Check a store
 * ```ts
 * import { FakeClock } from "@rivulet/rivulet/testing";
 * import { storeContract } from "@rivulet/rivulet/testing/store";
 * import type { Retention, Store } from "@rivulet/rivulet/relay";
 *
 * function testMine(
 *   makeStore: (retention: Retention, clock: FakeClock) => Store,
 * ): void {
 *   const checks = storeContract({
 *     open: async (retention) => {
 *       const clock = new FakeClock(1_000_000);
 *       const store = makeStore(retention, clock);
 *       await store.open();
 *       const close = () => store[Symbol.asyncDispose]();
 *       return { store, clock, [Symbol.asyncDispose]: close };
 *     },
 *   });
 *   for (const { name, run } of checks) Deno.test(`MyStore ${name}`, run);
 * }
 * testMine;
 * ```
 *
 * @module
 */
export type {
  StoreCheck,
  StoreContractOptions,
  StoreContractWorld,
} from "./contract_world.ts";
export { storeContract } from "./store_contract.ts";
