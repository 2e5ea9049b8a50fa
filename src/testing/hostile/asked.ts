// This module is browser compatible.
import type { Clock } from "../../fetch/clock.ts";
import type { HostilePlan } from "./plan.ts";

/** What a route is asked. */
export interface Asked {
  readonly method: string;
  /** What follows `/v1/` in the path. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The body as text. */
  readonly body: string;
  readonly plan: HostilePlan;
  readonly clock: Clock;
}

/** Says what is wrong with a request. */
export class RefusedError extends Error {
  /** Makes an error: what the client is told, and with which status. */
  constructor(message: string, readonly status = 400) {
    super(message);
    this.name = "RefusedError";
  }
}
