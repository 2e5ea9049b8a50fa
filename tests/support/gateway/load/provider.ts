/**
 * The provider of the load, a process of its own: answers every request with a
 * run of the model that it names, each event in a chunk and a write of its own.
 * It says its port, and after each line on its input how many requests it got.
 *
 * `provider.ts RATE DELTAS`
 *
 * @module
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import process from "node:process";
import { TextLineStream } from "@std/streams/text-line-stream";
import { wallClock } from "../../../../bench/fanout/event.ts";
import { LoadRun } from "./load_run.ts";

/** An answer under way. */
interface Answer {
  readonly run: LoadRun;
  readonly response: ServerResponse;
  readonly socket: Socket;
  /** The number of the next event. */
  next: number;
  /** The time at which it is due, by `performance.now()`. */
  due: number;
}

const [rate, deltas] = Deno.args.map(Number);
if (!rate || !deltas) throw new Error("Expected RATE and DELTAS");
const interval = 1_000 / rate;

/** By when they are due: each has its turn once in an interval. */
let queue: Answer[] = [];
let requests = 0;

function send(answer: Answer): void {
  const { run, response, socket } = answer;
  const event = `data: ${run.data(answer.next, wallClock())}\n\n`;
  // In ASCII, and past `response`, which costs half as much again.
  socket.write(`${event.length.toString(16)}\r\n${event}\r\n`);
  if (answer.next++ === run.length) {
    response.end();
    return;
  }
  answer.due += interval;
  queue.push(answer);
}

/** Late events are not left out: they come one after the other. */
function tick(): void {
  const now = performance.now();
  const before = queue;
  queue = [];
  const later: Answer[] = [];
  for (const answer of before) {
    if (answer.response.destroyed) continue;
    if (answer.due <= now) send(answer);
    else later.push(answer);
  }
  queue.unshift(...later);
  setTimeout(tick, 1);
}

const server = createServer({ noDelay: true }, async (incoming, response) => {
  let body = "";
  for await (const part of incoming) body += part;
  requests++;
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.flushHeaders();
  const { model } = JSON.parse(body);
  queue.push({
    run: new LoadRun(model, deltas),
    response,
    socket: response.socket!, // it has just been asked
    next: 1,
    // They do not all come at the same moment.
    due: performance.now() + Math.random() * interval,
  });
});
// For longer than a round takes on any machine: a relay that is held up for a second
// would otherwise ask on a connection that is being closed, and POSTs are not asked again.
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => {
  // It listens on TCP: the address is no pipe's name.
  console.log((server.address() as AddressInfo).port);
});
tick();
const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream())
  .pipeThrough(new TextLineStream());
for await (const _ of lines) console.log(`requests ${requests}`);
process.exit(0);
