/**
 * Counts work in place of time: how much text and how many bytes go through the
 * functions of the runtime that take as long as their input is.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Hash } from "node:crypto";
import { setImmediate } from "node:timers";
import { assert } from "@std/assert";

/**
 * The speed of a function: `slow` ones take a tenth of a second and more for 16 MiB, as
 * they look at each character in its turn; `fast` ones copy or compare memory.
 */
export type Speed = "slow" | "fast";

/** The work of one function of the runtime, in bytes or UTF-16 code units. */
export interface Work {
  /** The name of the function. */
  readonly name: string;
  /** Its speed. */
  readonly speed: Speed;
  /** The most that one call has handled. */
  call: number;
  /** The most that the calls of one turn of the event loop have handled. */
  turn: number;
  /** The place of the call that has handled most. */
  stack: string;
}

interface Counted extends Work {
  inTurn: number;
}

/** A size from which it is worth to remember who calls. */
const MUCH = 64 * 1024;

/** Counts the work of this process until it is disposed of. */
export class WorkCounter implements Disposable {
  readonly #functions: Counted[] = [];
  readonly #undo: (() => void)[] = [];
  #isInTurn = false;
  #turns = 0;

  /** Begins to count. */
  constructor() {
    const text = (value: unknown): number =>
      typeof value === "string" ? value.length : 0;
    const bytes = (value: unknown): number =>
      ArrayBuffer.isView(value) ? value.byteLength : text(value);
    const input = (args: readonly unknown[]): number => bytes(args[0]);
    const own = (_args: unknown, self: unknown): number => bytes(self);
    const output = (_args: unknown, _self: unknown, result: unknown): number =>
      bytes(result);
    const found = (
      [, from]: readonly unknown[],
      self: unknown,
      result: unknown,
    ): number =>
      (Number(result) < 0 ? bytes(self) : Number(result)) - (Number(from) || 0);
    const slow = { speed: "slow" } as const;
    this.#count(TextDecoder.prototype, "decode", { ...slow, size: input });
    this.#count(TextEncoder.prototype, "encode", { ...slow, size: input });
    this.#count(JSON, "parse", { ...slow, size: input });
    this.#count(JSON, "stringify", { ...slow, size: output });
    this.#count(Buffer, "from", { ...slow, size: input });
    this.#count(Buffer.prototype, "toString", { ...slow, size: own });
    this.#count(RegExp.prototype, "test", { ...slow, size: input });
    for (
      const name of ["replace", "replaceAll", "split", "toWellFormed"] as const
    ) {
      this.#count(String.prototype, name, { ...slow, size: own });
    }
    this.#stopTime();
    const fast = { speed: "fast" } as const;
    this.#count(Hash.prototype, "update", { ...fast, size: input });
    this.#count(Buffer, "concat", { ...fast, size: output });
    this.#count(Buffer, "byteLength", { ...fast, size: input });
    this.#count(Array.prototype, "join", { ...fast, size: output });
    this.#count(Uint8Array.prototype, "set", { ...fast, size: input });
    this.#count(Uint8Array.prototype, "slice", { ...fast, size: output });
    this.#count(Uint8Array.prototype, "indexOf", { ...fast, size: found });
    this.#count(String.prototype, "indexOf", { ...fast, size: found });
    this.#count(String.prototype, "includes", { ...fast, size: own });
  }

  /** The functions, and the work of each. */
  get functions(): readonly Work[] {
    return this.#functions;
  }

  /** The number of turns in which there was work. */
  get turns(): number {
    return this.#turns;
  }

  /**
   * Lets no time pass within a turn: on a busy machine, a turn takes so long that work
   * which goes by its time goes on in it.
   */
  #stopTime(): void {
    const { now } = performance;
    let last = now.call(performance);
    performance.now = () => {
      if (!this.#isInTurn) last = now.call(performance);
      return last;
    };
    this.#undo.push(() => performance.now = now);
  }

  #count<T extends object>(
    object: T,
    name: keyof T & string,
    { speed, size }: {
      readonly speed: Speed;
      size(args: readonly unknown[], self: unknown, result: unknown): number;
    },
  ): void {
    const original: unknown = object[name];
    assert(typeof original === "function");
    const counted: Counted = {
      name: `${original.name} of ${Object.prototype.toString.call(object)}`,
      speed,
      call: 0,
      turn: 0,
      stack: "",
      inTurn: 0,
    };
    this.#functions.push(counted);
    const add = (handled: number): void => this.#add(counted, handled);
    const before = Object.getOwnPropertyDescriptor(object, name);
    Object.defineProperty(object, name, {
      ...before,
      configurable: true,
      value: function (this: unknown, ...args: unknown[]): unknown {
        const result: unknown = Reflect.apply(original, this, args);
        add(size(args, this, result));
        return result;
      },
    });
    this.#undo.push(() => {
      if (before) Object.defineProperty(object, name, before);
      else delete object[name];
    });
  }

  #add(counted: Counted, handled: number): void {
    if (handled > counted.call) {
      counted.call = handled;
      if (handled > MUCH) counted.stack = new Error().stack ?? "";
    }
    counted.inTurn += handled;
    counted.turn = Math.max(counted.turn, counted.inTurn);
    if (this.#isInTurn) return;
    this.#isInTurn = true;
    setImmediate(() => {
      this.#isInTurn = false;
      this.#turns++;
      for (const each of this.#functions) each.inTurn = 0;
    });
  }

  /** Counts no more: the functions are what they were. */
  [Symbol.dispose](): void {
    for (const undo of this.#undo) undo();
  }
}
