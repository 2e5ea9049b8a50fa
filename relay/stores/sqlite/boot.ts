import { readFileSync } from "node:fs";
import { uptime } from "node:os";
import { type Clock, wallTime } from "../../../src/fetch/clock.ts";

/** A name for the time since the machine was started. */
export type Boot =
  | { readonly kind: "id"; readonly id: string }
  | { readonly kind: "time"; readonly startedAt: number };

const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/**
 * The clock may be corrected by this much without a restart, in milliseconds. Two
 * starts of a machine are further apart.
 */
const TOLERANCE = 2_000;

/** The part of Deno's permissions that tells whether a call would ask the operator. */
interface Permissions {
  querySync(
    descriptor: { readonly name: string; readonly [field: string]: string },
  ): { readonly state: string };
}

/**
 * Finds out what tells a restart of the machine: its boot id if it may be read
 * (`--allow-read=/proc/sys/kernel/random/boot_id`), or else the time since its start
 * (`--allow-sys=osUptime`). Node and Bun need no permission.
 *
 * @returns `undefined` if neither is allowed.
 */
export function findBoot(clock: Clock): Boot | undefined {
  if (isGranted({ name: "read", path: BOOT_ID })) {
    try {
      return { kind: "id", id: readFileSync(BOOT_ID, "utf8").trim() };
    } catch {
      // Only Linux has the file.
    }
  }
  if (!isGranted({ name: "sys", kind: "osUptime" })) return undefined;
  const startedAt = wallTime(clock) - uptime() * 1_000;
  return { kind: "time", startedAt };
}

/** Writes a boot as a text that can be kept. */
export function formatBoot(boot: Boot | undefined): string {
  return boot ? JSON.stringify(boot) : "";
}

/** Whether the machine is known not to have been restarted since a boot was written. */
export function isSameBoot(written: string, boot: Boot | undefined): boolean {
  if (written === "" || !boot) return false;
  const before: Boot = JSON.parse(written);
  if (before.kind === "id" || boot.kind === "id") {
    return before.kind === "id" && boot.kind === "id" && before.id === boot.id;
  }
  return Math.abs(before.startedAt - boot.startedAt) <= TOLERANCE;
}

/** A call without the permission would ask the operator, and wait for the answer. */
function isGranted(
  descriptor: { readonly name: string; readonly [field: string]: string },
): boolean {
  const { Deno } = globalThis as {
    // Deno alone has permissions.
    readonly Deno?: { readonly permissions?: Permissions };
  };
  return !Deno?.permissions ||
    Deno.permissions.querySync(descriptor).state === "granted";
}
