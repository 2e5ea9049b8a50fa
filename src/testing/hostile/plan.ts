// This module is browser compatible.
import * as z from "zod";
import { HostilePlanError } from "./plan_error.ts";

/**
 * A point in an answer:
 *
 * - `"request"`: before the head, once the request was read.
 * - `"head"`: after the head, before the body.
 * - `{ after }`: after this many events, from 1.
 * - `{ within }`: in the middle of this event, the first being 1.
 * - `"end"`: in place of the end of the body; so does what is planned for an
 *   event that the answer does not have.
 *
 * A body that is no event stream is one event.
 */
export type HostilePoint =
  | "request"
  | "head"
  | "end"
  | {
    /** After how many events. */
    readonly after: number;
  }
  | {
    /** In the middle of which event. */
    readonly within: number;
  };

/**
 * A fault, and its place:
 *
 * - `stall`: nothing comes for `silence` ms, then the answer goes on; or, without
 *   `silence`, nothing comes any more.
 * - `reset`: the connection is reset.
 * - `cut`: the connection ends, and HTTP shows that something is missing.
 * - `truncate`: the body ends, as if that were all.
 * - `error`: what the format writes where the provider fails ends the body.
 */
export type HostileFault =
  & {
    /**
     * The length of the silence before it, in milliseconds.
     *
     * @default {undefined}
     */
    readonly silence?: number | undefined;
  }
  & (
    | {
      /** The kind of fault. */
      readonly kind: "stall" | "reset" | "cut";
      /** The point at which it happens. */
      readonly at: HostilePoint;
    }
    | {
      /** The kind of fault. */
      readonly kind: "truncate";
      /** The point at which it happens. */
      readonly at: Exclude<HostilePoint, "request">;
    }
    | {
      /** The kind of fault. */
      readonly kind: "error";
      /** The point at which it happens. */
      readonly at: "head" | {
        /** After how many events. */
        readonly after: number;
      };
    }
  );

/** The time to retry after, in one of the forms that providers use. */
export type HostileRetryAfter =
  | {
    /** `Retry-After` in seconds; a fraction too, which the standard has not. */
    readonly seconds: number;
  }
  | {
    /** `Retry-After` as a date, in so many seconds from now; dates have no fractions. */
    readonly date: number;
  }
  | {
    /** `Retry-After-Ms`, in milliseconds. */
    readonly milliseconds: number;
  };

/**
 * The answer:
 *
 * - `run`: what was asked for, made up; of a model, in so many `deltas`.
 * - `recording`: one of the provider's recordings, byte for byte.
 * - `body`: this body of an event stream, byte for byte.
 * - `status`: an error with this status, as the format writes it.
 * - `json`: the same with status 200, which is no event stream.
 * - `html`: a page with status 200, as a login in between would have it.
 * - `empty`: an event stream with nothing in it.
 */
export type HostileAnswer =
  | {
    /** The kind of answer. */
    readonly kind: "run";
    /**
     * The number of deltas of the answer. The words are repeated, or cut off,
     * to fill it.
     *
     * @default {undefined}, as many as there are words
     */
    readonly deltas?: number | undefined;
  }
  | {
    /** The kind of answer. */
    readonly kind: "recording";
    /** Its name. */
    readonly name: string;
  }
  | {
    /** The kind of answer. */
    readonly kind: "body";
    /** The body. */
    readonly text: string;
  }
  | {
    /** The kind of answer. */
    readonly kind: "status";
    /** The status, from 400 to 599. */
    readonly status: number;
    /**
     * The time to retry after.
     *
     * @default {undefined}, which says nothing about it
     */
    readonly retryAfter?: HostileRetryAfter | undefined;
  }
  | {
    /** The kind of answer. */
    readonly kind: "json" | "html" | "empty";
  };

/**
 * A fault in the order of events: one event comes twice, or not at all, or
 * after the event that follows it. `unnumbered` events have no
 * `sequence_number`, where the format has them and the run is made up.
 */
export type HostileSequence =
  | {
    /** The kind of fault. */
    readonly kind: "duplicate" | "missing" | "reordered";
    /** With which event, the first being 1. */
    readonly event: number;
  }
  | {
    /** The kind of fault. */
    readonly kind: "unnumbered";
  };

/**
 * The plan for one request to a {@linkcode HostileProvider}. `{}` is a good
 * answer, at once.
 *
 * It can be written as text too: see {@linkcode parseHostilePlan}.
 */
export interface HostilePlan {
  /**
   * The answer.
   *
   * @default {{ kind: "run" }}
   */
  readonly answer?: HostileAnswer | undefined;
  /**
   * The time from the request to the response headers, in milliseconds.
   *
   * @default {0}
   */
  readonly delay?: number | undefined;
  /**
   * The time from one event to the next, in milliseconds.
   *
   * @default {0}
   */
  readonly pace?: number | undefined;
  /**
   * The way in which the body is cut into chunks: one for each event; one for
   * the whole body; or chunks of this many bytes, where several numbers take
   * turns. A chunk that is not full is sent before each wait, and before a
   * fault.
   *
   * @default {"event"}
   */
  readonly chunk?: "event" | "whole" | readonly number[] | undefined;
  /**
   * The line endings of a made-up answer.
   *
   * @default {"lf"}
   */
  readonly lines?: "lf" | "crlf" | "cr" | undefined;
  /**
   * Whether the stream begins with a byte order mark.
   *
   * @default {undefined}
   */
  readonly bom?: true | undefined;
  /**
   * The number of events between comments: 1 for a comment before each.
   *
   * @default {undefined}
   */
  readonly comments?: number | undefined;
  /**
   * The number of events between pings, which have the format's form. Chat has
   * none, and gets the ping of proxies: an event of type `ping` without data.
   *
   * @default {undefined}
   */
  readonly pings?: number | undefined;
  /**
   * The fault in the order of events.
   *
   * @default {undefined}
   */
  readonly sequence?: HostileSequence | undefined;
  /**
   * The fault, and its place.
   *
   * @default {undefined}
   */
  readonly fault?: HostileFault | undefined;
}

/** A delay that every runtime's timers can do. */
const milliseconds = z.int().min(0).max(2 ** 31 - 1);
const ordinal = z.int().min(1);
const seconds = z.number().min(0).max(1e9);
const text = z.string().refine((value) => !/\p{Surrogate}/u.test(value), {
  message: "Expected text without half surrogates, which UTF-8 cannot hold",
});

const after = z.strictObject({ after: ordinal });
const within = z.strictObject({ within: ordinal });

const hostilePlan: z.ZodType<HostilePlan> = z.strictObject({
  answer: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("run"), deltas: ordinal.optional() }),
    z.strictObject({ kind: z.literal("recording"), name: text.min(1) }),
    z.strictObject({ kind: z.literal("body"), text }),
    z.strictObject({
      kind: z.literal("status"),
      status: z.int().min(400).max(599),
      retryAfter: z.union([
        z.strictObject({ seconds }),
        z.strictObject({ date: seconds }),
        z.strictObject({ milliseconds }),
      ]).optional(),
    }),
    z.strictObject({ kind: z.enum(["json", "html", "empty"]) }),
  ]).optional(),
  delay: milliseconds.optional(),
  pace: milliseconds.optional(),
  chunk: z.union([
    z.enum(["event", "whole"]),
    z.array(ordinal).min(1),
  ]).optional(),
  lines: z.enum(["lf", "crlf", "cr"]).optional(),
  bom: z.literal(true).optional(),
  comments: ordinal.optional(),
  pings: ordinal.optional(),
  sequence: z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.enum(["duplicate", "missing", "reordered"]),
      event: ordinal,
    }),
    z.strictObject({ kind: z.literal("unnumbered") }),
  ]).optional(),
  fault: z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.enum(["stall", "reset", "cut"]),
      at: z.union([z.enum(["request", "head", "end"]), after, within]),
      silence: milliseconds.optional(),
    }),
    z.strictObject({
      kind: z.literal("truncate"),
      at: z.union([z.enum(["head", "end"]), after, within]),
      silence: milliseconds.optional(),
    }),
    z.strictObject({
      kind: z.literal("error"),
      at: z.union([z.literal("head"), after]),
      silence: milliseconds.optional(),
    }),
  ]).optional(),
});

/** Takes a plan from whoever wrote it: a copy, or a {@linkcode HostilePlanError}. */
export function checkedPlan(plan: unknown): HostilePlan {
  const { success, data, error } = hostilePlan.safeParse(plan);
  if (success) return data;
  throw new HostilePlanError(
    `Cannot follow the plan: ${z.prettifyError(error).replaceAll("\n", " ")}`,
    { cause: error },
  );
}
