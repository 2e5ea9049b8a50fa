import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { abortable } from "../../../src/fetch/abortable.ts";
import {
  completeRetryPolicy,
  retryDelay,
  wait,
} from "../../../src/fetch/retry.ts";
import { encodeEvent } from "../../../src/sse/encode.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { isTemporary } from "../../problem.ts";
import {
  type Command,
  ExitError,
  FlagError,
  parseFlags,
  UnavailableError,
} from "../command.ts";
import type { System } from "../system.ts";
import { gather } from "./gather.ts";
import {
  type InputEvent,
  inputEvents,
  type InputForm,
} from "./input_events.ts";
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

const HELP = `Publishes what comes on stdin to a topic.

Usage: rivulet publish TOPIC [FLAG ...]

Each line becomes the data of an event as soon as it comes. If an
acknowledgement of the relay is lost, the events are sent again; none is in the
topic twice.

Examples:
  make 2>&1 | rivulet publish builds --end
  rivulet publish news --json < events.jsonl

  --json             each line is an event in JSON: {"event"?, "data", "id"?}
  --sse              stdin is an event stream
  --event NAME       the name of events that have none; default: message
  --end              ends the topic as complete after the last event
  --key KEY          sends everything in one request with this Idempotency-Key:
                     the same command with the same input adds what is missing
${PATIENCE_HELP}
Exit status: 1 if the relay refuses or a line is wrong, 3 if the relay does not
answer.

${ACCESS_HELP}`;

const FLAGS = {
  json: { type: "boolean", default: false },
  sse: { type: "boolean", default: false },
  event: { type: "string", default: "message" },
  end: { type: "boolean", default: false },
  key: { type: "string" },
  ...PATIENCE_FLAGS,
  ...ACCESS_FLAGS,
} as const;

/**
 * The largest request: less than relays allow (`--max-body`), and few enough
 * events to wait for.
 */
const BATCH = { items: 500, size: 256 * 1024 };

/** Keys that a header can have, with nothing around them that a header loses. */
const KEY = /^(?! )[\x20-\x7E]{1,255}(?<! )$/;

const published = z.object({
  epoch: z.string(),
  first: z.number(),
  next: z.number(),
});

/** The events that the relay has acknowledged. */
interface Acknowledged {
  readonly epoch: string;
  readonly first: number;
  readonly next: number;
}

/** The command that publishes. */
export const publishCommand: Command = { help: HELP, run: publish };

async function publish(args: readonly string[], system: System): Promise<void> {
  const { values, positionals } = parseFlags(args, {
    options: FLAGS,
    allowPositionals: true,
  });
  const topic = oneTopic(positionals);
  const { key, event } = values;
  if (/[\r\n]/.test(event)) {
    throw new FlagError("--event: expected a name without line ends");
  }
  if (key !== undefined && !KEY.test(key)) {
    throw new FlagError(
      `--key: expected 1 to 255 characters of ASCII without line ends, got '${key}'`,
    );
  }
  const maxElapsed = patienceOf(values);
  const signal = stopping(system);
  const relay = new RelayAccess(values, system, signal);
  const input = system.readInput();
  const status = new StatusLine(system);
  const events = inputEvents(input, formOf(values), event, signal);
  const path = `topics/${topic}`;
  let all: Acknowledged | undefined;
  const sender = new Sender(relay, path, maxElapsed, system, signal, status);
  try {
    if (key !== undefined) all = await sender.sendAll(events, key);
    else {
      for await (
        const batch of abortableItems(gather(events, sizeOf, BATCH), signal)
      ) {
        const { epoch, first, next } = await sender.send(batch);
        all = { epoch, first: all?.epoch === epoch ? all.first : first, next };
        status.show(`${next - all.first} events published`);
      }
    }
    if (values.end) await sender.end(all === undefined);
  } finally {
    status.clear();
  }
  if (!system.isTerminal) return;
  status.say(
    all && all.next > all.first
      ? `Published ${
        all.next - all.first
      } events: ${all.epoch}:${all.first} to ${all.epoch}:${all.next - 1}`
      : "Published nothing: stdin was empty",
  );
}

/** Iterates until a signal ends that, also while it waits for what may never come. */
async function* abortableItems<T>(
  items: AsyncGenerator<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  try {
    for (;;) {
      const { done, value } = await abortable(items.next(), signal);
      if (done) return;
      yield value;
    }
  } finally {
    void items.return(undefined).catch(() => {});
  }
}

function formOf(
  { json, sse }: { readonly json: boolean; readonly sse: boolean },
): InputForm {
  if (json && sse) {
    throw new FlagError("--json, --sse: expected one of them, got both");
  }
  return json ? "json" : sse ? "sse" : "lines";
}

function sizeOf({ event, data, id }: ServerSentEvent): number {
  return event.length + data.length + id.length;
}

/** Sends events to a topic. */
class Sender {
  readonly #relay: RelayAccess;
  readonly #path: string;
  readonly #maxElapsed: number;
  readonly #system: System;
  readonly #signal: AbortSignal;
  readonly #status: StatusLine;
  /** The prefix of this process's keys: each batch has its own key. */
  readonly #keys = crypto.randomUUID();
  #batches = 0;
  /** Whether the relay has ever answered: a wrong URL is no reason to be patient. */
  #isKnown = false;

  constructor(
    relay: RelayAccess,
    path: string,
    maxElapsed: number,
    system: System,
    signal: AbortSignal,
    status: StatusLine,
  ) {
    this.#relay = relay;
    this.#path = path;
    this.#maxElapsed = maxElapsed;
    this.#system = system;
    this.#signal = signal;
    this.#status = status;
  }

  /** Sends a batch, again with the same key where nobody knows whether it has come. */
  async send(events: readonly InputEvent[]): Promise<Acknowledged> {
    this.#batches += 1;
    const key = `${this.#keys}-${this.#batches}`;
    const body = JSON.stringify(
      events.map(({ event, data, id }) => ({ event, data, id })),
    );
    try {
      const response = await this.#retry(() =>
        this.#relay.request(this.#path, {
          method: "POST",
          headers: {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
          },
          body,
        })
      );
      return published.parse(await response.json());
    } catch (error) {
      throw tooLarge(error, events) ?? error;
    }
  }

  /** Sends everything in one request. */
  async sendAll(
    events: AsyncGenerator<ServerSentEvent>,
    key: string,
  ): Promise<Acknowledged> {
    const encoder = new TextEncoder();
    let failure: unknown;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { done, value } = await events.next();
          if (done) controller.close();
          else controller.enqueue(encoder.encode(encodeEvent(value)));
        } catch (error) {
          failure = error;
          controller.error(error);
        }
      },
      async cancel() {
        await events.return(undefined);
      },
    });
    try {
      const response = await this.#relay.request(this.#path, {
        method: "POST",
        headers: {
          "Content-Type": "text/event-stream",
          "Idempotency-Key": key,
        },
        body,
      });
      return published.parse(await response.json());
    } catch (error) {
      // A mistake in the input comes first: the request has failed because of it.
      if (failure !== undefined) throw failure;
      const again =
        "the same command with the whole input adds what is missing";
      if (error instanceof UnavailableError) {
        throw new UnavailableError(`${error.message}; ${again}`, {
          cause: error,
        });
      }
      if (!mayPass(error)) throw error;
      throw new ExitError(1, `${error.message} Later, ${again}.`, {
        cause: error,
      });
    }
  }

  /**
   * Ends the topic.
   *
   * @param isEmpty Whether nothing was published: there may be no topic yet.
   */
  async end(isEmpty: boolean): Promise<void> {
    const [path, type, body] = isEmpty
      ? [`${this.#path}?end`, "text/event-stream", ""] as const
      : [`${this.#path}/end`, "application/json", "{}"] as const;
    const response = await this.#retry(() =>
      this.#relay.request(path, {
        method: "POST",
        headers: { "Content-Type": type },
        body,
      })
    );
    await response.body?.cancel();
  }

  async #retry(request: () => Promise<Response>): Promise<Response> {
    const { clock } = this.#system;
    const policy = completeRetryPolicy(
      { minTimeout: 250, maxTimeout: 10_000 },
      "publish",
    );
    const started = clock.now();
    for (let failures = 1;; failures++) {
      try {
        const response = await request();
        this.#isKnown = true;
        return response;
      } catch (error) {
        const isAway = error instanceof UnavailableError;
        if (isAway ? !this.#isKnown : !mayPass(error)) throw error;
        this.#isKnown = true;
        const asked = error instanceof RefusedError ? error.retryAfter : 0;
        const delay = Math.max(asked ?? 0, retryDelay(failures, 0, policy));
        if (clock.now() - started + delay > this.#maxElapsed) throw error;
        const time = Math.ceil(delay / 1_000);
        this.#status.show(`${messageOf(error)}: again in ${time} s`);
        await wait(delay, clock, this.#signal);
      }
    }
  }
}

/** Returns a refusal of events for their size with the lines that they are in; `undefined` for any other. */
function tooLarge(
  error: unknown,
  events: readonly InputEvent[],
): ExitError | undefined {
  const isIt = error instanceof RefusedError &&
    error.status === STATUS_CODE.ContentTooLarge;
  const [first, last] = [events[0]?.line, events.at(-1)?.line];
  if (!isIt || first === undefined) return undefined;
  const place = first === last ? `Line ${first}` : `Lines ${first} to ${last}`;
  return new ExitError(1, `${place}: ${error.message}`, { cause: error });
}

function mayPass(error: unknown): error is RefusedError {
  return error instanceof RefusedError && isTemporary(error);
}
