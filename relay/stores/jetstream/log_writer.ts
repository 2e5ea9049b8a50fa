import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { StoreError } from "../../topics/store.ts";
import type { Connected, Connection } from "./connection.ts";
import { isWrongSequence } from "./failures.ts";
import { type Deed, HEADER, writeEvents, writeHeader } from "./log_message.ts";
import { publishTo } from "./publish.ts";

/** The part of the largest message that is left for its headers. */
const HEADROOM = 4 * 1024;

/** Writes the messages of one log, each after the one that it expects. */
export class LogWriter {
  readonly #connection: Connection;
  readonly #stream: string;
  readonly #subject: string;

  constructor(
    { connection, stream }: {
      readonly connection: Connection;
      readonly stream: string;
    },
    subject: string,
  ) {
    this.#connection = connection;
    this.#stream = stream;
    this.#subject = subject;
  }

  /**
   * Writes a message, in parts if it is too large for one.
   *
   * @param before The place of the last message of the log, 0 for none.
   * @param id The id of the message.
   * @returns The place of the message; `undefined` if another one has come before, or
   * perhaps the message itself, by an attempt that was not answered.
   * @throws {StoreError} If nobody knows whether it is there.
   */
  async write(
    deed: Deed,
    events: readonly ServerSentEvent[],
    before: number,
    id: string,
  ): Promise<number | undefined> {
    const body = writeEvents(events);
    const pieces = this.#cut(body, deed);
    let { after } = deed;
    let place: number | undefined = before;
    for (const piece of pieces.slice(0, -1)) {
      const header = writeHeader({ v: 1, after, part: id });
      place = await this.#put(header, piece, place, crypto.randomUUID());
      if (place === undefined) return undefined;
      after = place;
    }
    const parts = pieces.length - 1;
    const whole = parts > 0 ? { ...deed, after, parts } : deed;
    const piece = pieces[parts]!; // the last one
    return await this.#put(writeHeader(whole), piece, place, id);
  }

  #cut(body: Uint8Array, deed: Deed): readonly Uint8Array[] {
    const { nats } = this.#connection.connected;
    const max = nats.info?.max_payload ?? 1024 * 1024;
    const room = max - HEADROOM - writeHeader(deed).length;
    if (room <= 0) {
      throw new StoreError(
        "full",
        `NATS at ${this.#connection.servers} takes messages of up to ${max} bytes, which is too little: raise its max_payload`,
      );
    }
    if (body.length <= room) return [body];
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < body.length; at += room) {
      pieces.push(body.subarray(at, at + room));
    }
    return pieces;
  }

  async #put(
    header: string,
    body: Uint8Array,
    before: number,
    id: string,
  ): Promise<number | undefined> {
    const put = (connected: Connected): Promise<number | undefined> =>
      publishTo(connected, {
        stream: this.#stream,
        subject: this.#subject,
        body,
        headers: { [HEADER]: header },
        id,
        before,
      });
    try {
      return await this.#connection.ask(put, { passes: isWrongSequence });
    } catch (error) {
      if (isWrongSequence(error)) return undefined;
      throw error;
    }
  }
}
