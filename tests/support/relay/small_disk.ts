/**
 * A disk in memory that can be full, which only root can make.
 *
 * @module
 */
import { isMissing } from "../tools.ts";

/** Whether tests that need a disk of their own have to be ignored. */
export const CANNOT_MOUNT: boolean = Deno.build.os !== "linux" ||
  Deno.uid() !== 0 || isMissing("mount", "It is part of util-linux.");

/** A file system of a few megabytes. */
export class SmallDisk implements Disposable {
  /** The folder that it is mounted at. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Mounts a disk.
   *
   * @param path A folder.
   * @param options The options of `tmpfs`: `size=2m`.
   * @returns `undefined` if the machine does not let root mount, as in a container.
   */
  static mount(path: string, options: string): SmallDisk | undefined {
    const { success } = new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", options, "tmpfs", path],
      stderr: "null",
    }).outputSync();
    if (success) return new SmallDisk(path);
    console.log("The test is ignored: this machine lets nobody mount a disk");
    return undefined;
  }

  /** Takes all the room that is left. */
  fill(): void {
    using file = Deno.openSync(this.#ballast, {
      create: true,
      append: true,
    });
    for (let size = 1024 * 1024; size >= 1024;) {
      try {
        file.writeSync(new Uint8Array(size));
      } catch {
        size /= 2; // there is less room
      }
    }
  }

  /** Gives the room back. */
  clear(): void {
    Deno.removeSync(this.#ballast);
  }

  get #ballast(): string {
    return `${this.path}/ballast`;
  }

  [Symbol.dispose](): void {
    new Deno.Command("umount", { args: ["-l", this.path] }).outputSync();
  }
}
