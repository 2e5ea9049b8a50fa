/**
 * Brings an ending about, and keeps everything that is to be seen of it.
 *
 * @module
 */
import {
  type FinalResponse,
  ModelClient,
  type ModelProvider,
  type ResponseEvent,
  type ResponseStream,
  user,
} from "../../src/model/mod.ts";
import { FakeClock, ScriptedFetch } from "../../src/testing/mod.ts";
import { CountedAbort } from "../support/fetch/counted_abort.ts";
import { EndingServer } from "../support/model/ending_server.ts";
import { LIMIT, within } from "../support/within.ts";
import type { Ending } from "./endings.ts";

/** The outcome of a row. */
export interface Outcome {
  /** Whether there was a stream. */
  readonly opened: boolean;
  /** All events, the last one too. */
  readonly events: readonly ResponseEvent[];
  /** The error thrown; `undefined` for none. */
  readonly thrown: { readonly error: unknown } | undefined;
  /** The results of two more calls of `next()`. */
  readonly afterwards: readonly PromiseSettledResult<
    IteratorResult<ResponseEvent, undefined>
  >[];
  /** The result of `final()`. */
  readonly final: PromiseSettledResult<FinalResponse> | undefined;
  /** The reason of the signal. */
  readonly reason: unknown;
  /** The number of listeners left on the signal. */
  readonly listeners: number;
  /** The number of requests made. */
  readonly requests: number;
  /** The duration, by the fake clock. */
  readonly elapsed: number;
}

/** The way of reading the stream: event by event, or by `final()` alone. */
export type Reading = "events" | "final";

const PROMPT = { input: [user("Hello?")] };

/** Whether something is to happen when so many events were taken, one by one. */
export function countsEvents({ abort, server = [] }: Ending): boolean {
  return typeof abort === "object" && !("at" in abort) ||
    server.some((answer) =>
      typeof answer === "object" &&
      answer.body.some((piece) => typeof piece === "object")
    );
}

/** The network: it gives events, and is told that they were taken. */
interface Network {
  readonly origin: string;
  /** Resolves when a request was made, which is not answered. */
  requested(): Promise<void>;
  take(): void;
}

/**
 * Brings an ending about.
 *
 * @param ending The ending.
 * @param reading How the stream is read.
 */
export function runEnding(ending: Ending, reading: Reading): Promise<Outcome> {
  return ending.timed ? runTimed(ending, reading) : runServer(ending, reading);
}

async function runServer(
  ending: Ending,
  reading: Reading,
): Promise<Outcome> {
  await using server = await EndingServer.start(ending.server ?? []);
  const outcome = await within(
    read(ending, reading, {
      origin: server.origin,
      requested: () => server.requested(1),
      take: () => server.take(),
    }, {}),
    LIMIT,
    "the end of the stream",
  );
  // If the server holds it open, only the client can have closed it.
  for (const { closed, line } of server.requests) {
    await within(closed, LIMIT, `the end of the connection of ${line}`);
  }
  return { ...outcome, requests: server.requests.length };
}

async function runTimed(ending: Ending, reading: Reading): Promise<Outcome> {
  const clock = new FakeClock();
  const network = new ScriptedFetch(ending.timed ?? [], { clock });
  const outcome = await clock.run(
    read(ending, reading, {
      origin: "http://127.0.0.1:1",
      requested: () => Promise.resolve(),
      take: () => {},
    }, { clock, fetch: network.fetch }),
  );
  const { requests } = network;
  const open = requests.filter(({ outcome }) => outcome === "pending");
  if (open.length > 0 || clock.pending > 0) {
    throw new Error(
      `Left behind: ${open.length} connections, ${clock.pending} timers`,
    );
  }
  return { ...outcome, requests: requests.length, elapsed: clock.now() };
}

async function read(
  { wire, retries = 2, abort, options }: Ending,
  reading: Reading,
  network: Network,
  { clock, fetch }: { clock?: FakeClock; fetch?: ScriptedFetch["fetch"] },
): Promise<Outcome> {
  const provider: ModelProvider = {
    name: "test",
    baseUrl: `${network.origin}/v1`,
    wireApi: wire,
    requestMaxRetries: retries,
    streamMaxRetries: retries,
    idleTimeout: 300_000,
  };
  const client = new ModelClient({
    model: "gpt-x",
    provider,
    // On real sockets nobody waits.
    ...(clock ? { clock } : { retry: { minTimeout: 0 } }),
    ...(fetch ? { fetch } : {}),
    random: () => 0.5,
    ...options,
  });
  const reason = new Error("enough");
  const controller = new CountedAbort();
  const { signal } = controller;
  if (abort === "before") controller.abort(reason);
  const events: ResponseEvent[] = [];
  const done = (
    facts: Pick<Outcome, "opened" | "thrown" | "afterwards" | "final">,
  ): Outcome => ({
    events,
    reason,
    listeners: controller.listeners,
    requests: 0,
    elapsed: 0,
    ...facts,
  });
  if (typeof abort === "object" && "at" in abort) {
    clock?.setTimeout(() => controller.abort(reason), abort.at);
  }
  let stream: ResponseStream;
  try {
    const opening = client.stream(PROMPT, { signal });
    if (abort === "headers") {
      await Promise.race([network.requested(), opening]);
      controller.abort(reason);
    }
    stream = await opening;
  } catch (error) {
    return done({
      opened: false,
      thrown: { error },
      afterwards: [],
      final: undefined,
    });
  }
  let thrown: Outcome["thrown"];
  if (reading === "events") {
    try {
      for (;;) {
        if (isAfter(abort, "taken", events.length)) controller.abort(reason);
        const next = stream.next();
        if (isAfter(abort, "waiting", events.length)) {
          setTimeout(() => controller.abort(reason));
        }
        const { done, value } = await next;
        if (done) break;
        events.push(value);
        network.take();
      }
    } catch (error) {
      thrown = { error };
    }
  }
  const [final] = await Promise.allSettled([stream.final()]);
  const afterwards = await Promise.allSettled([stream.next(), stream.next()]);
  return done({ opened: true, thrown, afterwards, final });
}

function isAfter(
  abort: Ending["abort"],
  when: "taken" | "waiting",
  count: number,
): boolean {
  return typeof abort === "object" && when in abort &&
    // Looked for in the line above, which TypeScript does not follow.
    (abort as Record<string, number>)[when] === count;
}
