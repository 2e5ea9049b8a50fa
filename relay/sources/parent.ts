import { z } from "zod";
import type { StreamResponse } from "../../src/fetch/connection.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { GapReason } from "../topics/log.ts";
import { formatPosition, parseAfter } from "../topics/position.ts";
import { END_STATUSES, type EndStatus, type TopicEnd } from "../topics/end.ts";
import type { UpstreamState } from "../topics/upstream_state.ts";

/** One thing that an upstream says. */
export type ParentStep =
  | { readonly kind: "events"; readonly events: readonly ServerSentEvent[] }
  | {
    readonly kind: "gap";
    /** The number of events that will not come; 1 if it is not known. */
    readonly count: number;
    /** The reason why they are missing. */
    readonly reason: GapReason;
  }
  | { readonly kind: "upstream"; readonly upstream: UpstreamState }
  | { readonly kind: "end"; readonly end: TopicEnd };

const OWN = "rivulet.";
const ESCAPED = `upstream.${OWN}`;

const END = z.object({
  status: z.enum(END_STATUSES),
  reason: z.string().max(1_000).exactOptional(),
});

const GAP = z.object({
  from: z.int().positive(),
  to: z.int().nonnegative(),
  reason: z.enum(["evicted", "epoch", "slow", "skipped"]),
});

const UPSTREAM = z.object({
  state: z.enum(["connecting", "open", "retrying", "lost"]),
  status: z.int().exactOptional(),
  attempt: z.int().exactOptional(),
  retryIn: z.number().exactOptional(),
});

const ENDED_PAGE = z.object({
  epoch: z.string(),
  next: z.int(),
  end: END,
});

const NOT_RETAINED = z.object({
  code: z.literal("position_not_retained"),
  epoch: z.string(),
  first: z.int().min(2),
});

function parse<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // it is no JSON
  }
}

/**
 * Returns the position to ask for, if a relay has refused another one with status
 * 410 because it no longer retains the events after it.
 */
export function retainedPosition(text: string): string | undefined {
  const refusal = parse(NOT_RETAINED, text);
  return refusal &&
    formatPosition({ epoch: refusal.epoch, offset: refusal.first - 1 });
}

/**
 * Understands an upstream that is a topic of another relay, the parent (PROTOCOL.md,
 * section 3). The parent's positions tell which events are missing and which came
 * before, and its own events are taken at their word. What any other upstream says
 * is left as it is.
 */
export class Parent {
  readonly #url: URL;
  /** Whether the first event shows what is missing before it. */
  #isWanted: boolean;
  #kind: "none" | "raw" | "own" = "none";
  /** The log that the connection reads. */
  #epoch = "";
  #status: EndStatus | undefined;
  /** The log of the last event, and the offset that the next one should have. */
  #place: { readonly epoch: string; readonly next: number } | undefined;

  /**
   * Expects an upstream.
   *
   * @param url The URL of the upstream.
   * @param log The log that it has filled before.
   */
  constructor(
    url: string | URL,
    { next, lastId }: { readonly next: number; readonly lastId: string },
  ) {
    this.#url = new URL(url);
    this.#isWanted = next === 1 && !this.#url.searchParams.has("after");
    const position = parseAfter(lastId);
    if (typeof position !== "object") return;
    const { epoch, offset } = position;
    this.#place = { epoch, next: offset + 1 };
  }

  /** The end status, if the upstream has answered that there is nothing more. */
  get status(): EndStatus | undefined {
    return this.#status;
  }

  /** Whether the upstream is a relay, and in which way it is read. */
  get kind(): "none" | "raw" | "own" {
    return this.#kind;
  }

  /** The URL of a page that has the end of the parent's topic. */
  get pageUrl(): URL {
    const url = new URL(this.#url);
    url.searchParams.delete("raw");
    url.searchParams.set("after", "now");
    return url;
  }

  /** Returns the end in a page of the parent's topic, if all before it has come. */
  endIn(page: string): TopicEnd | undefined {
    const { epoch, next, end } = parse(ENDED_PAGE, page) ?? {};
    const place = this.#place ?? { epoch: this.#epoch, next: 1 };
    return place.epoch === epoch && place.next === next ? end : undefined;
  }

  /** Looks at an answer: one without events may have the end status. */
  answered({ status, headers }: Response): void {
    this.#status = status === 204
      ? END.shape.status.safeParse(headers.get("rivulet-end")).data
      : undefined;
  }

  /** Expects the events of another connection. */
  opened({ headers, url }: StreamResponse): void {
    const epoch = headers.get("rivulet-epoch");
    this.#epoch = epoch ?? "";
    // A gateway passes on what a provider says, which has no positions.
    if (epoch === null || headers.has("rivulet-topic")) {
      this.#kind = "none";
      return;
    }
    const raw = new URL(url).searchParams.get("raw");
    this.#kind = raw === null || raw === "false" ? "own" : "raw";
  }

  /** Yields what the next events say. */
  *read(events: readonly ServerSentEvent[]): Generator<ParentStep> {
    let fresh: ServerSentEvent[] = [];
    for (const event of events) {
      const isOwn = this.#kind === "own" && event.event.startsWith(OWN);
      const step = isOwn ? this.#readOwn(event) : this.#gapBefore(event);
      if (step && fresh.length > 0) {
        yield { kind: "events", events: fresh };
        fresh = [];
      }
      if (step && step !== "repeated") yield step;
      if (isOwn || step === "repeated") continue;
      fresh.push(
        this.#kind === "own" && event.event.startsWith(ESCAPED)
          ? { ...event, event: event.event.slice("upstream.".length) }
          : event,
      );
    }
    if (fresh.length > 0) yield { kind: "events", events: fresh };
  }

  #readOwn({ event, data }: ServerSentEvent): ParentStep | undefined {
    switch (event.slice(OWN.length)) {
      case "gap": {
        const gap = parse(GAP, data);
        return gap && this.#skip(gap.from, gap.to + 1, gap.reason);
      }
      case "upstream": {
        const upstream = parse(UPSTREAM, data);
        return upstream && { kind: "upstream", upstream };
      }
      case "end": {
        const end = parse(END, data);
        return end && { kind: "end", end };
      }
      default:
        return undefined;
    }
  }

  /** Moves to an event; returns what is missing before it, or that it came before. */
  #gapBefore({ id }: ServerSentEvent): ParentStep | "repeated" | undefined {
    const position = parseAfter(id);
    if (typeof position !== "object" || position.epoch !== this.#epoch) {
      return undefined;
    }
    const { offset } = position;
    const place = this.#place;
    if (place?.epoch === this.#epoch && offset < place.next) return "repeated";
    const gap = this.#skip(place ? 1 : offset, offset, "evicted");
    this.#place = { epoch: this.#epoch, next: offset + 1 };
    return gap;
  }

  /** Moves to an offset; returns the gap that this leaves. */
  #skip(from: number, next: number, reason: GapReason): ParentStep | undefined {
    const epoch = this.#epoch;
    const place = this.#place;
    const isFirst = place === undefined && this.#isWanted;
    this.#place = { epoch, next };
    let count: number;
    if (place?.epoch === epoch) count = next - place.next;
    else if (place) {
      // Nobody knows what else was in the log before this one.
      return { kind: "gap", count: Math.max(1, next - 1), reason: "epoch" };
    } else count = next - (isFirst ? 1 : from);
    return count > 0 ? { kind: "gap", count, reason } : undefined;
  }
}
