/** Returns the errors that an error has suppressed, the first first. */
function errorsOf(error: unknown): unknown[] {
  return error instanceof SuppressedError
    ? [...errorsOf(error.suppressed), ...errorsOf(error.error)]
    : [error];
}

/**
 * Runs a test whose parts fail to end when it has failed: Deno shows neither error of a
 * `SuppressedError`.
 *
 * @throws {AggregateError} If there is more than one error.
 */
export async function showSuppressed(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof SuppressedError)) throw error;
    throw new AggregateError(errorsOf(error), "The test failed, and its end");
  }
}
