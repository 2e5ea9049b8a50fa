import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../src/fetch/clock.ts";
import { secondsSince } from "../guests.ts";

/** A WebSocket that was closed. */
interface ClosedSocket {
  /** Its number in the log. */
  readonly connection: string;
  readonly address: string;
  /** The time when it was opened, as its clock says it. */
  readonly start: number;
  readonly clock: Clock;
}

const logger = getLogger(["rivulet", "relay", "websocket"]);

/** Logs that a WebSocket was closed, after how long, and with which code. */
export function tellClosed(
  { connection, address, start, clock }: ClosedSocket,
  code: number,
): void {
  const seconds = secondsSince(start, clock);
  logger.info(
    "WebSocket {connection} of {address} closed after {seconds} s: {code}",
    { connection, address, seconds, code },
  );
}
