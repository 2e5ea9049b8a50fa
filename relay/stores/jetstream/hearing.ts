import type {
  Msg,
  NatsConnection,
  Subscription,
} from "@nats-io/transport-node";
import { isDenied } from "./failures.ts";
import type { Names } from "./names.ts";

/** The time after which NATS is asked again for a subject that it does not allow, in milliseconds. */
const DENIED_INTERVAL = 2_000;

/** A subject to listen to, and the calls to make. */
export interface HearingOptions {
  readonly subject: string;
  readonly onMessage: (message: Msg) => void;
  /** Told of an error for as long as NATS does not allow it, and of `undefined` then. */
  readonly onDenied: (error: Error | undefined) => void;
}

/**
 * A subscription that is there for as long as it is wanted: one that NATS does not allow,
 * or does not allow any more, is asked for again.
 */
export class Hearing implements Disposable {
  readonly #nats: NatsConnection;
  readonly #options: HearingOptions;
  #subscription: Subscription | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDenied = false;

  /** Begins to hear. */
  constructor(nats: NatsConnection, options: HearingOptions) {
    this.#nats = nats;
    this.#options = options;
    this.#subscribe();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#subscription?.unsubscribe();
    if (this.#isDenied) this.#options.onDenied(undefined);
  }

  #subscribe(): void {
    const { subject, onMessage } = this.#options;
    this.#subscription = this.#nats.subscribe(subject, {
      callback: (error, message) => {
        if (!error) onMessage(message);
        else if (isDenied(error)) this.#denied(error);
      },
    });
  }

  #denied(error: Error): void {
    this.#isDenied = true;
    this.#options.onDenied(error);
    // NATS and its client have both forgotten the subscription.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#again(), DENIED_INTERVAL);
  }

  async #again(): Promise<void> {
    if (this.#nats.isClosed()) return;
    this.#isDenied = false;
    this.#subscribe();
    try {
      // A refusal comes before the answer to this.
      await this.#nats.flush();
    } catch {
      // The client subscribes by itself once it is connected.
    }
    if (!this.#isDenied) this.#options.onDenied(undefined);
  }
}

/**
 * Finds out whether a relay may hear of the others, which nothing else would tell.
 *
 * @throws {PermissionViolationError} If it may not.
 */
export async function checkRights(
  nats: NatsConnection,
  names: Names,
): Promise<void> {
  const errors: Error[] = [];
  const subjects = [
    names.beats,
    names.cancelOf("nobody"),
    `${names.liveOf("nothing")}.*`,
  ];
  const subscriptions = subjects.map((subject) =>
    nats.subscribe(subject, {
      callback: (error) => {
        if (error) errors.push(error);
      },
    })
  );
  await nats.flush();
  for (const subscription of subscriptions) subscription.unsubscribe();
  const [first] = errors;
  if (first) throw first;
}
