/**
 * A disk that becomes read-only while it is used, which only root can make.
 *
 * @module
 */
import { isMissing } from "../tools.ts";
import { CANNOT_MOUNT } from "./small_disk.ts";

/** Whether tests that need a disk which fails have to be ignored. */
export const CANNOT_FAIL: boolean = CANNOT_MOUNT ||
  isMissing("mkfs.ext4", "It is part of e2fsprogs.", "-V") ||
  isMissing("losetup", "It is part of mount or util-linux.");

function run(command: string, ...args: string[]): boolean {
  return new Deno.Command(command, { args, stderr: "null" }).outputSync()
    .success;
}

/** A file system in a file, which the kernel takes for broken when it is told so. */
export class FailingDisk implements Disposable {
  /** The folder that it is mounted at. */
  readonly path: string;
  readonly #image: string;

  private constructor(path: string, image: string) {
    this.path = path;
    this.#image = image;
  }

  /**
   * Mounts a disk.
   *
   * @param folder A folder for its file.
   * @returns `undefined` if the machine does not let root mount, as in a container.
   */
  static mount(folder: string): FailingDisk | undefined {
    const [path, image] = [`${folder}/disk`, `${folder}/disk.img`];
    Deno.mkdirSync(path);
    using file = Deno.openSync(image, { create: true, write: true });
    file.truncateSync(16 * 1024 * 1024);
    const disk = new FailingDisk(path, image);
    if (run("mkfs.ext4", "-q", "-F", image) && disk.#mount()) return disk;
    console.log("The test is ignored: this machine lets nobody mount a disk");
    return undefined;
  }

  /** Lets nothing be written any more: the kernel does so when it finds an error. */
  fail(): void {
    const { stdout } = new Deno.Command("losetup", {
      args: ["--noheadings", "--output", "NAME", "-j", this.#image],
    }).outputSync();
    const device = new TextDecoder().decode(stdout).trim().split("/").at(-1);
    Deno.writeTextFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, "1");
  }

  /** Mounts it again: nobody may have a file of it open. */
  repair(): void {
    if (!run("umount", this.path)) throw new Error("The disk is in use");
    run("e2fsck", "-p", "-f", this.#image);
    if (!this.#mount()) throw new Error("The disk cannot be mounted again");
  }

  #mount(): boolean {
    return run(
      "mount",
      ...["-o", "loop,errors=remount-ro", this.#image, this.path],
    );
  }

  [Symbol.dispose](): void {
    run("umount", "-l", this.path);
  }
}
