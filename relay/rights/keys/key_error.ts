/** A key that no token can be verified, or made, with. Never says the key itself. */
export class KeyError extends Error {
  /**
   * What is wrong, for programs: it cannot be read, it is of another kind than
   * is wanted, or it is not to be given away.
   */
  readonly code: "malformed_key" | "unsupported_key" | "private_key";

  /** Says what was expected, and what came. */
  constructor(
    code: KeyError["code"],
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "KeyError";
    this.code = code;
  }
}
