import { once } from "node:events";
import childProcess from "node:child_process";
import * as esbuild from "esbuild";

/**
 * Has the process of esbuild end with the block that uses it.
 *
 * `esbuild.stop` does not wait for that: on a busy machine, the process was still there at
 * the end of the test.
 *
 * @example In a function that bundles
 * ```ts ignore
 * await using _service = esbuildService();
 * ```
 */
export function esbuildService(): AsyncDisposable {
  const { spawn } = childProcess;
  const children: ReturnType<typeof spawn>[] = [];
  childProcess.spawn = ((...args: Parameters<typeof spawn>) => {
    const child = spawn(...args);
    children.push(child);
    return child;
  }) as typeof spawn; // of which esbuild uses one form
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      childProcess.spawn = spawn;
      const exits = children.map((child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        // esbuild lets the process of its caller end before its own.
        child.ref();
        return once(child, "exit");
      });
      await esbuild.stop();
      await Promise.all(exits);
    },
  };
}
