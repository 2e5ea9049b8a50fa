/**
 * Sends a relay in a process of its own what no client should, and sees that it
 * goes on, with a client that behaves beside it:
 * `deno run -A tests/chaos/fuzz.ts --frames 1000000 --seed 7`, and
 * `--script N` for one of its connections alone.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { parseArgs } from "node:util";
import { messageOf } from "../../src/fetch/message_of.ts";
import { CLOSE_CODES } from "../../relay/doors/websocket/close_codes.ts";
import { Random } from "../support/random.ts";
import { OPCODE, RawWebSocket } from "../support/subscribers/raw_websocket.ts";
import { RelayProcess } from "../support/relay/relay_process.ts";
import { until, within } from "../support/within.ts";
import { FILLED, makeScript, type Script } from "./fuzz_script.ts";

/** The amount to send. */
export interface FuzzOptions {
  readonly seed: number;
  readonly frames: number;
  /** Only this connection, for a closer look. */
  readonly script?: number | undefined;
  /** Called now and then. */
  readonly onProgress?: (result: FuzzResult) => void;
}

/** The result of a run. */
export interface FuzzResult {
  readonly frames: number;
  readonly connections: number;
  /** The numbers of connections by their end: a close code or another. */
  readonly ends: Readonly<Record<string, number>>;
  /** The relay's memory in bytes, without garbage: after a tenth, and now. */
  readonly before: Deno.MemoryUsage;
  readonly after: Deno.MemoryUsage;
  /** Events that the client beside it got. */
  readonly events: number;
}

/** The number of connections at a time. */
const AT_ONCE = 16;

/** A part of the work, after which the relay is looked at. */
const LOOKS = 10;

const LIMIT = 60_000;

/** A client that behaves: everybody's events have to reach it. */
class Bystander implements AsyncDisposable {
  readonly #relay: RelayProcess;
  readonly #socket: RawWebSocket;
  /** The messages with events that have come. */
  readonly #messages: string[] = [];
  #over: string | undefined;
  #changed = Promise.withResolvers<void>();
  #next = 1;

  private constructor(relay: RelayProcess, socket: RawWebSocket) {
    this.#relay = relay;
    this.#socket = socket;
    void this.#listen();
  }

  static async open(relay: RelayProcess): Promise<Bystander> {
    const socket = await RawWebSocket.open(relay.url, "/topics/steady");
    await socket.message("subscribed");
    return new Bystander(relay, socket);
  }

  get events(): number {
    return this.#next - 1;
  }

  async check(): Promise<void> {
    const data = `event ${this.#next}`;
    const response = await fetch(`${this.#relay.url}/topics/steady`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ data }),
    });
    await response.body?.cancel();
    const expected = { type: "events", topic: "steady", offset: this.#next };
    const got = await within(this.#nextMessage(), LIMIT, "the next event");
    if (got !== JSON.stringify({ ...expected, events: [{ data }] })) {
      throw new Error(`The client beside it got ${got}`);
    }
    this.#next++;
  }

  async #nextMessage(): Promise<string> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#over !== undefined) {
        throw new Error(`The client beside it was closed: ${this.#over}`);
      }
      await this.#changed.promise;
    }
  }

  /** Reads all the time: a client that answers no ping for 30 s is closed. */
  async #listen(): Promise<void> {
    try {
      while (this.#over === undefined) {
        const frame = await this.#socket.frame();
        const { opcode, payload = new Uint8Array() } = frame ?? {};
        const text = Buffer.from(payload).toString();
        if (opcode === OPCODE.ping) {
          await this.#socket.send(OPCODE.pong, payload);
        } else if (opcode === OPCODE.close) {
          const [high = 0, low = 0] = payload;
          this.#over = `${high << 8 | low} ${text.slice(2)}`;
        } else if (opcode === undefined) this.#over = "without a close frame";
        else if (!/^{"type":"(live|heartbeat)"/.test(text)) {
          this.#messages.push(text);
        } else continue;
        this.#change();
      }
    } catch (error) {
      this.#over = messageOf(error);
      this.#change();
    }
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#socket[Symbol.asyncDispose]();
  }
}

/** Sends bytes in pieces of any length. */
async function sendInPieces(
  socket: RawWebSocket,
  bytes: Uint8Array,
  random: Random,
): Promise<void> {
  const most = random.pick([3, 50, 1_000, 100_000]);
  let writes = 0;
  for (let at = 0; at < bytes.length;) {
    // Not every byte by itself, or a message over 64 KiB would take minutes.
    const length = random.integer(1, ++writes > 60 ? 50_000 : most);
    const sent = socket.client.send(bytes.subarray(at, at + length));
    at += length;
    // Without the wait, the kernel joins pieces.
    if (random.chance(0.5)) await sent;
  }
}

/** Plays one script, and returns how it ended. */
async function play(
  url: string,
  script: Script,
  random: Random,
): Promise<string> {
  const target = random.chance(0.8) ? "/ws" : "/topics/door?window=100";
  await using socket = await RawWebSocket.open(url, target);
  const { outcome } = script;
  await sendInPieces(socket, script.bytes, random);
  if (outcome.kind === "left") {
    if (outcome.how === "reset") socket.client.reset();
    else socket.client.end();
    await within(socket.client.closed, LIMIT, "the end of the connection");
    return outcome.how;
  }
  if (outcome.kind === "any") {
    // In the middle of a frame there is nothing to wait for.
    socket.client.end();
  } else if (outcome.kind === "open") {
    await socket.say({ type: "unsubscribe", topic: "last" });
  }
  const pings = [...script.pings];
  const errors: string[] = [];
  for (;;) {
    const frame = await socket.frame();
    if (!frame) {
      if (outcome.kind === "any") return "cut";
      throw new Error("The connection was cut");
    }
    const text = Buffer.from(frame.payload).toString();
    if (frame.opcode === OPCODE.pong) {
      // Pongs may be left out, and not made up.
      const index = pings.indexOf(text);
      // While a token is read, the frames behind it are looked at: in noise that
      // follows what is fatal, there may be a ping.
      if (index < 0 && outcome.kind !== "any" && !script.endsInNoise) {
        throw new Error(`A pong of ${JSON.stringify(text)}`);
      }
      pings.splice(0, index + 1);
    } else if (frame.opcode === OPCODE.close) {
      const [high, low] = frame.payload;
      const code = high === undefined || low === undefined
        ? 1005
        : high << 8 | low;
      const isRight = outcome.kind === "closed"
        ? code === outcome.code
        : outcome.kind === "any" && [1005, ...CLOSE_CODES].includes(code);
      if (!isRight) throw new Error(`Closed with ${code}: ${text.slice(2)}`);
      check(errors, script, outcome.kind === "closed");
      await socket.send(OPCODE.close, frame.payload.subarray(0, 2));
      // For the relay, this answer may be in the middle of a frame of noise.
      if (script.endsInNoise) socket.client.end();
      await within(socket.client.closed, LIMIT, "the end of the connection");
      return String(code);
    } else if (frame.opcode === OPCODE.text) {
      const message = JSON.parse(text);
      if (message.type !== "error") continue;
      if (message.topic === "last") {
        check(errors, script, true);
        return "open";
      }
      errors.push(message.code);
    } else if (frame.opcode !== OPCODE.ping) {
      // A script may take longer than it is to the next sign of life.
      throw new Error(`A frame with the opcode ${frame.opcode}`);
    }
  }
}

/** Every answer is there, and no other: those before a close may be cut off. */
function check(
  errors: readonly string[],
  script: Script,
  isStrict: boolean,
): void {
  const expected = isStrict
    ? script.errors.slice(0, errors.length)
    : script.errors;
  const isOpen = script.outcome.kind === "open";
  if (
    isStrict &&
    (errors.join() !== expected.join() ||
      isOpen && errors.length !== script.errors.length)
  ) {
    throw new Error(`Answered ${errors}, not ${script.errors}`);
  }
}

/** Runs it; throws at the first thing that is wrong. */
export async function fuzz(
  { seed, frames, script: only, onProgress }: FuzzOptions,
): Promise<FuzzResult> {
  await using relay = await RelayProcess.start({
    retention: { awaitedTtl: 1_000, maxEvents: 5 },
    // The limits of rates would hide how fast the relay is.
    limits: {
      maxMessageRate: 1e9,
      maxMessageBytesRate: 1e9,
      maxPublishRate: 1e9,
    },
  });
  await using bystander = await Bystander.open(relay);
  const ends: Record<string, number> = {};
  let sent = 0;
  let connections = 0;
  let index = only ?? 0;
  const one = async (): Promise<void> => {
    const script = index++;
    const random = new Random(seed + script * 0x9E3779B1);
    const made = makeScript(random);
    sent += made.frames;
    connections++;
    try {
      const end = await play(relay.url, made, random);
      ends[end] = (ends[end] ?? 0) + 1;
    } catch (cause) {
      throw new Error(
        `--seed=${seed} --script ${script}: ${
          cause instanceof Error ? cause.message : cause
        }: ${JSON.stringify(made.outcome)} of ${made.moves.join(", ")}`,
        { cause },
      );
    }
  };
  const upTo = async (goal: number): Promise<void> => {
    while (sent < goal) {
      const isOne = only !== undefined;
      await Promise.all(
        Array.from({ length: isOne ? 1 : AT_ONCE }, () => one()),
      );
      await bystander.check();
      if (isOne) return;
    }
  };
  /** The topics but that of the client beside it, as the relay lists them. */
  const topicsLeft = async (): Promise<string[]> => {
    const response = await fetch(`${relay.url}/topics?limit=1000`);
    const { topics } = await response.json();
    const names: string[] = [];
    for (const { name, subscribers } of topics) {
      if (name !== "steady" || subscribers !== 1) names.push(name);
      // Nobody waits for these: they stay until they are deleted.
      if (!name.startsWith(FILLED)) continue;
      const url = `${relay.url}/topics/${name}`;
      const deleted = await fetch(url, { method: "DELETE" });
      await deleted.body?.cancel();
    }
    return names;
  };
  const forgotten = async (): Promise<void> => {
    // Where the machine has little time for this, the list still grows shorter.
    for (let left = await topicsLeft(); left.length > 0;) {
      const before = new Set(left);
      left = await until(
        async () => {
          const now = await topicsLeft();
          return now.every((name) => before.has(name)) &&
              now.length === before.size
            ? undefined
            : now;
        },
        LIMIT,
        `a subscription to be forgotten: ${left.slice(0, 3)} are left`,
      );
    }
  };
  const resultSince = async (
    before: Deno.MemoryUsage,
  ): Promise<FuzzResult> => ({
    frames: sent,
    connections,
    ends,
    before,
    after: await relay.memory(),
    events: bystander.events,
  });

  await upTo(frames / LOOKS);
  await forgotten();
  const before = await relay.memory();
  for (let look = 2; look <= LOOKS; look++) {
    await upTo(frames * look / LOOKS);
    // A relay has room for a number of topics only.
    await forgotten();
    if (onProgress) onProgress(await resultSince(before));
  }
  return await resultSince(before);
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      frames: { type: "string", default: "20000" },
      seed: { type: "string" },
      script: { type: "string" },
    },
  });
  const seed = Number(
    values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0],
  );
  console.log(`seed ${seed}`);
  const print = ({ frames, connections, before, after }: FuzzResult): void =>
    console.log(
      `${frames} frames, ${connections} connections: ${describe(before)}, ` +
        `now ${describe(after)}`,
    );
  const result = await fuzz({
    seed,
    frames: Number(values.frames),
    ...(values.script !== undefined && { script: Number(values.script) }),
    onProgress: print,
  });
  print(result);
  console.log(JSON.stringify(result.ends));
}

/** Memory in words. */
export function describe(
  { rss, heapUsed, external }: Deno.MemoryUsage,
): string {
  const [all, live] = [rss, heapUsed + external].map((bytes) =>
    (bytes / 2 ** 20).toFixed(1)
  );
  return `${all} MiB (${live} live)`;
}
