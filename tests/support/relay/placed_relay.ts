/**
 * A relay in a process of its own that is killed and started again, always at the same
 * port.
 *
 * @module
 */
import { freePort } from "../http/free_port.ts";
import { LIMIT, until, within } from "../within.ts";
import { MortalRelay } from "./mortal_relay.ts";

/** A relay at a port that stays the same. */
export class PlacedRelay implements AsyncDisposable {
  /** The words for it in messages. */
  readonly name: string;
  readonly port: number = freePort();
  /** Its stderr, each time that it has ended. */
  said = "";
  readonly #args: (port: number) => readonly string[];
  #relay: MortalRelay | undefined;

  /** Names a relay, which is not started yet. */
  constructor(name: string, args: (port: number) => readonly string[]) {
    this.name = name;
    this.#args = args;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The numbers of its workers in the system. */
  get workers(): readonly number[] {
    return this.#relay?.workers ?? [];
  }

  /** Starts it; resolves when it listens. */
  async start(): Promise<void> {
    const relay = new MortalRelay(this.#args(this.port));
    this.#relay = relay;
    const url = await within(relay.listening, LIMIT, `${this.name} to listen`);
    if (url !== undefined) return;
    throw new Error(`${this.name} does not start: ${await relay.ended()}`);
  }

  /** Ends it, if it is there. */
  async kill(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const relay = this.#relay;
    this.#relay = undefined;
    this.said += await relay?.kill(signal) ?? "";
  }

  /** Waits until it says that it is ready. */
  async isReady(): Promise<void> {
    await until(
      async () => {
        try {
          const { ok, body } = await fetch(`${this.url}/readyz`);
          await body?.cancel();
          return ok || undefined;
        } catch {
          return undefined;
        }
      },
      LIMIT,
      `${this.name} to be ready`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill("SIGKILL");
  }
}
