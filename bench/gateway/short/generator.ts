/**
 * The provider and the callers of short requests, in one process and one thread,
 * so that what they cost is known.
 *
 * Its first line of output is the provider's port. Then it reads a line with a
 * {@linkcode Plan} as JSON, and says `measuring` when what is measured begins, and
 * the {@linkcode Counts} as JSON at its end.
 *
 * @module
 */
import { Latencies } from "../../fanout/generator/tally.ts";
import { AnswerReader } from "../../net/answer_reader.ts";
import { endOfRequest } from "../../net/http_request.ts";
import { Loop } from "../../net/loop.ts";
import { readLine } from "../../net/read_line.ts";
import type { Counts, Plan } from "./plan.ts";
import { answerText, requestText, SHORT_REQUESTS } from "./requests.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

const loop = new Loop();
let answer = new Uint8Array(0);

function serve(fd: number) {
  let text = "";
  return {
    read: (bytes: Uint8Array<ArrayBuffer>, end: number) => {
      text += decoder.decode(bytes.subarray(0, end));
      for (
        let length = endOfRequest(text);
        length <= text.length;
        length = endOfRequest(text)
      ) {
        text = text.slice(length);
        loop.send(fd, answer);
      }
    },
    closed: () => {},
  };
}

function run({ port, kind, callers, warmUp, seconds }: Plan): Counts {
  const request = SHORT_REQUESTS[kind];
  if (!request) throw new Error(`Expected a kind of request: got ${kind}`);
  answer = encoder.encode(answerText(request));
  const bytes = encoder.encode(requestText(request));
  const expected = request.answer.length;
  const latencies = new Latencies();
  let [requests, errors] = [0, 0];
  let isMeasured = false;

  for (let i = 0; i < callers; i++) {
    let asked = performance.now();
    let length = 0;
    const reader = new AnswerReader({
      onHead: (head) => {
        if (!head.startsWith("HTTP/1.1 200 ")) {
          throw new Error(`Expected an answer: got ${head}`);
        }
      },
      onBody: (_bytes, from, to) => length += to - from,
      onEnd: () => {
        const now = performance.now();
        if (isMeasured) {
          requests++;
          if (length !== expected) errors++;
          latencies.add(now - asked);
        }
        length = 0;
        asked = now;
        loop.send(fd, bytes);
      },
    });
    const fd = loop.connect(port, {
      read: (bytes, end) => reader.push(bytes, end),
      closed: () => {
        throw new Error("Expected an answer: the connection was closed");
      },
    });
    loop.send(fd, bytes);
  }

  const turnFor = (seconds: number): void => {
    const end = performance.now() + seconds * 1_000;
    while (performance.now() < end) loop.turn(100);
  };
  turnFor(warmUp);
  isMeasured = true;
  console.log("measuring");
  const began = performance.now();
  turnFor(seconds);
  return {
    requests,
    errors,
    seconds: (performance.now() - began) / 1_000,
    p50: latencies.percentile(0.5),
    p99: latencies.percentile(0.99),
  };
}

console.log(loop.listen(serve));
const plan: Plan = JSON.parse(readLine()); // as bench/gateway/short/measure.ts writes it
console.log(JSON.stringify(run(plan)));
// The bench ends the process: its connections are not to close before that.
for (;;) loop.turn(-1);
