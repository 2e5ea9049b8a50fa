import type { SubscriptionMessage } from "../../client/message.ts";
import { SubscriptionError } from "../../client/error.ts";
import { subscribe } from "../../client/subscribe.ts";
import type { StateChange } from "../../client/options.ts";
import type { Subscription } from "../../client/subscription.ts";
import type { EndStatus } from "../../client/topic_end.ts";
import {
  type Command,
  ExitError,
  FlagError,
  parseFlags,
  UnavailableError,
} from "../command.ts";
import type { System } from "../system.ts";
import { type FollowPrinter, followPrinter } from "./follow_printer.ts";
import { oneTopic } from "./one_topic.ts";
import { PATIENCE_FLAGS, PATIENCE_HELP, patienceOf } from "./patience.ts";
import {
  ACCESS_FLAGS,
  ACCESS_HELP,
  RefusedError,
  RelayAccess,
} from "./relay_access.ts";
import { StatusLine } from "./status_line.ts";
import { stopping } from "./stopping.ts";

/** The status of the process for each end of a topic. */
const END_STATUSES: Readonly<Record<EndStatus, number>> = {
  complete: 0,
  failed: 4,
  truncated: 5,
  cancelled: 6,
  expired: 7,
};

const HELP = `Follows a topic to its end, or all topics that begin alike.

Usage: rivulet follow TOPIC [FLAG ...]
       rivulet follow 'PREFIX*' [FLAG ...]

Prints the data of each event on a line. Reconnects and resumes by itself, so
that each event is printed once. Tells on stderr when events are missing, and,
if stderr is a terminal, what else happens. With a prefix, follows all topics
whose names begin so, later ones too; each line begins with the topic and a
tab.

Examples:
  rivulet follow news
  rivulet follow run-7 --text --url https://relay.example.com

  --text             prints only the text of a model's answer, as it grows: of
                     the Responses, Chat Completions or Messages API, or of UI
                     messages
  --json             prints each message as a line of JSON: events with their
                     positions, gaps, the state of the upstream, the end
  --stay             goes on with the next epoch of the topic, such as the next
                     turn of a chat, until it is stopped
  --after POSITION   where to begin: a position that --json printed, start or
                     now; default: start, or now for a source with from=now
${PATIENCE_HELP}
Exit status: how the topic ended: 0 complete, 4 failed, 5 truncated,
6 cancelled, 7 expired; 1 if the relay refuses, 3 if it does not answer.

${ACCESS_HELP}`;

const FLAGS = {
  text: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  stay: { type: "boolean", default: false },
  after: { type: "string" },
  ...PATIENCE_FLAGS,
  ...ACCESS_FLAGS,
} as const;

/** The command that follows a topic. */
export const followCommand: Command = { help: HELP, run: follow };

async function follow(args: readonly string[], system: System): Promise<void> {
  const { values, positionals } = parseFlags(args, {
    options: FLAGS,
    allowPositionals: true,
  });
  const topic = oneTopic(positionals, { takesPrefix: true });
  const isPrefix = topic.endsWith("*");
  const { text, json, after, stay } = values;
  if (text && json) {
    throw new FlagError("--text, --json: expected one of them, got both");
  }
  if (isPrefix && text) {
    throw new FlagError(
      "--text: expected one topic, got a prefix: leave it out, or give --json",
    );
  }
  if (isPrefix && after?.includes(":")) {
    throw new FlagError(
      `--after: expected start or now for a prefix, got '${after}'`,
    );
  }
  const maxElapsed = patienceOf(values);
  const signal = stopping(system);
  const relay = new RelayAccess(values, system, signal);
  await greet(relay, topic);
  const status = new StatusLine(system);
  const form = text ? "text" : json ? "json" : isPrefix ? "lines" : "data";
  const printer = followPrinter(form, system);
  const subscription = open(relay, topic, after, {
    signal,
    stay,
    reconnect: { maxElapsed },
    onStateChange(change) {
      if (change.state !== "closed") status.show(stateLine(change));
    },
  });
  try {
    for await (const message of subscription) {
      const printed = printer.print(message);
      if (printed !== "") {
        status.clear();
        await system.write(printed);
      }
      const line = isPrefix ? undefined : lineOf(message);
      if (message.type === "gap") {
        const which = isPrefix ? `${message.topic}: ` : "";
        status.say(`rivulet follow: ${which}${lineOf(message)}`);
      } else if (message.type === "refused") {
        const { topic, code, reason } = message;
        status.say(`rivulet follow: ${topic}: refused (${code}): ${reason}`);
      } else if (line !== undefined) status.show(line);
    }
  } catch (error) {
    if (!(error instanceof SubscriptionError) || !error.status) {
      throw explain(error, subscription, relay);
    }
  } finally {
    status.clear();
    const { position } = subscription;
    if (signal.aborted && system.isTerminal && position !== undefined) {
      status.say(`Go on with --after ${position}`);
    }
    await subscription.close();
  }
  await finish(subscription, printer, system);
}

/** Asks before anything else: a wrong URL or token is no reason to be patient. */
async function greet(relay: RelayAccess, topic: string): Promise<void> {
  try {
    if (topic.endsWith("*")) {
      const listed = await relay.request("topics?limit=1", {
        headers: { accept: "application/json" },
      });
      return void await listed.body?.cancel();
    }
    await relay.request(`topics/${topic}`, { method: "HEAD" });
  } catch (error) {
    // It may come; the subscription learns whether it can be waited for. A HEAD has
    // no body: whether a topic is missing or the URL is wrong, the next one tells.
    if (!(error instanceof RefusedError && error.status === 404)) throw error;
    await (await relay.request("healthz")).body?.cancel();
  }
}

function open(
  relay: RelayAccess,
  topic: string,
  after: string | undefined,
  options: Parameters<typeof subscribe>[1],
): Subscription {
  try {
    // By name over /ws, which tells a refusal in words.
    return subscribe(relay.url("ws"), {
      ...options,
      topic,
      ...(after !== undefined && { after }),
      ...(relay.token !== undefined && { token: relay.token }),
    });
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new FlagError(
      `--after: expected a position such as x8Jc0mQ2vLrT:7, start or now, got '${after}'`,
      { cause },
    );
  }
}

function explain(
  error: unknown,
  { position }: Subscription,
  relay: RelayAccess,
): unknown {
  if (
    !(error instanceof SubscriptionError) || error.code !== "disconnected"
  ) return error;
  const again = position === undefined
    ? ""
    : `: go on with --after ${position}`;
  return new UnavailableError(
    `Lost the relay at ${relay.address}: ${error.message}${again}`,
    { cause: error },
  );
}

async function finish(
  { topic, end }: Subscription,
  printer: FollowPrinter,
  system: System,
): Promise<void> {
  if (end === undefined) return;
  const printed = printer.end(end);
  if (printed !== "") await system.write(printed);
  if (end.status === "complete") return;
  const reason = end.reason === undefined ? "" : `: ${end.reason}`;
  throw new ExitError(
    END_STATUSES[end.status],
    `Topic '${topic}' is ${end.status}${reason}`,
  );
}

function stateLine({ state, retryIn, reason }: StateChange): string {
  if (state !== "waiting") return state === "open" ? "connected" : state;
  const time = Math.ceil((retryIn ?? 0) / 1_000);
  return `not connected (${
    reason ?? "the connection was lost"
  }): again in ${time} s`;
}

function lineOf(message: SubscriptionMessage): string | undefined {
  switch (message.type) {
    case "live":
      return `live: waiting for event ${message.next}`;
    case "gap": {
      const { from, to, reason } = message;
      if (to < from) return `the topic was begun anew (${reason})`;
      return from === to
        ? `event ${from} is missing: ${reason}`
        : `events ${from} to ${to} are missing: ${reason}`;
    }
    case "upstream": {
      const { state, status, retryIn } = message;
      const why = status === undefined ? "" : ` (status ${status})`;
      const when = retryIn === undefined
        ? ""
        : `, again in ${Math.ceil(retryIn / 1_000)} s`;
      return `the upstream is ${state}${why}${when}`;
    }
    case "end": {
      const { status, reason } = message;
      const why = reason === undefined ? "" : `: ${reason}`;
      return `${status}${why}; waiting for the next epoch`;
    }
    default:
      return undefined;
  }
}
