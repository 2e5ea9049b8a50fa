/**
 * The subscribers of the fan-out bench, a process of their own. It is told by
 * lines on its input: `connect COUNT` is answered with `connected` once that many
 * more are there; from `begin` on it counts, until `end`, which is answered with
 * the {@linkcode Counts} as JSON; `replay EVENTS` is answered with the
 * milliseconds that a new subscriber needs, from its connection to the last event.
 *
 * `main.ts PROTOCOL PORT SIZE`
 *
 * @module
 */
import { wallClock } from "../event.ts";
import type { MessageReader } from "./message_reader.ts";
import { PROTOCOLS } from "./protocol.ts";
import { Sockets } from "./sockets.ts";
import { Tally } from "./tally.ts";
import { WebSocketReader } from "./websocket_reader.ts";

/** The subscribers' counts of the measured time; latencies in milliseconds. */
export interface Counts {
  readonly delivered: number;
  readonly messages: number;
  readonly reads: number;
  readonly gaps: number;
  readonly missed: number;
  readonly errors: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/**
 * The number of subscribers that wait for their answers at a time: less than a
 * server's backlog.
 */
const CONNECTING = 64;

/**
 * The time between two looks for anything that is waited for, in milliseconds.
 */
const TIMEOUT = 1_000;

/** A replay that takes longer has failed, in milliseconds. */
const REPLAY_LIMIT = 10_000;

const [name, port, size] = Deno.args;
const protocol = PROTOCOLS[name as keyof typeof PROTOCOLS]; // as bench/fanout/load.ts says it
const sockets = new Sockets();
const tally = new Tally();
const readers = new Map<number, MessageReader>();
/** The unfinished answers, by the socket. */
const answers = new Map<number, string>();

function open(): number {
  const fd = sockets.connect(Number(port));
  sockets.send(fd, protocol.request);
  answers.set(fd, "");
  return fd;
}

function onRead(fd: number, length: number): void {
  tally.reads++;
  const reader = readers.get(fd);
  if (!reader) return onAnswer(fd, length);
  reader.push(sockets.buffer, length, wallClock());
  if (reader instanceof WebSocketReader) {
    const pong = reader.takePong();
    if (pong) sockets.send(fd, new Uint8Array(pong));
  }
}

function onAnswer(fd: number, length: number): void {
  const { begin, end } = protocol.answer;
  const before = answers.get(fd) ?? "";
  let answer = before;
  // One character a byte, so that places in the text are places in the bytes.
  for (const byte of sockets.buffer.subarray(0, length)) {
    answer += String.fromCharCode(byte);
  }
  const at = answer.indexOf(end);
  if (at < 0) {
    answers.set(fd, answer);
    return;
  }
  if (!answer.startsWith(begin)) throw new Error(`Not accepted: ${answer}`);
  answers.delete(fd);
  const reader = protocol.makeReader(tally, Number(size));
  readers.set(fd, reader);
  const rest = sockets.buffer.slice(at + end.length - before.length, length);
  reader.push(rest, rest.length, wallClock());
}

function connect(count: number): void {
  for (let opened = 0; opened < count || answers.size > 0;) {
    if (opened < count && answers.size < CONNECTING) {
      open();
      opened++;
    } else {
      sockets.poll(TIMEOUT, onRead);
    }
  }
}

function replay(events: number): number {
  tally.clear();
  const start = performance.now();
  const fd = open();
  while (tally.delivered < events) {
    sockets.poll(TIMEOUT, onRead);
    if (performance.now() - start > REPLAY_LIMIT) {
      throw new Error(`${tally.delivered} of ${events} events were replayed`);
    }
  }
  const elapsed = performance.now() - start;
  sockets.close(fd);
  readers.delete(fd);
  return elapsed;
}

function counts(): Counts {
  const { delivered, messages, reads, gaps, missed, errors, latencies } = tally;
  const p50 = latencies.percentile(0.5);
  const p99 = latencies.percentile(0.99);
  const { max } = latencies;
  return { delivered, messages, reads, gaps, missed, errors, p50, p99, max };
}

function obey(line: string): void {
  const [command, count] = line.split(" ");
  switch (command) {
    case "connect":
      connect(Number(count));
      console.log("connected");
      break;
    case "begin":
      tally.clear();
      break;
    case "end":
      console.log(JSON.stringify(counts()));
      break;
    case "replay":
      console.log(replay(Number(count)));
      break;
  }
}

sockets.serve(TIMEOUT, onRead, obey);
