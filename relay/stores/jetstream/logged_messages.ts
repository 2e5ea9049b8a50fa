import type { Connection } from "./connection.ts";
import { removeMessages } from "./remove.ts";

/** The number of messages that retention has passed, from which on they are removed. */
const REMOVE_AT = 64;

/** The number of them from which on a relay that does not write forgets them. */
const FORGET_AT = 1_024;

/** The places of a message of a log. */
interface LoggedMessage {
  readonly seq: number;
  /** The places of the messages that have the beginning of its body. */
  readonly parts: readonly number[];
  /** The offset that follows it. */
  readonly next: number;
}

/** The messages of a log in the stream, and which of them retention has passed. */
export class LoggedMessages {
  readonly #messages: LoggedMessage[] = [];
  #isRemoving = false;

  /** Takes note of the next message. */
  add(message: LoggedMessage): void {
    this.#messages.push(message);
  }

  /**
   * Forgets what another relay removes that writes into the log.
   *
   * @param first The offset of the first event that is retained.
   */
  forget(first: number): void {
    const far = this.#messages[FORGET_AT];
    if (far && far.next <= first) this.#messages.splice(0, this.#passed(first));
  }

  /**
   * Returns the place before which messages may be removed; `undefined` unless they are
   * many.
   */
  removable(first: number): number | undefined {
    const count = this.#passed(first);
    return count < REMOVE_AT || this.#isRemoving
      ? undefined
      : this.#messages[count]?.seq;
  }

  /** Removes what retention has passed. */
  async remove(
    first: number,
    connection: Connection,
    stream: string,
  ): Promise<void> {
    const messages = this.#messages.splice(0, this.#passed(first));
    const places = messages.flatMap(({ parts, seq }) => [...parts, seq]);
    this.#isRemoving = true;
    try {
      await removeMessages(connection, stream, places);
    } catch {
      // The next ones that are removed take these with them.
      this.#messages.unshift(...messages);
    } finally {
      this.#isRemoving = false;
    }
  }

  /** The number that retention has passed. The last one stays: it says where the log goes on. */
  #passed(first: number): number {
    const count = this.#messages.findIndex(({ next }) => next > first);
    return count < 0 ? Math.max(0, this.#messages.length - 1) : count;
  }
}
