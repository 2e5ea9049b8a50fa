/**
 * A message that is too long to be encoded, or written, in one turn of the event
 * loop. All its readers share its parts.
 */
export class LongMessage {
  /** The bytes, in parts that are small. */
  readonly parts: readonly Uint8Array[];
  /** The number of bytes. */
  readonly byteLength: number;
  /** The message that readers share: this one, or the one that it was made of. */
  readonly shared: LongMessage;

  /**
   * Makes a message.
   *
   * @param parts The bytes.
   * @param shared The message whose parts are among them. Default: none.
   */
  constructor(parts: readonly Uint8Array[], shared?: LongMessage) {
    this.parts = parts;
    this.byteLength = parts.reduce((sum, part) => sum + part.byteLength, 0);
    this.shared = shared ?? this;
  }

  /** Returns this message behind bytes of one reader, to be written with them. */
  after(bytes: Uint8Array): LongMessage {
    return new LongMessage([bytes, ...this.parts], this.shared);
  }
}

/** Bytes to be written for a reader, with nothing else in between. */
export type Message = Uint8Array | LongMessage;
