/**
 * The relay's answers over HTTP, as far as the page shows them (PROTOCOL.md,
 * section 4).
 *
 * Nothing checks it here: the page comes from the relay that it asks, and a schema
 * would be a third of its size. All that is shown goes through {@linkcode visible}.
 *
 * @module
 */

/** The end of a topic. */
export interface End {
  readonly status: string;
  readonly reason?: string;
}

/** The state of what fills a topic. */
export interface Upstream {
  readonly state: string;
  readonly status?: number;
  readonly attempt?: number;
  readonly retryIn?: number;
}

/** A run's facts. */
export interface Run {
  readonly askedAt: number;
  readonly model?: string;
  readonly attempts: number;
  readonly retries?: readonly {
    readonly at: number;
    readonly reason: string;
    readonly status?: number;
  }[];
  readonly status?: number;
  readonly firstTokenAfter?: number;
  readonly duration?: number;
  readonly usage?: Readonly<Record<string, number>>;
  readonly requestId?: string;
  readonly responseId?: string;
  readonly caller: string;
  readonly recording?: string;
}

/** A topic's description. */
export interface Description {
  readonly name: string;
  readonly state: "pending" | "open" | "ended";
  readonly epoch: string;
  readonly first?: number;
  readonly next: number;
  readonly bytes?: number;
  readonly createdAt?: number;
  readonly firstEventAt?: number;
  readonly lastEventAt?: number;
  readonly endedAt?: number;
  readonly subscribers: number;
  readonly lag?: number;
  readonly source: string | null;
  readonly filledBy?: {
    readonly kind: string;
    readonly provider?: string;
    readonly endpoint?: string;
    readonly chat?: string;
    readonly url?: string;
    readonly file?: string;
  };
  readonly upstream?: Upstream;
  readonly end?: End;
  readonly run?: Run;
}

/** The numbers of topics. */
export interface Counts {
  readonly pending: number;
  readonly open: number;
  readonly ended: number;
  readonly matching: number;
}

/** A snapshot of a list, or its changes. */
export interface ListChange {
  readonly topics: readonly Description[];
  readonly gone?: readonly string[];
  readonly names?: readonly string[];
  readonly counts?: Counts;
}

/** The relay's own figures. */
export interface Status {
  readonly version: string;
  readonly runtime?: string;
  readonly time: number;
  readonly uptime: number;
  readonly workers?: number;
  readonly draining?: { readonly left: number };
  readonly ready?: boolean;
  readonly problem?: { readonly code: string; readonly detail: string };
  readonly store?: { readonly kind: string; readonly failure?: string };
  readonly access?: string;
  readonly connections: Readonly<Record<string, number>>;
  readonly subscriptions: Readonly<Record<string, number>>;
  readonly topics: Readonly<Record<string, number>>;
  readonly runs?: number;
  readonly upstreams?: number;
  readonly log?: { readonly events: number; readonly bytes: number };
  readonly rates: Readonly<Record<string, number>>;
  readonly refusals?: Readonly<Record<string, number>>;
  readonly ends?: Readonly<Record<string, number>>;
  readonly memory: Readonly<Record<string, number>>;
  readonly loopDelay?: { readonly p99: number; readonly max: number };
  readonly lag?: { readonly max: number; readonly topic?: string };
}

/** An event on the wire. */
export interface WireEvent {
  readonly event?: string;
  readonly data: string;
  readonly id?: string;
}

/**
 * A message of the relay about a topic over a WebSocket (PROTOCOL.md, section
 * 2).
 */
export type SocketMessage =
  | { readonly type: "error"; readonly code: string; readonly message: string }
  | {
    readonly type: "subscribed";
    readonly epoch: string;
    readonly first: number;
    readonly after: number;
  }
  | {
    readonly type: "events";
    readonly offset: number;
    readonly events: readonly WireEvent[];
  }
  | (WireEvent & {
    readonly type: "merged";
    readonly offset: number;
    readonly to: number;
  })
  | {
    readonly type: "snapshot";
    readonly offset: number;
    readonly value: { readonly events: readonly WireEvent[] };
  }
  | {
    readonly type: "gap";
    readonly from: number;
    readonly to: number;
    readonly reason: string;
  }
  | (End & { readonly type: "end"; readonly offset: number })
  | {
    readonly type: "live" | "welcome" | "heartbeat" | "upstream" | "goodbye";
  };
