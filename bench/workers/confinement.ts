/**
 * Confines processes to a core, and to a part of its time.
 *
 * @module
 */

/** The length of a period of which a process has its part, in microseconds. */
const PERIOD = 10_000;

const V1 = "/sys/fs/cgroup/cpu";

const V2 = "/sys/fs/cgroup";

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Control groups, each of which has a part of a core's time. */
export class Confinement implements Disposable {
  readonly #groups: string[] = [];
  readonly #isV1: boolean = exists(`${V1}/cpu.cfs_quota_us`);

  /**
   * Gives a process no more than a part of a core's time.
   *
   * @param share From 0 to 1.
   * @returns Whether this machine lets it be done.
   */
  confine(pid: number, share: number): boolean {
    const name = `rivulet-bench-${Deno.pid}-${pid}`;
    const path = `${this.#isV1 ? V1 : V2}/${name}`;
    const quota = Math.round(PERIOD * share);
    try {
      Deno.mkdirSync(path);
      this.#groups.push(path);
      if (this.#isV1) {
        Deno.writeTextFileSync(`${path}/cpu.cfs_period_us`, `${PERIOD}`);
        Deno.writeTextFileSync(`${path}/cpu.cfs_quota_us`, `${quota}`);
      } else Deno.writeTextFileSync(`${path}/cpu.max`, `${quota} ${PERIOD}`);
      Deno.writeTextFileSync(`${path}/cgroup.procs`, `${pid}`);
      return true;
    } catch {
      return false;
    }
  }

  /** Removes the groups, whose processes have ended. */
  [Symbol.dispose](): void {
    for (const path of this.#groups) {
      try {
        Deno.removeSync(path);
      } catch {
        // A process in it has yet to end: the group is empty, and does nothing.
      }
    }
  }
}

/** Binds all threads of a process to a core. */
export function pin(pid: number, core: number): void {
  new Deno.Command("taskset", {
    args: ["-a", "-p", "-c", `${core}`, `${pid}`],
    stdout: "null",
    stderr: "null",
  }).outputSync();
}
