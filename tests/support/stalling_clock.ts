import { FakeClock } from "../../src/testing/fake_clock.ts";

/** A clock of a process that can stand still. */
export class StallingClock extends FakeClock {
  #stalled = 0;

  override now(): number {
    return super.now() + this.#stalled;
  }

  /** Time passes, in milliseconds, and no timer is called: they come late, in order. */
  stall(time: number): void {
    this.#stalled += time;
  }
}
