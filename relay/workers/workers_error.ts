/** The workers cannot be started. */
export class WorkersError extends Error {
  /** The code for programs. */
  readonly code = "workers_failed";
  /** Whether it may be different later. */
  readonly isLater: boolean;

  /** Says why not. */
  constructor(message: string, isLater: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = "WorkersError";
    this.isLater = isLater;
  }
}
