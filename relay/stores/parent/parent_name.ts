import type { Channel } from "../../links/channel.ts";
import type { LogState } from "../../links/wire.ts";
import { ParentLog, type ParentLogStore } from "./parent_log.ts";

/** A refresh of a name that is under way. */
interface Refresh {
  readonly done: Promise<void>;
  readonly makes: boolean;
  readonly channel: Channel;
  /** The message that has it: what was acknowledged before it left is in its answer. */
  readonly message: number;
}

/** A topic name that is at hand: what it stands for at the parent, and what is being made of it here. */
export class ParentName {
  readonly name: string;
  /** The logs, by their epochs. */
  readonly logs = new Map<string, ParentLog>();
  /** Those who want to know that it stands for something else. */
  readonly listeners = new Set<() => void>();
  /** The time when it was last needed, in milliseconds since the epoch. */
  usedAt: number;
  /** Whether the parent tells of it over the link that there is. */
  isOpen = false;
  /** Whether the parent may have lost its memory since it has told of it. */
  mayBeLost = false;
  /** The refresh that is under way. */
  refresh: Refresh | undefined;
  readonly #store: ParentLogStore;
  /** The epochs, the newest first. */
  #order: readonly string[] = [];
  /** The epochs that are being deleted. */
  readonly #deleting = new Set<string>();

  constructor(store: ParentLogStore, name: string, now: number) {
    this.#store = store;
    this.name = name;
    this.usedAt = now;
  }

  /** The log that has the name. */
  get current(): ParentLog | undefined {
    const [epoch] = this.#order;
    return epoch === undefined ? undefined : this.logs.get(epoch);
  }

  /** Whether it is needed. */
  get isUsed(): boolean {
    if (this.listeners.size > 0 || this.refresh || this.#deleting.size > 0) {
      return true;
    }
    for (const { handles, isBusy } of this.logs.values()) {
      if (handles > 0 || isBusy) return true;
    }
    return false;
  }

  /** Whether something is to be done with it. */
  get isBusy(): boolean {
    for (const { isBusy } of this.logs.values()) if (isBusy) return true;
    return false;
  }

  /** Finds a log. */
  find(epoch: string | undefined): ParentLog | undefined {
    return epoch === undefined ? this.current : this.logs.get(epoch);
  }

  /** Takes up a log that is made here. */
  add(log: ParentLog): void {
    this.logs.set(log.epoch, log);
    this.#order = [log.epoch, ...this.#order];
    this.#tell();
  }

  /** Takes over what the parent says of it. */
  took(states: readonly LogState[], channel: Channel): void {
    const before = this.current?.epoch;
    const told: string[] = [];
    for (const state of states) {
      const { epoch } = state;
      if (this.#deleting.has(epoch)) continue;
      told.push(epoch);
      let log = this.logs.get(epoch);
      if (!log) {
        log = new ParentLog(this.#store, this.name, state);
        this.logs.set(epoch, log);
      }
      // A log that has had this handle over this link goes on with it.
      if (log.h !== state.h) log.resume(state, channel);
    }
    const making: string[] = [];
    for (const [epoch, log] of this.logs) {
      if (told.includes(epoch) || this.#deleting.has(epoch)) continue;
      if (log.isMaking && !log.isGone) {
        making.push(epoch);
        // The parent does not have it: nothing of what it was told over a link before is done.
        log.resumeMaking();
        continue;
      }
      this.logs.delete(epoch);
      if (this.mayBeLost && !log.ended) log.lose();
      else log.bury();
    }
    this.#order = [...making, ...told];
    this.isOpen = true;
    this.mayBeLost = false;
    if (this.current?.epoch !== before) this.#tell();
  }

  /** Begins to delete a log: here, it is gone at once. */
  deleting(epoch: string): void {
    this.#deleting.add(epoch);
    this.#order = this.#order.filter((other) => other !== epoch);
    this.logs.get(epoch)?.bury();
    this.logs.delete(epoch);
  }

  /** A log was deleted, or could not be. */
  deleted(epoch: string): void {
    this.#deleting.delete(epoch);
    this.#tell();
  }

  /** Takes note of a log that is gone. */
  buried(log: ParentLog): void {
    const { epoch } = log;
    if (this.logs.get(epoch) !== log) return;
    this.logs.delete(epoch);
    this.#order = this.#order.filter((other) => other !== epoch);
    this.#tell();
  }

  /** There is no link any more. */
  onDown(): void {
    this.isOpen = false;
    this.refresh = undefined;
    for (const log of this.logs.values()) log.onDown();
  }

  #tell(): void {
    for (const listener of this.listeners) listener();
  }
}
