import type { Reader } from "../../../relay/metrics/lag_sampler.ts";
import type { MeasuredMemory } from "../../../relay/metrics/memory_metrics.ts";
import type { MetricsReadings } from "../../../relay/metrics/metrics.ts";
import type { StoreCounts } from "../../../relay/stores/store_counts.ts";
import type { MeasuredTopic } from "../../../relay/metrics/topic_metrics.ts";

/** A relay that has what a test says, and that metrics can look at. */
export class FakeReadings implements MetricsReadings {
  readonly websockets = new Set<Reader>();
  readonly streams = new Set<Reader>();
  readonly topicList: MeasuredTopic[] = [];
  readonly upstreamList: MeasuredTopic[] = [];
  tcp = 0;
  active = 0;
  measuredStore: StoreCounts | undefined;
  isFailing = false;

  connections(): { websocket: Set<Reader>; sse: Set<Reader> } {
    return { websocket: this.websockets, sse: this.streams };
  }
  lists(): number {
    return 2;
  }

  tcpConnections(): number {
    return this.tcp;
  }
  topics(): Iterable<MeasuredTopic> {
    return this.topicList;
  }
  upstreams(): Iterable<MeasuredTopic> {
    return this.upstreamList;
  }
  runs(): number {
    return this.active;
  }
  memory(): MeasuredMemory {
    return { maxMemory: 2 ** 31, isAtEdge: false, queued: 0, received: 0 };
  }
  store(): StoreCounts | undefined {
    return this.measuredStore;
  }
  isStoreFailing(): boolean {
    return this.isFailing;
  }
}
