import { STATUS_CODE } from "@std/http/status";
import type { Clock } from "../../../src/fetch/clock.ts";
import { type Elsewhere, NOWHERE } from "../../limits/elsewhere.ts";
import { Problem } from "../../problem.ts";
import type { Asked } from "../request.ts";

/**
 * The time for which the next requests of a session are refused, in milliseconds. Claude
 * Code and opencode ask again after 0.5 to 2 s; Codex at once.
 */
const WINDOW = 5_000;

/** The most sessions that are known at a time. */
const MAX_SESSIONS = 10_000;

/** Returns a name for the agent's session of a request: another caller's session never has it. */
function sessionOf(
  { access, client, target, agentSession }: Asked,
): string | undefined {
  if (agentSession === undefined) return undefined;
  const { name } = target.provider;
  return JSON.stringify([access.identity, client, name, agentSession]);
}

/**
 * The sessions of agents of which a run was just cancelled. An agent takes the cut for a
 * bad network, and asks for the same once more: that would undo the cancel, and be paid
 * for.
 */
export class CancelledSessions {
  readonly #clock: Clock;
  readonly #elsewhere: Elsewhere;
  /**
   * The time at which the refusal of each is over, in the order of these times.
   */
  readonly #until = new Map<string, number>();

  /**
   * Knows of no session.
   *
   * @param elsewhere Other workers, where requests of a session may come. Default: there
   * are none.
   */
  constructor(clock: Clock, elsewhere: Elsewhere = NOWHERE) {
    this.#clock = clock;
    this.#elsewhere = elsewhere;
    elsewhere.onSpent("cancelled_session", (session) => this.#add(session));
  }

  /** The number of sessions that are refused. */
  get size(): number {
    this.#forget();
    return this.#until.size;
  }

  /** Refuses what the session of a request asks for from now on, for a while. */
  add(asked: Asked): void {
    const session = sessionOf(asked);
    if (session === undefined) return;
    this.#add(session);
    this.#elsewhere.spent("cancelled_session", session, 1);
  }

  #add(session: string): void {
    this.#forget();
    this.#until.delete(session);
    if (this.#until.size >= MAX_SESSIONS) {
      const [oldest] = this.#until.keys();
      this.#until.delete(oldest!); // there are many
    }
    this.#until.set(session, this.#clock.now() + WINDOW);
  }

  /**
   * Lets a request pass.
   *
   * @throws {Problem} 400 `session_cancelled` if a run of its session was just cancelled.
   */
  assertOpen(asked: Asked): void {
    if (this.#until.size === 0) return;
    this.#forget();
    const session = sessionOf(asked);
    if (session === undefined || !this.#until.has(session)) return;
    throw new Problem(
      // Codex, Claude Code and opencode stop at this status with `X-Should-Retry: false`.
      STATUS_CODE.BadRequest,
      "session_cancelled",
      `A run of this session was cancelled less than ${WINDOW} ms ago: do not ask again unless a person wants it`,
    );
  }

  #forget(): void {
    const now = this.#clock.now();
    for (const [session, until] of this.#until) {
      if (until > now) return;
      this.#until.delete(session);
    }
  }
}
