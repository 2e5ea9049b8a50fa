import {
  Checks,
  type StoreCheck,
  type StoreContractOptions,
} from "./contract_world.ts";
import { addLogChecks } from "./log_checks.ts";
import { addSharingChecks } from "./sharing_checks.ts";
import { addStoreChecks } from "./store_checks.ts";

/**
 * Returns the checks of all that a relay needs of a store of topics: the relay's own
 * stores pass the same ones.
 *
 * @param options The maker of the stores to check.
 * @returns The checks, each on its own and in any order, for any test runner.
 *
 * @example As tests of Deno, or of Node with `test` of `node:test`
 * ```ts
 * import type { StoreContractWorld } from "@rivulet/rivulet/testing/store";
 * import { storeContract } from "@rivulet/rivulet/testing/store";
 *
 * function register(open: () => Promise<StoreContractWorld>) {
 *   for (const { name, run } of storeContract({ open })) Deno.test(name, run);
 * }
 * register;
 * ```
 */
export function storeContract(
  options: StoreContractOptions,
): readonly StoreCheck[] {
  const checks = new Checks(options);
  addLogChecks(checks);
  addStoreChecks(checks);
  addSharingChecks(checks);
  return checks.all;
}
