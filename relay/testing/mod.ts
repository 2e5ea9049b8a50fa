/**
 * The tests that a store of topics has to pass, for those who write one of their own:
 * `createRelay({ store })` of `./relay` takes it.
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
