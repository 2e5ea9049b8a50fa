import { systemClock } from "../../src/fetch/clock.ts";
import { MemoryGuard } from "../limits/memory/memory_guard.ts";
import { findMemoryLimit } from "../limits/memory/memory_limit.ts";
import { processMemory } from "../limits/memory/memory_reading.ts";
import { ReceiveBudget } from "../limits/memory/receive_budget.ts";
import { SendBudget } from "../limits/memory/send_budget.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { CompleteRelayOptions } from "../options/schema.ts";

/** The budgets of memory, and their guard. */
export function createMemory(
  { limits, memory, clock }: CompleteRelayOptions,
  metrics: Metrics,
): { memory: MemoryGuard; budget: SendBudget; received: ReceiveBudget } {
  const maxMemory = limits.maxMemory ?? findMemoryLimit().bytes;
  const maxQueued = limits.maxQueued ?? Math.ceil(maxMemory / 4);
  const budget = new SendBudget({
    maxQueued,
    maxQueuedPerClient: limits.maxQueuedPerClient ?? Math.ceil(maxQueued / 2),
    clock,
    onDrop: metrics.connectionCut,
  });
  const maxReceived = limits.maxReceived ?? Math.ceil(maxMemory / 4);
  const received = new ReceiveBudget({
    maxReceived,
    maxReceivedPerClient: limits.maxReceivedPerClient ??
      Math.ceil(maxReceived / 2),
  });
  const guard = new MemoryGuard({
    maxMemory,
    memory: memory ?? processMemory,
    // The memory of the process changes in real time, whatever the relay is told.
    clock: memory ? clock : systemClock,
    dropHeaviest: () => budget.dropHeaviest() ?? received.dropHeaviest(),
  });
  return { memory: guard, budget, received };
}
