import { Gauge, type Registry } from "prom-client";
import { copiedCounter } from "./instruments.ts";
import type { MeasuredTopic } from "./topic_metrics.ts";

/** The outcomes of connecting to the upstream of a topic. */
const UPSTREAM_OUTCOMES = ["opened", "failed"] as const;

/** The outcome of connecting to the upstream of a topic: it has answered with events, or not. */
export type UpstreamOutcome = typeof UPSTREAM_OUTCOMES[number];

const PROVIDER_OUTCOMES = [
  "stream",
  "answered",
  "refused",
  "unreachable",
  "stopped",
] as const;

/**
 * The outcome of one request to a provider: an event stream, another answer, a
 * status of 400 or more, nothing; or it was stopped from this side first.
 */
export type ProviderOutcome = typeof PROVIDER_OUTCOMES[number];

const RUN_OUTCOMES = [
  "complete",
  "failed",
  "truncated",
  "cancelled",
  "expired",
  "answered",
  "refused",
  "unreachable",
] as const;

/**
 * The outcome of a caller's request: the end of its topic, if it was a stream;
 * otherwise a {@linkcode ProviderOutcome}.
 */
export type RunOutcome = typeof RUN_OUTCOMES[number];

/** The metrics of upstreams. */
export class UpstreamMetrics {
  readonly #attempts: Record<UpstreamOutcome, number>;
  readonly #runs: Record<RunOutcome, number>;
  readonly #asked: Record<ProviderOutcome, number>;

  /**
   * Registers it.
   *
   * @param registry The registry of metrics.
   * @param topics Those that an upstream fills.
   * @param runs The number of runs.
   */
  constructor(
    registry: Registry,
    topics: () => Iterable<MeasuredTopic>,
    runs: () => number,
  ) {
    const registers = [registry];
    new Gauge({
      name: "rivulet_upstreams",
      help: "Upstreams of topics.",
      labelNames: ["state"],
      registers,
      collect(): void {
        const counts = { connecting: 0, open: 0, retrying: 0, lost: 0 };
        for (const topic of topics()) {
          const state = upstreamState(topic);
          if (state) counts[state]++;
        }
        for (const [state, count] of Object.entries(counts)) {
          this.set({ state }, count);
        }
      },
    });
    new Gauge({
      name: "rivulet_runs",
      help: "Requests to providers of models that are under way.",
      registers,
      collect(): void {
        this.set(runs());
      },
    });
    this.#attempts = countOutcomes(registry, {
      name: "rivulet_upstream_attempts_total",
      help: "Attempts to connect to upstreams of topics.",
      outcomes: UPSTREAM_OUTCOMES,
    });
    this.#runs = countOutcomes(registry, {
      name: "rivulet_runs_ended_total",
      help: "Requests to providers of models that are over.",
      outcomes: RUN_OUTCOMES,
    });
    this.#asked = countOutcomes(registry, {
      name: "rivulet_provider_attempts_total",
      help: "Requests sent to providers of models, repetitions among them.",
      outcomes: PROVIDER_OUTCOMES,
    });
  }

  /** Counts an attempt to connect to an upstream. */
  attempted(outcome: UpstreamOutcome): void {
    this.#attempts[outcome]++;
  }

  /** Counts a run that is over. */
  ran(outcome: RunOutcome): void {
    this.#runs[outcome]++;
  }

  /** Counts an attempt to ask a provider. */
  asked(outcome: ProviderOutcome): void {
    this.#asked[outcome]++;
  }
}

/** Nothing is told of an upstream before it is there, nor that it is when it was at once. */
function upstreamState(
  { state, upstream }: MeasuredTopic,
): NonNullable<MeasuredTopic["upstream"]>["state"] | undefined {
  if (state.kind === "ended") {
    return upstream?.state === "lost" ? "lost" : undefined;
  }
  return upstream?.state ?? (state.kind === "open" ? "open" : "connecting");
}

/**
 * Registers a counter of outcomes.
 *
 * @returns The numbers, which are copied when somebody asks: to count with labels would take
 * 2 µs of each request.
 */
function countOutcomes<Outcome extends string>(
  registry: Registry,
  { name, help, outcomes }: {
    readonly name: string;
    readonly help: string;
    readonly outcomes: readonly Outcome[];
  },
): Record<Outcome, number> {
  // Prometheus can see a first one only where there was none before.
  const counts = Object.fromEntries(
    outcomes.map((outcome) => [outcome, 0]),
  ) as Record<Outcome, number>; // each has its own
  copiedCounter(registry, {
    name,
    help,
    labelNames: ["outcome"],
    read: () => outcomes.map((outcome) => [{ outcome }, counts[outcome]]),
  });
  return counts;
}
