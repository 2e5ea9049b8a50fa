/**
 * Appends to a store for as long as it lives, and says what was acknowledged:
 * `deno run store_program.ts PATH full|normal TOPICS [AHEAD]`, with a clock that is so
 * many milliseconds ahead.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { type Clock, systemClock } from "../../../../src/fetch/clock.ts";
import { SqliteStore } from "../../../../relay/stores/sqlite/sqlite_store.ts";
import type { ServerSentEvent } from "../../../../src/sse/event.ts";
import type { Log } from "../../../../relay/topics/log.ts";
import { message } from "../../../../relay/testing/contract_world.ts";

const [path = "", sync = "full", topics = "5", ahead = "0"] = Deno.args;

const clock: Clock = {
  now: () => systemClock.now() + Number(ahead),
  setTimeout: (act, delay) => systemClock.setTimeout(act, delay),
};

await using store = new SqliteStore({
  path,
  sync: sync === "full" ? "full" : "normal",
  retention: { maxEvents: Infinity, maxBytes: Infinity, maxAge: Infinity },
  clock,
});
await store.open();

function say(line: string): void {
  writeSync(1, new TextEncoder().encode(`${line}\n`));
}

async function append(
  name: string,
  log: Log,
  events: ServerSentEvent[],
): Promise<void> {
  const { first, count } = await log.append(events);
  say(`${name} ${log.epoch} ${first + count - 1}`);
}

async function fill(name: string): Promise<void> {
  const log = store.find(name) ?? store.create(name, { isOpen: true });
  await log.settled();
  say(`${name} ${log.epoch} ${log.next - 1}`);
  let next = log.next;
  const under: Promise<void>[] = [];
  for (;;) {
    const count = 1 + next % 7;
    const events = Array.from(
      { length: count },
      (_, index) => message(`${name}:${next + index}`),
    );
    next += count;
    under.push(append(name, log, events));
    if (under.length >= 8) await under.shift();
  }
}

await Promise.all(
  Array.from({ length: Number(topics) }, (_, index) => fill(`t${index}`)),
);
