import { Buffer } from "node:buffer";

/** What has been published through a door. */
export class PublishCounts {
  /** Events that were added to a topic. */
  events = 0;
  /** The bytes of their data, in UTF-8. */
  bytes = 0;

  /** Counts events that were just added. */
  add(events: readonly { readonly data: string }[]): void {
    this.events += events.length;
    for (const { data } of events) this.bytes += Buffer.byteLength(data);
  }
}
