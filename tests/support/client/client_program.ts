/**
 * A program that uses the subscriber's library in every runtime, without any
 * help of a test's; and a relay for it that does what no relay should.
 *
 * @module
 */
import {
  connect,
  type ConnectOptions,
  subscribe,
  SubscriptionError,
} from "../../../relay/client/mod.ts";

/** The URLs to connect to. */
export interface ClientProgramUrls {
  /** A relay with the topics of `prepareTopics`. */
  readonly relay: string;
  /** The topic of `playFlakyTopic`. */
  readonly flaky: string;
  /** A URL at which nobody listens. */
  readonly nowhere: string;
}

/** The program's findings, fit for JSON. */
export interface ClientProgramResult {
  readonly whole: readonly string[];
  readonly end: unknown;
  readonly slow: { readonly count: number; readonly data: number };
  readonly several: readonly (readonly string[])[];
  readonly failed: unknown;
  readonly refused: unknown;
  readonly unreachable: unknown;
  readonly flaky: readonly number[];
  readonly left: string;
  readonly aborted: string;
}

async function whyNot(run: () => Promise<unknown>): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof SubscriptionError)) return String(error);
    const { code, status, reason, relayCode } = error;
    return { code, status, reason, relayCode };
  }
  return "it did not throw";
}

/** Follows topics in all ways. */
export async function runClientProgram(
  urls: ClientProgramUrls,
  options: ConnectOptions = {},
): Promise<ClientProgramResult> {
  const { relay } = urls;

  const whole: string[] = [];
  const subscription = subscribe(`${relay}/topics/whole`, options);
  for await (const message of subscription) {
    if (message.type === "event") {
      whole.push(`${message.event} ${message.data}`);
    }
  }

  const slow = { count: 0, data: 0 };
  const large = subscribe(`${relay}/ws`, {
    ...options,
    topic: "large",
    window: 4_096,
  });
  for await (const message of large) {
    if (message.type !== "event") continue;
    slow.count++;
    slow.data += message.data.length;
    if (slow.count % 100 === 0) await new Promise((go) => setTimeout(go, 1));
  }

  const connection = connect(`${relay}/ws`, options);
  const several = await Promise.all(["a", "b"].map(async (name) => {
    const data: string[] = [];
    for await (const message of connection.subscribe(name)) {
      if (message.type === "event") data.push(message.data);
    }
    return data;
  }));
  const refused = await whyNot(() => connection.subscribe("unknown").next());
  await connection.close();

  const failed = await whyNot(() =>
    subscribe(`${relay}/topics/failed`, options).next()
  );
  const unreachable = await whyNot(() =>
    subscribe(`${urls.nowhere}/topics/t`, { ...options, reconnect: false })
      .next()
  );

  const flaky: number[] = [];
  for await (
    const message of subscribe(urls.flaky, {
      ...options,
      token: () => Promise.resolve("secret"),
      reconnect: { minTimeout: 10 },
    })
  ) {
    if (message.type === "event") flaky.push(message.offset);
  }

  let left = "nothing came";
  for await (const message of subscribe(`${relay}/topics/open`, options)) {
    left = message.type;
    break;
  }

  const controller = new AbortController();
  const open = subscribe(`${relay}/topics/open`, {
    ...options,
    signal: controller.signal,
  });
  // The event, and that it is live.
  for (let i = 0; i < 2; i++) await open.next();
  const waiting = open.next();
  controller.abort(new Error("enough"));
  const aborted = await waiting.then(() => "it was not", String);

  const result: ClientProgramResult = {
    whole,
    end: subscription.end,
    slow,
    several,
    failed,
    refused,
    unreachable,
    flaky,
    left,
    aborted,
  };
  // Without what is undefined.
  return JSON.parse(JSON.stringify(result));
}
