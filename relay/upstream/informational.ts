/** The informational answers that any client may get, and pass over. */
const PASSED_OVER: ReadonlySet<number> = new Set([100, 103]);

/** Whether an informational answer is passed over. */
export function isPassedOver(status: number): boolean {
  return PASSED_OVER.has(status);
}

/** Returns the failure that any other informational answer is. */
export function unaskedAnswer(status: number | undefined): Error {
  return new Error(`it has answered ${status}, which nobody asked for`);
}
