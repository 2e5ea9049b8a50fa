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

interface Ran {
  readonly code: number;
  readonly text: string;
}

function run(command: string, ...args: string[]): Ran {
  const { code, stdout, stderr } = new Deno.Command(command, { args })
    .outputSync();
  const [out, errors] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes).trim()
  );
  return { code, text: `${out}${errors}` };
}

/** A file system in a file, which the kernel takes for broken when it is told so. */
export class FailingDisk implements Disposable {
  /** The folder that it is mounted at. */
  readonly path: string;
  /** The shared mount below which the disk is mounted. */
  readonly #folder: string;
  /** The device that shows the file as a disk, from the beginning to the end. */
  readonly #device: string;

  private constructor(path: string, folder: string, device: string) {
    this.path = path;
    this.#folder = folder;
    this.#device = device;
  }

  /**
   * Mounts a disk.
   *
   * @param folder A folder for its file.
   * @returns `undefined` if the machine does not let root mount, as in a container.
   */
  static mount(folder: string): FailingDisk | undefined {
    const [around, image] = [`${folder}/around`, `${folder}/disk.img`];
    const path = `${around}/disk`;
    Deno.mkdirSync(around);
    using file = Deno.openSync(image, { create: true, write: true });
    file.truncateSync(16 * 1024 * 1024);
    // Not by `mount`: `e2fsck` needs the device while the disk is not mounted.
    const { code, text: device } = run("losetup", "--find", "--show", image);
    if (code === 0) {
      const disk = new FailingDisk(path, around, device);
      const isMade = run("mkfs.ext4", "-q", "-F", device).code === 0;
      if (isMade && disk.#share() && disk.#mount()) return disk;
      disk[Symbol.dispose]();
    }
    console.log("The test is ignored: this machine lets nobody mount a disk");
    return undefined;
  }

  /** Lets nothing be written any more: the kernel does so when it finds an error. */
  fail(): void {
    const name = this.#device.split("/").at(-1);
    Deno.writeTextFileSync(`/sys/fs/ext4/${name}/trigger_fs_error`, "1");
  }

  /** Mounts it again: nobody may have a file of it open. */
  repair(): void {
    const left = run("umount", this.path);
    if (left.code !== 0) throw new Error(`The disk is in use: ${left.text}`);
    // The lowest bit says that it has mended something.
    const checked = run("e2fsck", "-y", "-f", this.#device);
    if (checked.code > 1) {
      throw new Error(`The disk cannot be mended: ${checked.text}`);
    }
    if (!this.#mount()) throw new Error("The disk cannot be mounted again");
  }

  /**
   * Makes the folder a shared mount. When this process unmounts the disk, Linux then
   * unmounts it in every program with `OWN_MOUNTS`, too. Such a program has a copy of the
   * mount, which would keep the device in use and read-only.
   */
  #share(): boolean {
    const folder = this.#folder;
    if (run("mount", "--bind", folder, folder).code !== 0) return false;
    Deno.mkdirSync(this.path);
    return run("mount", "--make-shared", folder).code === 0;
  }

  #mount(): boolean {
    const options = ["--rw", "-o", "errors=remount-ro"];
    return run("mount", ...options, this.#device, this.path).code === 0;
  }

  [Symbol.dispose](): void {
    run("umount", "-l", this.path);
    run("umount", "-l", this.#folder);
    run("losetup", "--detach", this.#device);
  }
}
