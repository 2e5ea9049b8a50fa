/**
 * Everything that `client_program.ts` connects to, and what it has to find.
 *
 * @module
 */
import type { Relay } from "../../../relay/mod.ts";
import type {
  ClientProgramResult,
  ClientProgramUrls,
} from "./client_program.ts";
import { startRelay } from "../relay/relay.ts";
import {
  events,
  type ScriptedConnection,
  ScriptedRelay,
  subscribed,
} from "./scripted_relay.ts";

/** The number of events of the large topic. */
const LARGE = 2_000;

function fill(relay: Relay): void {
  const topics: [
    string,
    readonly string[],
    "complete" | "failed" | undefined,
  ][] = [
    ["whole", ["a", "b\nc", "€"], "complete"],
    ["large", Array(LARGE).fill("x".repeat(50)), "complete"],
    ["a", ["1", "2"], "complete"],
    ["b", ["3"], "complete"],
    ["failed", [], "failed"],
    ["open", ["1"], undefined],
  ];
  for (const [name, data, status] of topics) {
    const topic = relay.topics.create(name);
    const events = data.map((data) => ({ event: "message", data, id: "" }));
    if (events.length > 0) void topic.append(events);
    if (status) topic.end(status, status === "failed" ? "no luck" : undefined);
  }
}

/** Says goodbye to the first visitor, and cuts the second; the third gets the end. */
function playFlaky(connection: ScriptedConnection, visits: number): void {
  const [, digits = "0"] = (connection.query.get("after") ?? "").split(":");
  const after = Number(digits);
  connection.say(
    { type: "welcome", heartbeat: 15_000 },
    subscribed("t", after),
    events("t", after + 1, after + 3),
  );
  if (!connection.protocols.includes(`bearer.${btoa("secret")}`)) {
    return connection.close(4501, "no token");
  }
  if (visits === 1) {
    connection.say({ type: "goodbye", reason: "drain", reconnectIn: [10, 20] });
    connection.close(1012);
  } else if (visits === 2) {
    connection.cut();
  } else {
    connection.say({
      type: "end",
      topic: "t",
      offset: after + 4,
      status: "complete",
    });
  }
}

/** The findings that are expected; `flaky` differs each time. */
export const EXPECTED: Omit<ClientProgramResult, "flaky"> = {
  whole: ["message a", "message b\nc", "message €"],
  end: { status: "complete" },
  slow: { count: LARGE, data: LARGE * 50 },
  several: [["1", "2"], ["3"]],
  failed: { code: "failed", status: "failed", reason: "no luck" },
  refused: {
    code: "refused",
    reason: "There is no such topic",
    relayCode: "unknown_topic",
  },
  unreachable: {
    code: "disconnected",
    reason:
      "Not connected: the relay is away, or refuses this page (--origin) or token",
  },
  left: "event",
  aborted: "Error: enough",
};

/** A relay, and another that cuts its visitors off. */
export class ClientWorld implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  /** The relay that cuts its visitors off; it can serve a page too. */
  readonly scripted: ScriptedRelay;
  readonly urls: ClientProgramUrls;

  private constructor(
    stack: AsyncDisposableStack,
    scripted: ScriptedRelay,
    relay: string,
  ) {
    this.#stack = stack;
    this.scripted = scripted;
    const flaky = `${scripted.url}/topics/t`;
    this.urls = { relay, flaky, nowhere: "ws://127.0.0.1:9" };
  }

  static async start(): Promise<ClientWorld> {
    const stack = new AsyncDisposableStack();
    const scripted = stack.use(await ScriptedRelay.start());
    const server = stack.use(
      await startRelay({
        delivery: { awaitTopics: false },
        // The origin of the page that asks both.
        origins: [scripted.url.replace("ws", "http")],
      }),
    );
    fill(server.relay);
    let visits = 0;
    scripted.onConnection = (connection) => playFlaky(connection, ++visits);
    return new ClientWorld(stack, scripted, server.url);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Whether each event came once, in order, to an end. */
export function isWhole(offsets: readonly number[]): boolean {
  return offsets.length >= 3 &&
    offsets.every((offset, index) => offset === index + 1);
}
