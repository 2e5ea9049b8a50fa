/**
 * The callers of the gateway bench, and those who follow their runs, a process of
 * their own. It is told by lines on its input: `call PORT RUNS FOLLOWERS RATE
 * NAME` opens what there is to be; from `begin` on it counts, until `end`, which
 * is answered with the {@linkcode Counts} as JSON, and closes everything.
 *
 * @module
 */
import { wallClock } from "../../fanout/event.ts";
import { Sockets } from "../../fanout/generator/sockets.ts";
import { Tally } from "../../fanout/generator/tally.ts";
import { Call } from "./call.ts";
import { Follower } from "./follower.ts";

/** The callers' counts of the measured time; latencies in milliseconds. */
export interface Counts {
  /** The events that the callers got. */
  readonly events: number;
  /** The events that the followers got. */
  readonly followed: number;
  /**
   * The number of events that are missing, repeated or foreign, which should
   * never be.
   */
  readonly errors: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
  /** From the request to the head. */
  readonly head: number | null;
  readonly headP99: number | null;
  readonly followerP50: number | null;
  readonly followerP99: number | null;
}

/** The length of a run, in seconds. */
const RUN = 2;

/**
 * The time between two looks for anything that is waited for, in milliseconds.
 */
const TIMEOUT = 1_000;

/** Takes the bytes that have come over a socket. */
type Take = (bytes: Uint8Array, now: number) => void;

const sockets = new Sockets();
const takers = new Map<number, Take>();
const events = new Tally();
const followed = new Tally();
const heads = new Tally();
let waiting = 0;

// One character a byte, so that places in the text are places in the bytes.
const decoder = new TextDecoder("latin1");

function follow(port: number): (topic: string) => void {
  const fd = sockets.connect(port);
  const follower = new Follower(followed);
  let answer = "";
  const read: Take = (bytes, now) => {
    follower.push(bytes, bytes.length, now);
    const pong = follower.takePong();
    if (pong) sockets.send(fd, new Uint8Array(pong));
  };
  takers.set(fd, (bytes, now) => {
    const before = answer.length;
    answer += decoder.decode(bytes);
    const end = answer.indexOf("\r\n\r\n") + 4;
    if (end < 4) return;
    if (!answer.startsWith("HTTP/1.1 101 ")) {
      throw new Error(`Not accepted: ${answer}`);
    }
    takers.set(fd, read);
    waiting--;
    read(bytes.slice(end - before), now);
  });
  sockets.send(fd, Follower.request);
  waiting++;
  return (topic) => sockets.send(fd, follower.follow(topic));
}

function onRead(fd: number, length: number): void {
  takers.get(fd)?.(sockets.buffer.subarray(0, length), wallClock());
}

function call(
  port: number,
  runs: number,
  followers: number,
  rate: number,
  name: string,
): void {
  const calls = Array.from({ length: runs }, (_, index) => {
    const follows = Array.from({ length: followers }, () => follow(port));
    const fd = sockets.connect(port);
    const call = new Call(
      {
        name: `${name}-${index}`,
        events: rate * RUN,
        firstEvents: Math.ceil(rate * RUN * (index + 1) / runs),
        rate,
      },
      { events, heads },
      (bytes) => sockets.send(fd, bytes),
      (topic) => follows.forEach((follow) => follow(topic)),
    );
    takers.set(fd, (bytes, now) => call.push(decoder.decode(bytes), now));
    return call;
  });
  while (waiting > 0) sockets.poll(TIMEOUT, onRead);
  for (const call of calls) call.start();
}

function clear(): void {
  events.clear();
  followed.clear();
  heads.clear();
}

function counts(): Counts {
  return {
    events: events.delivered,
    followed: followed.delivered,
    errors: events.errors + followed.errors,
    p50: events.latencies.percentile(0.5),
    p99: events.latencies.percentile(0.99),
    max: events.latencies.max,
    head: heads.latencies.percentile(0.5),
    headP99: heads.latencies.percentile(0.99),
    followerP50: followed.latencies.percentile(0.5),
    followerP99: followed.latencies.percentile(0.99),
  };
}

function obey(line: string): void {
  const [command, ...words] = line.split(" ");
  switch (command) {
    case "call": {
      const [port = 0, runs = 0, followers = 0, rate = 0] = words.map(Number);
      call(port, runs, followers, rate, words.at(-1) ?? "");
      break;
    }
    case "begin":
      clear();
      break;
    case "end":
      console.log(JSON.stringify(counts()));
      for (const fd of takers.keys()) sockets.close(fd);
      takers.clear();
      break;
  }
}

sockets.serve(TIMEOUT, onRead, obey);
