import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { StoredEnd } from "../../topics/end.ts";
import type {
  Appended,
  AppendedPublication,
  GapReason,
  TopicFacts,
} from "../../topics/log.ts";
import type { ParentLease } from "./parent_leases.ts";

/** One who writes into a log. */
export interface Writer {
  /** The reason why it may write no more: an append of its own came second. */
  refused: Error | undefined;
}

/** Something that the parent is to do to a log, and whoever waits for it. */
export type Work =
  & {
    readonly writer: Writer;
    readonly result: PromiseWithResolvers<Appended>;
    /** Whether it was sent over a link that is gone: nobody knows what has become of it. */
    isUncertain: boolean;
  }
  & (
    | { readonly kind: "make"; facts: TopicFacts }
    | {
      readonly kind: "append";
      readonly events: readonly ServerSentEvent[];
      readonly bytes: number;
      readonly expected: number | undefined;
      readonly publication: AppendedPublication | undefined;
      readonly lease: ParentLease | undefined;
      /** The offset at which its publication was last sent. */
      sentAt?: number;
    }
    | {
      readonly kind: "skip";
      readonly count: number;
      readonly reason: GapReason;
    }
    | {
      readonly kind: "facts";
      facts: TopicFacts;
      /** Those that are other than before; `undefined` for all. */
      changes: Partial<TopicFacts> | undefined;
      lease: ParentLease | undefined;
    }
    | {
      readonly kind: "end";
      readonly end: StoredEnd;
      readonly lease: ParentLease | undefined;
    }
  );

/** Work of a kind, as its writer gives it. */
export type WorkOf<Kind extends Work["kind"]> = Omit<
  Extract<Work, { readonly kind: Kind }>,
  "writer" | "result" | "isUncertain"
>;

/** The result of work that appends nothing. */
export const NOTHING_APPENDED: Appended = { first: 0, count: 0, bytes: 0 };
