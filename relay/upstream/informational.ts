/** The informational answers that any client may get, and pass over. */
const PASSED_OVER: ReadonlySet<number> = new Set([100, 103]);

/** The most informational answers of one request: an upstream could send them for ever. */
const MAX_PASSED_OVER = 100;

/** The informational answers that come before the answer to one request. */
export class InformationalAnswers {
  #count = 0;

  /**
   * Passes one over.
   *
   * @returns The error of the request, if it fails.
   */
  add(status: number): Error | undefined {
    if (!PASSED_OVER.has(status)) return unaskedAnswer(status);
    if (++this.#count <= MAX_PASSED_OVER) return undefined;
    return new Error(
      `it has sent more than ${MAX_PASSED_OVER} informational answers, and no other`,
    );
  }
}

/** Returns the failure that any other informational answer is. */
export function unaskedAnswer(status: number | undefined): Error {
  return new Error(`it has answered ${status}, which nobody asked for`);
}
