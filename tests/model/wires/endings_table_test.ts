/**
 * The client against the table of each format, with every event that ends a
 * stream, every status, and every cut. The relay's judge is held to the same in
 * `tests/relay/gateway/judge_table_test.ts`.
 */
import { assert, assertEquals } from "@std/assert";
import {
  ResponseFailedError,
  StreamError,
  type WireApi,
} from "../../../src/model/mod.ts";
import type { Ending } from "../../../src/model/wires/ending.ts";
import { readFailure } from "../../../src/model/wires/failure.ts";
import { RESPONSE_ENDINGS } from "../../../src/model/wires/responses/endings.ts";
import {
  type Cut,
  CUTS,
  ENDING_CASES,
  type EndingCase,
  endingOf,
} from "../../support/model/ending_cases.ts";
import {
  type Outcome,
  scriptedModel,
} from "../../support/model/scripted_model.ts";

/** The time that the client waits for events after the end of a Chat, in ms. */
const DRAIN_TIMEOUT = 2_000;

const IDLE_TIMEOUT = 300_000;

/** An outcome, as it is seen or expected. */
interface Seen {
  readonly last: string;
  readonly reason?: string | undefined;
  readonly message?: string;
}

function seenOf({ events, error }: Outcome): Seen {
  if (error !== undefined) {
    assert(
      error instanceof ResponseFailedError || error instanceof StreamError,
    );
    const { code, name, message } = error;
    return code === "disconnected" || code === "idle"
      ? { last: `${name} ${code}` }
      : { last: `${name} ${code}`, message };
  }
  const ends = events.filter(({ type }) =>
    type === "completed" || type === "incomplete"
  );
  assertEquals(ends.length, 1);
  const last = events.at(-1);
  assert(last?.type === "completed" || last?.type === "incomplete");
  return last.type === "completed"
    ? { last: last.type }
    : { last: last.type, reason: last.reason };
}

/**
 * Returns the outcome expected of an ending: nothing in it is read from the
 * code.
 */
function expected(ending: Ending, how: Cut["how"]): Seen {
  switch (ending.kind) {
    case "completed":
      return { last: "completed" };
    case "incomplete":
      return { last: "incomplete", reason: ending.reason };
    case "cancelled":
      return { last: "incomplete", reason: "cancelled" };
    case "failed": {
      const { code, message } = readFailure(ending.details);
      return { last: `ResponseFailedError ${code}`, message };
    }
    case "truncated":
      switch (how) {
        case "broken":
          return { last: "StreamError disconnected" };
        case "held":
          return { last: "StreamError idle" };
        case "clean":
          return {
            last: "StreamError truncated",
            message:
              `stream disconnected before completion: stream closed before ${ending.missing}`,
          };
      }
  }
}

const SCRIPTED = { clean: "close", broken: "drop", held: "stall" } as const;

async function assertTold(
  wireApi: WireApi,
  stream: EndingCase,
  cut: Cut,
): Promise<void> {
  // The client reads the last event without its blank line (G4).
  const isRead = cut.name === "clean at its last line end";
  const { ending, how } = endingOf(
    stream,
    isRead ? { ...cut, isWhole: true } : cut,
  );
  const model = scriptedModel([{
    chunks: [cut.text(stream)],
    end: SCRIPTED[cut.how],
  }], {
    provider: { wireApi, streamMaxRetries: 0, idleTimeout: IDLE_TIMEOUT },
    drainTimeout: DRAIN_TIMEOUT,
  });
  const outcome = await model.ask();
  const name = `${stream.name}, ${cut.name}`;
  assertEquals(seenOf(outcome), expected(ending, how), name);
  assertEquals(model.script.requests.length, 1, name);
  // At once, wherever the provider leaves the connection open.
  if (ending.kind !== "truncated") {
    const most = wireApi === "chat" ? DRAIN_TIMEOUT : 0;
    assert(model.clock.now() <= most, `${name}: ${model.clock.now()} ms`);
  }
}

const CLIENTS: readonly WireApi[] = ["responses", "chat", "messages"];

for (const wireApi of CLIENTS) {
  for (const cut of CUTS) {
    Deno.test(`C1: ModelClient ends as the table of ${wireApi} says: ${cut.name}`, async () => {
      const streams = ENDING_CASES.filter(({ format }) => format === wireApi);
      assert(streams.length > 50, `few streams: ${streams.length}`);
      for (const stream of streams) await assertTold(wireApi, stream, cut);
    });
  }
}

Deno.test("RESPONSE_ENDINGS has no response end better than its type or its status says", () => {
  const worse = ["completed", "incomplete", "failed", "cancelled"] as const;
  for (const [from, type] of worse.entries()) {
    const row = RESPONSE_ENDINGS[`response.${type}`];
    for (const [to, status] of worse.entries()) {
      const name = `response.${type} of a response that is ${status}`;
      assertEquals(row[status], worse[Math.max(from, to)], name);
    }
    assertEquals(row.other, type);
  }
});
