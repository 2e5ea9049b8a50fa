import { headers } from "@nats-io/transport-node";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { StoreError } from "../../topics/store.ts";
import type { Connected, Connection } from "./connection.ts";
import { isWrongSequence } from "./failures.ts";
import { type Deed, HEADER, writeEvents, writeHeader } from "./log_message.ts";

/** What is left free of the largest message, for what is not the body. */
const HEADROOM = 4 * 1024;

/** Writes the messages of one log, each after the one that it expects. */
export class LogWriter {
  readonly #connection: Connection;
  readonly #subject: string;
  #underWay = "";

  constructor(
    { connection }: { readonly connection: Connection },
    subject: string,
  ) {
    this.#connection = connection;
    this.#subject = subject;
  }

  /** Whether a message is one that is being written here. */
  isUnderWay(id: string): boolean {
    return id !== "" && id === this.#underWay;
  }

  /**
   * Writes a message, in parts if it is too large for one.
   *
   * @param before The place of the last message of the log, 0 for none.
   * @returns The place of the message; `undefined` if another one has come before.
   * @throws {StoreError} If nobody knows whether it is there.
   */
  async write(
    deed: Deed,
    events: readonly ServerSentEvent[],
    before: number,
  ): Promise<number | undefined> {
    const body = writeEvents(events);
    const id = crypto.randomUUID();
    const pieces = this.#cut(body, deed);
    let last: number | undefined = before;
    for (const piece of pieces.slice(0, -1)) {
      const header = writeHeader({ v: 1, part: id });
      last = await this.#put(header, piece, last);
      if (last === undefined) return undefined;
    }
    const parts = pieces.length - 1;
    const whole = parts > 0 ? { ...deed, parts } : deed;
    return await this.#put(writeHeader(whole), pieces[parts]!, last); // the last one
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
  ): Promise<number | undefined> {
    // The same for each attempt: one that was kept and not answered counts once.
    const msgID = this.#underWay = crypto.randomUUID();
    const put = async ({ js }: Connected): Promise<number> => {
      const all = headers();
      all.set(HEADER, header);
      const { seq } = await js.publish(this.#subject, body, {
        msgID,
        headers: all,
        retries: 0,
        expect: { lastSubjectSequence: before },
      });
      return seq;
    };
    try {
      return await this.#connection.ask(put, { passes: isWrongSequence });
    } catch (error) {
      if (isWrongSequence(error)) return undefined;
      throw error;
    } finally {
      this.#underWay = "";
    }
  }
}
