import {
  AuthorizationError,
  ClosedConnectionError,
  ConnectionError,
  DrainingConnectionError,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
  UserAuthenticationExpiredError,
} from "@nats-io/transport-node";
import { JetStreamApiError } from "@nats-io/jetstream";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { StoreError, type StoreFailure } from "../../topics/store.ts";

/** Codes of JetStream's answers. */
const CODES = {
  wrongLastSequence: 10_071,
  notEnabledForAccount: 10_039,
  notEnabled: 10_076,
  noCluster: 10_008,
  noMessage: 10_037,
  noSequence: 10_043,
  notDeleted: 10_057,
  noStream: 10_059,
  nameInUse: 10_058,
};

/** Codes that say that there is no more room. */
const FULL: ReadonlySet<number> = new Set([
  10_023, // insufficient resources
  10_047, // storage of the server
  10_028, // memory of the server
  10_077, // of the stream, and of any other limit: its text says which
  10_002, // storage of the account
]);

/** Whether another writer was first. */
export function isWrongSequence(error: unknown): boolean {
  return error instanceof JetStreamApiError &&
    error.code === CODES.wrongLastSequence;
}

/** Whether there is no such message. */
export function isNoMessage(error: unknown): boolean {
  return error instanceof JetStreamApiError &&
    (error.code === CODES.noMessage || error.status === 404) &&
    !isNoStream(error);
}

/** Whether a message that was to be removed is not there any more. */
export function isRemoved(error: unknown): boolean {
  return isNoMessage(error) ||
    error instanceof JetStreamApiError &&
      (error.code === CODES.noSequence || error.code === CODES.notDeleted);
}

/** Whether the stream is not there. */
export function isNoStream(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === CODES.noStream;
}

/** Whether a stream of that name is there with another configuration. */
export function isNameInUse(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === CODES.nameInUse;
}

/** Whether nobody has heard what was asked. */
export function hasNoResponders(error: unknown): boolean {
  return error instanceof NoRespondersError ||
    error instanceof Error && error.name === "JetStreamNotEnabled" ||
    error instanceof Error && hasNoResponders(error.cause);
}

/** Whether the same may go well a moment later: a leader is elected, or a server has gone. */
export function isPassing(error: unknown): boolean {
  if (error instanceof JetStreamApiError) {
    if (FULL.has(error.code)) return false;
    return error.status === 503 || error.code === CODES.noCluster ||
      error.code === CODES.notEnabledForAccount ||
      error.code === CODES.notEnabled;
  }
  // A reader that has lost a message, or the server behind it, reads again.
  if (error instanceof StoreError) return error.failure === "away";
  return error instanceof TimeoutError || hasNoResponders(error) ||
    error instanceof ConnectionError ||
    error instanceof RequestError &&
      !(error.cause instanceof PermissionViolationError);
}

/** Whether the connection is refused for who asks for it. */
export function isDenied(error: unknown): boolean {
  return error instanceof AuthorizationError ||
    error instanceof UserAuthenticationExpiredError ||
    error instanceof PermissionViolationError ||
    error instanceof Error && error.cause !== undefined &&
      isDenied(error.cause);
}

/** Codes of errors of TLS, in Node, Deno and Bun. */
const TLS_CODES = /CERT|SIGNATURE|_SSL_|_TLS_|ISSUER|SELF_SIGNED/;

/** The word in errors of TLS when the peer rejects this side's certificate. */
const TLS_ALERT = /\balert\b/i;

function tlsFault(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { message } = error;
  if (TLS_ALERT.test(message)) {
    return `refuses the certificate of the relay, or wants one (${message}): check cert=FILE and key=FILE in --store`;
  }
  const code = "code" in error ? String(error.code) : "";
  if (!TLS_CODES.test(code)) return undefined;
  return `cannot be talked to over TLS (${message}): check ca=FILE, cert=FILE and key=FILE in --store, and that its certificate has that name`;
}

/** Returns the operation that was not allowed, if that is why something has failed. */
function violationOf(error: unknown): PermissionViolationError | undefined {
  if (error instanceof PermissionViolationError) return error;
  return error instanceof Error ? violationOf(error.cause) : undefined;
}

/** Puts what NATS has answered, or has not, into the words of the relay. */
export function storeErrorOf(error: unknown, servers: string): StoreError {
  if (error instanceof StoreError) return error;
  const [failure, text] = explain(error, servers);
  return new StoreError(failure, text, { cause: error });
}

function explain(
  error: unknown,
  servers: string,
): readonly [StoreFailure, string] {
  const violation = violationOf(error);
  if (violation) {
    const { operation, subject } = violation;
    const what = operation === "publish" ? "publish" : "subscribe";
    return [
      "denied",
      `NATS at ${servers} does not let the relay ${what} to '${subject}': give its user the rights that docs/cluster.md lists`,
    ];
  }
  const fault = tlsFault(error);
  if (fault !== undefined) return ["denied", `NATS at ${servers} ${fault}`];
  if (isDenied(error)) {
    return [
      "denied",
      `NATS at ${servers} does not know the relay: check the credentials in --store`,
    ];
  }
  if (isNoStream(error)) {
    return [
      "corrupt",
      `A stream of the relay's is not in NATS at ${servers} any more: it was deleted. Restart the relays to make it anew, without the topics that it had`,
    ];
  }
  if (error instanceof JetStreamApiError && FULL.has(error.code)) {
    return [
      "full",
      `NATS at ${servers} has no more room: ${error.message}. Raise its limits or ?max-bytes of --store, or delete topics`,
    ];
  }
  if (
    error instanceof ClosedConnectionError ||
    error instanceof DrainingConnectionError
  ) {
    return ["closed", `The connection to NATS at ${servers} was closed`];
  }
  if (isPassing(error)) {
    return [
      "away",
      `NATS at ${servers} does not answer, or its JetStream has no leader: ${
        messageOf(error)
      }`,
    ];
  }
  return ["io", `NATS at ${servers} has failed: ${messageOf(error)}`];
}
