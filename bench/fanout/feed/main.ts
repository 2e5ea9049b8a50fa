/**
 * The feed of the servers in the fan-out bench, a process of its own: sends
 * from the line `go` on its input on.
 *
 * `main.ts sse|posts|publishes PORT SIZE RATE CHUNK LIMIT`, the rate in events a
 * second, 0 for as many as are taken; LIMIT events in all, 0 for no limit.
 *
 * @module
 */
import { eventData, wallClock } from "../event.ts";
import { lines } from "../lines.ts";
import type { Outlet } from "./outlet.ts";
import { PipelinedOutlet, POSTS, PUBLISHES } from "./pipelined_outlet.ts";
import { SseOutlet } from "./sse_outlet.ts";
import { sleep } from "../../sleep.ts";

/** A write that took longer was held up by the server, in milliseconds. */
const HELD_UP = 2;

function open(kind: string, port: number, chunk: number): Promise<Outlet> {
  switch (kind) {
    case "posts":
      return PipelinedOutlet.open(port, POSTS);
    case "publishes":
      return PipelinedOutlet.open(port, PUBLISHES);
    default:
      return SseOutlet.open(chunk);
  }
}

const [kind = ""] = Deno.args;
const [port = 0, size = 0, rate = 0, chunk = 1, limit = 0] = Deno.args.slice(1)
  .map(Number);
const outlet = await open(kind, port, chunk);
const input = lines(Deno.stdin.readable);
while ((await input.next()).value !== "go");
// Nothing more is said: the input ends when who has started this is gone.
void input.next().then(() => Deno.exit());
const last = limit || Infinity;
const start = wallClock();
let isHeldUp = false;
for (let sequence = 0; sequence < last;) {
  const now = wallClock();
  const due = rate === 0
    ? sequence + outlet.batch
    : Math.floor((now - start) / 1_000 * rate);
  const events: string[] = [];
  while (sequence < Math.min(due, last)) {
    sequence++;
    // A server that takes nothing for a second has kept the events of that second
    // waiting, and not only the first of them.
    const sent = isHeldUp && rate > 0 ? start + sequence / rate * 1_000 : now;
    events.push(eventData(sent, sequence, size));
  }
  try {
    await outlet.send(events);
  } catch {
    Deno.exit(); // the server is gone: it has been measured
  }
  if (rate === 0) continue;
  const end = wallClock();
  isHeldUp = events.length > 0 && end - now > HELD_UP;
  const wait = start + (sequence + 1) / rate * 1_000 - end;
  if (wait > 0) await sleep(wait);
}
await new Promise(() => setInterval(() => {}, 60_000)); // the connection stays open
