import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { StoredEnd } from "../../topics/end.ts";
import type {
  Appended,
  AppendedPublication,
  GapReason,
  TopicFacts,
} from "../../topics/log.ts";
import type { StaleWriterError } from "../../topics/store.ts";
import type { Deed } from "./log_message.ts";
import type { SharedLease } from "./shared_leases.ts";

/** One who writes into a log. */
export interface Writer {
  /** The reason why it may write no more: an append of its own came second. */
  refused: StaleWriterError | undefined;
}

/** Something that is to be written into a log, and whoever waits for it. */
export type Work =
  & { readonly writer: Writer; readonly result: PromiseWithResolvers<Appended> }
  & (
    | {
      readonly kind: "append";
      readonly events: readonly ServerSentEvent[];
      readonly bytes: number;
      readonly expected: number | undefined;
      readonly publication: AppendedPublication | undefined;
      readonly lease: SharedLease | undefined;
    }
    | {
      readonly kind: "skip";
      readonly count: number;
      readonly reason: GapReason;
    }
    | {
      readonly kind: "facts";
      readonly facts: TopicFacts;
      /** Those that are other than before. Default: all of them. */
      readonly changes?: Partial<TopicFacts> | undefined;
      readonly lease: SharedLease | undefined;
    }
    /** The first message of a log, unless another relay has written one. */
    | { readonly kind: "first" }
    /** The facts once more, as they are by then. */
    | { readonly kind: "again" }
    | {
      readonly kind: "end";
      readonly end: StoredEnd;
      readonly lease: SharedLease | undefined;
    }
    | { readonly kind: "fence"; readonly lease: number }
  );

/** The work to write as one message, and the promises that wait for it. */
export interface Batch {
  /** The change it makes, without its offset. */
  readonly deed: Omit<Deed, "after" | "at">;
  readonly events: readonly ServerSentEvent[];
  readonly works: {
    readonly work: Work;
    /** The number of events before its own. */
    readonly offset: number;
    readonly bytes: number;
  }[];
}
