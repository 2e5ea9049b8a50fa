/**
 * The bytes that a hostile peer sends over a WebSocket, and the answers
 * expected from the relay.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { CLOSE_CODES } from "../../relay/doors/websocket/close_codes.ts";
import { closePayload, OPCODE } from "../support/subscribers/raw_websocket.ts";
import type { Random } from "../support/random.ts";

const KIB = 1_024;

/** The largest message that the relay takes. */
const MAX_MESSAGE = 64 * KIB;

/** The expected outcome of a script. */
export type Outcome =
  /** The relay listens on, and has refused what it was asked, with these codes. */
  | { readonly kind: "open" }
  /** It closes with this code; 1005 for none. */
  | { readonly kind: "closed"; readonly code: number }
  /** It may listen on, or close with any code of the protocol. */
  | { readonly kind: "any" }
  /** The peer goes in the middle of something: there is nobody to tell. */
  | { readonly kind: "left"; readonly how: "reset" | "fin" };

/** The bytes to send over one connection, after the upgrade. */
export interface Script {
  /** The moves made, in words. */
  readonly moves: readonly string[];
  readonly bytes: Uint8Array;
  /** The number of frames, whole or not. */
  readonly frames: number;
  /** The payloads of the pings in it, up to what is fatal. */
  readonly pings: readonly string[];
  /** The codes of the errors that the relay has to answer with, in order. */
  readonly errors: readonly string[];
  readonly outcome: Outcome;
  /** Whether what comes after it would be taken for a part of it. */
  readonly endsInNoise: boolean;
}

interface FrameParts {
  readonly fin?: boolean;
  readonly reserved?: number;
  readonly isMasked?: boolean;
  /** The length to claim instead of the payload's. */
  readonly claim?: bigint;
  /**
   * The number of bits in which the length is written. Default: as few as will
   * do.
   */
  readonly bits?: 7 | 16 | 64;
}

/** Names that a careless program takes for its own. */
const NAMES = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "valueOf",
  "",
  "\u0000",
  "\ud800",
  "welcome",
  "events",
  "publish ",
  "SUBSCRIBE",
];

const NOT_UTF8: readonly (readonly number[])[] = [
  [0xFF],
  [0x80],
  [0xC3, 0x20],
  [0xC0, 0x80],
  [0xED, 0xA0, 0x80],
  [0xF4, 0x90, 0x80, 0x80],
  [0xE2, 0x82],
];

/** JSON that is no message, or nothing at all. */
const MALFORMED = [
  "",
  "{",
  "null",
  "[]",
  '"heartbeat"',
  "7",
  "{}",
  '{"type":null}',
  '{"type":["heartbeat"]}',
  '{"type":{"toString":"heartbeat"}}',
  '{"__proto__":{"type":"heartbeat"}}',
  "{'type':'heartbeat'}",
  '{"type":"heartbeat"}{"type":"heartbeat"}',
  '\u{FEFF}x{"type":"heartbeat"}',
  '{"type":"heartbeat",}',
  '{"type":"heart\nbeat"}',
  "[".repeat(50_000),
  `{"a":`.repeat(10_000),
  `${"[".repeat(20_000)}${"]".repeat(20_000)}`,
  "NaN",
  "-",
  '{"type":"\\u12"}',
];

/** Messages that are refused, and with what. */
const REFUSED: readonly (readonly [fields: string, code: string])[] = [
  ['"type":"subscribe"', "invalid_topic"],
  ['"type":"subscribe","topic":""', "invalid_topic"],
  ['"type":"subscribe","topic":null', "invalid_topic"],
  ['"type":"subscribe","topic":["t"]', "invalid_topic"],
  ['"type":"subscribe","topic":".t"', "invalid_topic"],
  ['"type":"subscribe","topic":"../t"', "invalid_topic"],
  ['"type":"subscribe","topic":"t\\u0000"', "invalid_topic"],
  ['"type":"subscribe","topic":"\\ud800"', "invalid_topic"],
  [`"type":"subscribe","topic":"${"t".repeat(129)}"`, "invalid_topic"],
  [`"type":"subscribe","topic":"${"t".repeat(60_000)}"`, "invalid_topic"],
  ['"type":"subscribe","topic":"t","after":""', "invalid_message"],
  ['"type":"subscribe","topic":"t","after":{}', "invalid_message"],
  ['"type":"subscribe","topic":"t","after":"AAAAAAAA:0"', "invalid_message"],
  ['"type":"subscribe","topic":"t","after":"AAAAAAAA:-1"', "invalid_message"],
  [
    '"type":"subscribe","topic":"t","after":"AAAAAAAA:9007199254740992"',
    "invalid_message",
  ],
  [
    `"type":"subscribe","topic":"t","after":"${"A".repeat(60_000)}:1"`,
    "invalid_message",
  ],
  ['"type":"subscribe","topic":"t","mode":"none"', "invalid_message"],
  ['"type":"subscribe","topic":"t","mode":["all"]', "invalid_message"],
  ['"type":"subscribe","topic":"t","window":0', "invalid_message"],
  ['"type":"subscribe","topic":"t","window":-1', "invalid_message"],
  ['"type":"subscribe","topic":"t","window":0.5', "invalid_message"],
  ['"type":"subscribe","topic":"t","window":1e400', "invalid_message"],
  ['"type":"subscribe","topic":"t","window":"1"', "invalid_message"],
  ['"type":"subscribe","topic":"t","snapshot":"yes"', "invalid_message"],
  ['"type":"unsubscribe"', "invalid_topic"],
  ['"type":"unsubscribe","topic":"nobody"', "not_subscribed"],
  ['"type":"ack","topic":"t"', "invalid_message"],
  ['"type":"ack","topic":"t","offset":-1', "invalid_message"],
  ['"type":"ack","topic":"t","offset":1e999', "invalid_message"],
  ['"type":"ack","topic":"t","offset":null', "invalid_message"],
  ['"type":"cancel"', "invalid_topic"],
  ['"type":"cancel","topic":"../t"', "invalid_topic"],
  ['"type":"cancel","topic":"nobody"', "unknown_topic"],
  ['"type":"cancel","topic":"__proto__"', "unknown_topic"],
  ['"type":"cancel","topic":"nobody","reason":7', "invalid_message"],
  [
    `"type":"cancel","topic":"nobody","reason":"${"r".repeat(1_001)}"`,
    "invalid_message",
  ],
  ['"type":"publish"', "invalid_topic"],
  ['"type":"publish","topic":"p\\n","events":[{"data":""}]', "invalid_topic"],
  ['"type":"publish","topic":"none"', "invalid_message"],
  ['"type":"publish","topic":"none","events":[]', "invalid_message"],
  ['"type":"publish","topic":"none","events":{"data":""}', "invalid_message"],
  ['"type":"publish","topic":"none","events":[null]', "invalid_message"],
  ['"type":"publish","topic":"none","events":[{}]', "invalid_message"],
  ['"type":"publish","topic":"none","events":[{"data":1}]', "invalid_message"],
  [
    '"type":"publish","topic":"none","events":[{"data":""},[]]',
    "invalid_message",
  ],
  [
    '"type":"publish","topic":"none","events":[{"data":"","event":"\\n"}]',
    "invalid_message",
  ],
  [
    '"type":"publish","topic":"none","events":[{"data":"","id":"\\u0000"}]',
    "invalid_message",
  ],
  [
    '"type":"publish","topic":"none","events":[{"data":"","__proto__":{}}]',
    "invalid_message",
  ],
  [
    '"type":"publish","topic":"none","events":[{"data":""}],"id":""',
    "invalid_message",
  ],
  [
    `"type":"publish","topic":"none","events":[{"data":""}],"id":"${
      "i".repeat(257)
    }"`,
    "invalid_message",
  ],
  [
    `"type":"publish","topic":"none","events":[${"[".repeat(5_000)}${
      "]".repeat(5_000)
    }]`,
    "invalid_message",
  ],
  ['"type":"auth"', "invalid_message"],
  ['"type":"auth","token":""', "invalid_message"],
  ['"type":"auth","token":{"alg":"none"}', "invalid_message"],
  ['"type":"heartbeat","time":"now"', "invalid_message"],
  ['"type":"heartbeat","time":1e999', "invalid_message"],
];

/** Messages that are taken, whatever else is in them. */
const TAKEN = [
  '"type":"heartbeat"',
  '"type":"heartbeat","time":-1e308',
  '"type":"dance","type":"heartbeat"',
  '"type":"heartbeat","__proto__":{"topic":"t"}',
  `"type":"heartbeat","deep":${"[".repeat(5_000)}${"]".repeat(5_000)}`,
  '"type":"ack","topic":"nobody","offset":9007199254740991',
  // If nobody needs a token, any token will do.
  '"type":"auth","token":"x"',
  `"type":"auth","token":"${"eyJhbGciOiJub25lIn0.e30.".repeat(1_000)}"`,
];

/** Events that are taken, whatever is in them. */
const EVENTS = [
  '{"data":""}',
  '{"data":"a\\r\\nid: 9\\n\\nevent: rivulet.end"}',
  '{"event":"rivulet.end","data":"{}"}',
  '{"event":"\\ud800","data":"\\udc00\\u0000","id":"\\u2028"}',
  `{"data":"${"\\u0001".repeat(2_000)}"}`,
  Array.from({ length: 500 }, (_, n) => `{"data":"${n}"}`).join(),
];

/** The topics that scripts fill begin with this; each has some of its own. */
export const FILLED = "filled-";

/** Makes a script; everything in it follows from the chance that is given. */
class ScriptMaker {
  readonly #random: Random;
  readonly #parts: Uint8Array[] = [];
  readonly #moves: string[] = [];
  readonly #pings: string[] = [];
  readonly #errors: string[] = [];
  readonly #subscribed = new Set<string>();
  /** The topics that were published to, and whether each has ended. */
  /** The events that each topic has under each id. */
  readonly #keyed = new Map<string, string>();
  readonly #filled = new Map<string, "open" | "ended">();
  #frames = 0;
  #endsInNoise = false;

  constructor(random: Random) {
    this.#random = random;
  }

  make(): Script {
    const random = this.#random;
    const length = random.pick([0, 1, 3, 10, 30]);
    for (let index = 0; index < length; index++) this.#harmless();
    const outcome = this.#last();
    return {
      moves: this.#moves,
      bytes: Buffer.concat(this.#parts),
      frames: this.#frames,
      pings: this.#pings,
      errors: this.#errors,
      outcome,
      endsInNoise: this.#endsInNoise,
    };
  }

  #did(what: string): void {
    this.#moves.push(what);
  }

  #bytes(length: number): Uint8Array {
    return Uint8Array.from(
      { length },
      () => this.#random.integer(0, 255),
    );
  }

  #frame(
    opcode: number,
    payload: string | Uint8Array,
    { fin = true, reserved = 0, isMasked = true, claim, bits }: FrameParts = {},
  ): Uint8Array {
    const data = Buffer.from(payload);
    const length = claim ?? BigInt(data.length);
    const width = bits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64);
    const head = Buffer.alloc(width === 7 ? 2 : width === 16 ? 4 : 10);
    head[0] = (fin ? 0x80 : 0) | reserved << 4 | opcode;
    head[1] = (isMasked ? 0x80 : 0) |
      (width === 7 ? Number(length) : width === 16 ? 126 : 127);
    if (width === 16) head.writeUInt16BE(Number(length), 2);
    if (width === 64) head.writeBigUInt64BE(length, 2);
    if (!isMasked) return Buffer.concat([head, data]);
    const mask = this.#random.chance(0.1) ? new Uint8Array(4) : this.#bytes(4);
    for (let index = 0; index < data.length; index++) {
      data[index]! ^= mask[index % 4]!; // both are there
    }
    return Buffer.concat([head, mask, data]);
  }

  #send(
    opcode: number,
    payload: string | Uint8Array,
    parts?: FrameParts,
  ): void {
    this.#frames++;
    this.#parts.push(this.#frame(opcode, payload, parts));
  }

  #ping(): void {
    const text = this.#random.integer(0, 2 ** 31).toString(36)
      .repeat(this.#random.integer(0, 16)).slice(0, 125);
    this.#pings.push(text);
    this.#send(OPCODE.ping, text);
  }

  /** A message, in one frame or in many, with what may stand between them. */
  #text(text: string | Uint8Array): void {
    const random = this.#random;
    const data = Buffer.from(text);
    if (random.chance(0.6)) {
      const bits = data.length < 126 ? random.pick([7, 16, 64] as const) : 64;
      this.#send(OPCODE.text, data, random.chance(0.2) ? { bits } : {});
      return;
    }
    const cuts = Array.from(
      { length: random.integer(1, 6) },
      () => random.integer(0, data.length),
    ).sort((a, b) => a - b);
    let from = 0;
    for (const [index, to] of [...cuts, data.length].entries()) {
      this.#send(
        index === 0 ? OPCODE.text : OPCODE.continuation,
        data.subarray(from, to),
        { fin: index === cuts.length },
      );
      from = to;
      if (index < cuts.length && random.chance(0.3)) this.#ping();
    }
  }

  #harmless(): void {
    const random = this.#random;
    switch (random.integer(0, 9)) {
      case 0:
        this.#did("ping");
        return this.#ping();
      case 1:
        this.#did("pong");
        return this.#send(OPCODE.pong, this.#bytes(random.integer(0, 125)));
      case 2: {
        const count = random.chance(0.1) ? random.integer(50, 300) : 3;
        this.#did(`${count} pings`);
        for (let index = 0; index < count; index++) this.#ping();
        return;
      }
      case 3: {
        const fields = random.pick(TAKEN);
        this.#did(fields.slice(0, 60));
        return this.#text(`{${fields}}`);
      }
      case 4: {
        const [fields, code] = random.pick(REFUSED);
        this.#did(fields.slice(0, 60));
        this.#errors.push(code);
        return this.#text(`{${fields}}`);
      }
      case 5: {
        const type = JSON.stringify(random.pick(NAMES));
        this.#did(`type ${type}`);
        this.#errors.push("unknown_type");
        return this.#text(`{"type":${type}}`);
      }
      case 6:
        return this.#publish();
      case 7:
        return this.#cancel();
      default:
        return this.#follow();
    }
  }

  /** Publications, to topics that are there and to such as have ended. */
  #publish(): void {
    const random = this.#random;
    const names = [...this.#filled.keys()];
    const topic = names.length > 0 && random.chance(0.7)
      ? random.pick(names)
      : FILLED + random.integer(0, 2 ** 31);
    const id = random.chance(0.5)
      ? `,"id":${
        JSON.stringify(random.pick(["k", "\r\n", "\ud800", "__proto__"]))
      }`
      : "";
    this.#did(`publish ${topic}${id}`);
    if (this.#filled.get(topic) === "ended") {
      // A publication under an id used before may be acknowledged again.
      if (id !== "") return this.#cancel(topic);
      this.#errors.push("topic_ended");
    } else this.#filled.set(topic, "open");
    const events = random.pick(EVENTS);
    if (id !== "") {
      const earlier = this.#keyed.get(topic + id);
      if (earlier === undefined) this.#keyed.set(topic + id, events);
      else if (earlier !== events) this.#errors.push("idempotency_mismatch");
    }
    this.#text(
      `{"type":"publish","topic":"${topic}","events":[${events}]${id}}`,
    );
  }

  /** Ends what was published to; to repeat that is no error. */
  #cancel(name?: string): void {
    const random = this.#random;
    const names = [...this.#filled.keys()];
    const topic = name ?? (names.length > 0 ? random.pick(names) : undefined);
    if (topic === undefined) return this.#publish();
    const reason = random.pick([
      "",
      ',"reason":""',
      ',"reason":"\\r\\n\\u2028{topic}</script>"',
      ',"reason":"\\ud800"',
    ]);
    this.#did(`cancel ${topic}${reason}`);
    this.#filled.set(topic, "ended");
    this.#text(`{"type":"cancel","topic":"${topic}"${reason}}`);
  }

  /** Subscriptions in every state. */
  #follow(): void {
    const random = this.#random;
    const topic = random.chance(0.3) ? "steady" : `t${random.integer(0, 9)}`;
    const isThere = this.#subscribed.has(topic);
    if (isThere && random.chance(0.4)) {
      this.#did(`unsubscribe ${topic}`);
      this.#subscribed.delete(topic);
      return this.#text(`{"type":"unsubscribe","topic":"${topic}"}`);
    }
    if (isThere && random.chance(0.6)) {
      this.#did(`ack ${topic}`);
      this.#errors.push("invalid_ack");
      return this.#text(
        `{"type":"ack","topic":"${topic}","offset":9007199254740991}`,
      );
    }
    this.#did(`subscribe ${topic}`);
    if (isThere) this.#errors.push("already_subscribed");
    this.#subscribed.add(topic);
    const after = random.pick([
      "start",
      "now",
      "AAAAAAAA:1",
      `${"z".repeat(22)}:9007199254740991`,
    ]);
    const mode = random.pick(["all", "merge", "latest"]);
    const window = random.pick([1, 100, 9_007_199_254_740_991]);
    this.#text(
      `{"type":"subscribe","topic":"${topic}","after":"${after}",` +
        `"mode":"${mode}","window":${window},` +
        `"snapshot":${random.chance(0.5)}}`,
    );
  }

  #last(): Outcome {
    const random = this.#random;
    const end = random.integer(0, 19);
    if (end < 5) return { kind: "open" };
    if (end === 5) {
      const how = random.pick(["reset", "fin"] as const);
      this.#did(`half a frame and ${how}`);
      const whole = this.#frame(OPCODE.text, this.#bytes(300));
      this.#frames++;
      this.#parts.push(whole.subarray(0, random.integer(1, whole.length - 1)));
      return { kind: "left", how };
    }
    if (end === 6) {
      this.#did("noise");
      this.#frames++;
      this.#parts.push(this.#bytes(random.pick([1, 2, 20, 500, 5_000])));
      return { kind: "any" };
    }
    const code = this.#fatal();
    // Whatever comes after that is of no interest to anybody.
    if (random.chance(0.3)) {
      this.#did("and noise");
      this.#endsInNoise = true;
      this.#parts.push(this.#bytes(random.integer(1, 2_000)));
    } else if (random.chance(0.2)) {
      this.#did("and a message");
      this.#frames++;
      this.#parts.push(this.#frame(OPCODE.text, '{"type":"dance"}'));
    }
    return { kind: "closed", code };
  }

  /**
   * Writes something from which no session can go on: returns the code for it.
   */
  #fatal(): number {
    const random = this.#random;
    const opcode = random.pick([0, 1, 2, 8, 9, 10]);
    const small = this.#bytes(random.integer(0, 100));
    const heartbeat = '{"type":"heartbeat"}';
    switch (random.integer(0, 17)) {
      case 0:
        this.#did(`unmasked ${opcode}`);
        this.#send(opcode === 0 ? 1 : opcode, small, { isMasked: false });
        return 4500;
      case 1: {
        const reserved = random.integer(1, 7);
        this.#did(`reserved bits ${reserved}`);
        this.#send(opcode, small, { reserved });
        return 4500;
      }
      case 2: {
        const reserved = random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]);
        this.#did(`opcode ${reserved}`);
        this.#send(reserved, small);
        return 4500;
      }
      case 3: {
        const control = random.pick([8, 9, 10]);
        const length = random.pick([126, 127, 500, 65_535, 65_536, 70_000]);
        this.#did(`control frame ${control} of ${length} bytes`);
        this.#send(control, this.#bytes(length));
        return 4500;
      }
      case 4: {
        const control = random.pick([8, 9, 10]);
        this.#did(`control frame ${control} in fragments`);
        this.#send(control, small, { fin: false });
        return 4500;
      }
      case 5:
        this.#did("continuation of nothing");
        this.#send(OPCODE.continuation, small, { fin: random.chance(0.5) });
        return 4500;
      case 6:
        this.#did("a message in a message");
        this.#send(OPCODE.text, "{", { fin: false });
        if (random.chance(0.5)) this.#ping();
        this.#send(random.pick([1, 2]), heartbeat);
        return 4500;
      case 7:
        this.#did("binary");
        this.#send(OPCODE.binary, random.pick([heartbeat, "", small]));
        return 4500;
      case 8:
        this.#did("not UTF-8");
        // In a message that would be taken, but for that.
        this.#text(Buffer.concat([
          Buffer.from('{"type":"heartbeat","text":"'),
          Uint8Array.from(random.pick(NOT_UTF8)),
          Buffer.from('"}'),
        ]));
        return 4500;
      case 9: {
        const text = random.pick(MALFORMED);
        this.#did(`malformed ${text.slice(0, 40)}`);
        this.#text(text);
        return 4500;
      }
      case 10: {
        const length = MAX_MESSAGE + random.pick([1, 2, 1_000, 60_000]);
        this.#did(`${length} bytes`);
        this.#send(random.pick([1, 2]), Buffer.alloc(length, " "));
        return 1009;
      }
      case 11: {
        const claim = random.pick([65_537n, 1n << 31n, 1n << 40n, 1n << 52n]);
        this.#did(`a claim of ${claim} bytes`);
        this.#send(random.pick([1, 2]), small, { claim });
        return 1009;
      }
      case 12: {
        const claim = random.pick([1n << 53n, 1n << 63n, (1n << 64n) - 1n]);
        this.#did(`a claim of ${claim} bytes`);
        this.#send(random.pick([1, 2]), small, { claim });
        return 1009;
      }
      case 13: {
        const part = random.pick([33_000, 65_536]);
        this.#did(`fragments of ${part} bytes`);
        this.#send(OPCODE.text, Buffer.alloc(part, " "), { fin: false });
        this.#ping();
        this.#send(OPCODE.continuation, Buffer.alloc(part, " "));
        return 1009;
      }
      case 14:
        this.#did("close frame of one byte");
        this.#send(OPCODE.close, this.#bytes(1));
        return 4500;
      case 15: {
        const code = random.pick([
          ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2_000, 2_999],
          ...[5_000, 10_000, 65_535],
        ]);
        this.#did(`close ${code}`);
        this.#send(OPCODE.close, closePayload(code, "bye"));
        return 4500;
      }
      case 16: {
        const code = random.pick([
          ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012],
          ...[1013, 1014, 3_000, 3_999, 4_000, 4_408, 4_500, 4_999],
        ]);
        this.#did(`close ${code}`);
        const wrong = Uint8Array.of(0xFF, 0xFE);
        const reason = random.pick(["", "bye", wrong]);
        this.#send(
          OPCODE.close,
          Buffer.concat([closePayload(code), Buffer.from(reason)]),
        );
        if (reason === wrong) return 4500;
        // The protocol's codes come back; a peer's complaint about frames is one.
        if (CLOSE_CODES.has(code)) return code;
        return code === 1002 || code === 1007 ? 4500 : 1000;
      }
      default:
        this.#did("close with nothing");
        this.#send(OPCODE.close, "");
        return 1005;
    }
  }
}

/** Makes the script of a chance. */
export function makeScript(random: Random): Script {
  return new ScriptMaker(random).make();
}
