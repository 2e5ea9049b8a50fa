import type { Appended, LogAppendOptions } from "../../../relay/topics/log.ts";
import { StoreError } from "../../../relay/topics/store.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { StoreLog } from "./store_log.ts";

/** A {@linkcode StoreLog} that keeps no event while its store is away. */
export class AwayLog extends StoreLog {
  /** Whether the store is away. */
  isAway = false;
  /** The number of appends that it did not keep. */
  refused = 0;

  override async append(
    events: readonly ServerSentEvent[],
    options?: LogAppendOptions,
  ): Promise<Appended> {
    if (!this.isAway) return await super.append(events, options);
    this.refused++;
    throw new StoreError("io", "The store is away");
  }
}
