/** The time for connecting, in milliseconds: there may be another address. */
export const CONNECT_TIMEOUT = 10_000;

/** No connection came about in time. */
export class ConnectTimeoutError extends Error {
  override readonly name = "ConnectTimeoutError";
  /** As Node has it. */
  readonly code = "ETIMEDOUT";
}
