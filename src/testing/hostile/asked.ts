// This module is browser compatible.
import * as z from "zod";
import type { Clock } from "../../fetch/clock.ts";
import type { HostilePlan } from "./plan.ts";

/** A request, as a route sees it. */
export interface Asked {
  readonly method: string;
  /** The path after `/v1/`. */
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

/** Reads what a route is asked, or refuses it as a provider would. */
export function readJson<T>({ body }: Asked, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new RefusedError("We could not parse the JSON body of your request.");
  }
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  throw new RefusedError(z.prettifyError(error));
}
