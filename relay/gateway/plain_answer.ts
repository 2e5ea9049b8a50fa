import { z } from "zod";
import type { Watchdog } from "../../src/fetch/watchdog.ts";
import type { UpstreamAnswer } from "../upstream/answer.ts";
import type { CallerOfRun } from "./caller.ts";
import { responseHeaders } from "./headers.ts";

/** The result of passing on an answer that is no event stream. */
export interface PlainAnswer {
  /** Whether the caller has all of it. */
  readonly isWhole: boolean;
  /** The message in the body of an error, if there is one. */
  readonly message: string;
}

/** The most of an error's body that is read for its message, in UTF-16 code units. */
const MAX_ERROR_BODY = 16 * 1024;

/**
 * Passes an answer on that is no event stream. An answer that breaks off is cut
 * off for the caller too.
 *
 * @param response The provider's answer.
 * @param caller The caller.
 * @param watchdog Watches over the provider's silence.
 * @param onBytes Called for the bytes of the body. Default: does nothing.
 */
export async function passPlainAnswer(
  response: UpstreamAnswer,
  caller: CallerOfRun,
  watchdog: Watchdog,
  onBytes: (bytes: Uint8Array) => void = () => {},
): Promise<PlainAnswer> {
  const { status, statusText, headers } = response;
  caller.head(status, statusText, responseHeaders(headers), true);
  let error = "";
  const decoder = response.ok ? undefined : new TextDecoder();
  try {
    watchdog.start();
    for (let bytes; (bytes = await response.body?.next());) {
      watchdog.stop();
      if (decoder && error.length < MAX_ERROR_BODY) {
        error += decoder.decode(bytes, { stream: true });
      }
      onBytes(bytes);
      if (response.body?.isOver) {
        caller.end(bytes);
        return result(true, error);
      }
      caller.write(bytes);
      await caller.drained();
      watchdog.start();
    }
    caller.end();
    return result(true, error);
  } catch {
    caller.cut(); // it must not take a part for the whole
    return result(false, error);
  }
}

function result(isWhole: boolean, error: string): PlainAnswer {
  return { isWhole, message: error === "" ? "" : errorMessage(error) };
}

const errorBody = z.object({
  error: z.union([z.string(), z.looseObject({ message: z.string() })]),
});

/** Returns the message of an error's body, if it has one where providers put it. */
function errorMessage(body: string): string {
  try {
    const { error } = errorBody.parse(JSON.parse(body));
    return typeof error === "string" ? error : error.message;
  } catch {
    return ""; // its status has to do
  }
}
