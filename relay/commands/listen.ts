import { messageOf } from "../../src/fetch/message_of.ts";
import { ConfigurationError } from "../options/read_configuration.ts";
import type { Relay, RelayAddress } from "../relay.ts";
import { StoreError } from "../topics/store.ts";
import { WorkersError } from "../workers/workers_error.ts";
import { UnavailableError } from "./command.ts";

/**
 * Has a relay listen.
 *
 * @throws {UnavailableError | ConfigurationError} If it cannot, with what to do.
 */
export async function listen(
  relay: Pick<Relay, "listen">,
): Promise<RelayAddress> {
  try {
    return await relay.listen();
  } catch (cause) {
    const message = messageOf(cause).replaceAll(/\s*\n\s*/g, " ");
    if (hasCode(cause, "source_failed")) {
      throw new UnavailableError(
        `--fail-fast: ${message}. Without --fail-fast, it is retried`,
        { cause },
      );
    }
    if (cause instanceof WorkersError) {
      if (cause.isLater) throw new UnavailableError(message, { cause });
      throw new ConfigurationError([message], { cause });
    }
    // Whatever has the address now may leave it: another relay that is drained.
    if (
      cause instanceof Error && hasCode(cause, "listen_failed") &&
      isTaken(cause)
    ) {
      throw new UnavailableError(
        `${message}. Stop what listens there, or give another --port`,
        { cause },
      );
    }
    // The file may be that of another relay that is drained, and a disk gets room.
    if (cause instanceof Error && isStoreAway(cause)) {
      throw new UnavailableError(message, { cause });
    }
    throw new ConfigurationError([message], { cause });
  }
}

/** Whether an address cannot be listened on that can be free, or there, later. */
function isTaken({ cause }: Error): boolean {
  return hasCode(cause, "EADDRINUSE") || hasCode(cause, "EADDRNOTAVAIL");
}

/** Whether the file of the store can be used later. */
function isStoreAway({ cause }: Error): boolean {
  return cause instanceof StoreError &&
    (cause.failure === "locked" || cause.failure === "full");
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
