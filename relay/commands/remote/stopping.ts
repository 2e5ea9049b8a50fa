import { ExitError } from "../command.ts";
import type { System } from "../system.ts";

/** The statuses by which a shell knows that a signal has ended a program. */
const STATUSES: Readonly<Record<string, number>> = {
  SIGINT: 130,
  SIGTERM: 143,
};

/**
 * Returns a signal that is aborted when the command is to stop: by SIGINT or SIGTERM,
 * with an {@linkcode ExitError} that says nothing, or as nobody reads its output.
 */
export function stopping(
  system: Pick<System, "onStop" | "outputClosed">,
): AbortSignal {
  const stopped = new AbortController();
  system.onStop((signal) =>
    stopped.abort(new ExitError(STATUSES[signal] ?? 1))
  );
  return AbortSignal.any([stopped.signal, system.outputClosed]);
}
