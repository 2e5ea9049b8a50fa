/** A command line that asks for nothing that there is. */
export class FlagError extends Error {
  /** What happened, for programs. */
  readonly code = "invalid_flag";

  /** Names the flag, and what was expected. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "FlagError";
  }
}
