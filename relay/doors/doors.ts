import type { IncomingMessage } from "node:http";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";
import type { DeliveryCounts } from "../delivery/delivery_counts.ts";
import { Pump } from "../delivery/pump.ts";
import { Stays } from "../delivery/stays.ts";
import type { SlowReaders } from "../delivery/subscriber.ts";
import { Watch } from "../delivery/watch.ts";
import { BodyIntake, type BodyIntakeOptions } from "../limits/incoming_body.ts";
import type { MemoryGuard } from "../limits/memory/memory_guard.ts";
import type { ReceiveBudget } from "../limits/memory/receive_budget.ts";
import { ClientAddresses } from "../limits/client_addresses.ts";
import {
  type DescriptorBudget,
  descriptorLimit,
  divideDescriptors,
} from "../limits/descriptors.ts";
import type { Elsewhere } from "../limits/elsewhere.ts";
import type { Problem } from "../problem.ts";
import { type Authority, OPEN_AUTHORITY } from "../rights/access.ts";
import { Expiries } from "../rights/expiries.ts";
import { slices } from "../slices.ts";
import type { RelayStatus } from "../status/relay_status.ts";
import type { Topic } from "../topics/topic.ts";
import { drain, type Draining, type Guest } from "./guests.ts";
import type { EndpointContext } from "./http/endpoints.ts";
import { Entrance } from "./http/entrance.ts";
import { OriginWarnings } from "./http/origins/origin_warnings.ts";
import { Origins } from "./http/origins/origins.ts";
import { RefusedSockets } from "./http/refused_sockets.ts";
import {
  createRequestHandler,
  type RequestHandlerContext,
} from "./http/request_handler.ts";
import {
  type Address,
  HttpServer,
  type HttpServerOptions,
} from "./http/server.ts";
import { SlowResponses } from "./http/slow_responses.ts";
import { TopicListStreams } from "./http/topics/topic_list_stream.ts";
import { LinksDoor, type LinksDoorContext } from "./links/door.ts";
import { ResponsesDoor, type ResponsesDoorContext } from "./responses/door.ts";
import { EventStreamDoor } from "./sse/door.ts";
import type { StreamRequest } from "./sse/session.ts";
import type { StreamSession } from "./sse/stream_session.ts";
import { WebSocketDoor, type WebSocketDoorContext } from "./websocket/door.ts";

/** The options of a relay that its doors follow. */
export interface DoorsOptions {
  /** Origins of web pages that may use the relay. */
  readonly origins: readonly string[];
  /** Addresses of proxies whose `X-Forwarded-For` is trusted. */
  readonly trustedProxies: readonly string[];
  /** Whether other relays listen on the same port. */
  readonly reusePort: boolean;
  /** Whether there is a page to look at the relay with. */
  readonly page: boolean;
  /** Options of rights. */
  readonly rights: {
    readonly allowQueryToken: boolean;
    readonly insecureOpen: boolean;
    readonly publicMetrics: boolean;
  };
  /** Limits on what a client may cost. */
  readonly limits:
    & Omit<
      HttpServerOptions,
      "addresses" | "refused" | "maxSockets" | "reusePort"
    >
    & Pick<BodyIntakeOptions, "maxBodyRate" | "maxBodyChunkRate">
    & Pick<
      WebSocketDoorContext,
      | "maxSubscriptions"
      | "maxMessage"
      | "maxMessageRate"
      | "maxMessageBytesRate"
    >;
  /** Options of delivery. */
  readonly delivery: {
    readonly heartbeat: number;
    readonly slowTimeout: number;
    readonly ackTimeout: number;
    readonly onSlow: SlowReaders["then"];
    readonly awaitTopics: boolean;
  };
  /** The source of time. */
  readonly clock: Clock;
}

/** The rooms that the doors lead to. */
export interface DoorsContext extends
  Pick<
    EndpointContext,
    | "topics"
    | "sources"
    | "sourcePolicy"
    | "publisher"
    | "bodyLimits"
    | "readiness"
    | "status"
    | "health"
    | "budget"
  > {
  /** Stands in front of the providers of models. */
  readonly gateway:
    & RequestHandlerContext["gateway"]
    & ResponsesDoorContext["gateway"];
  /** Says what the holder of a token may do. */
  readonly authority: Authority;
  /** Refuses new work while there is little memory. */
  readonly memory: MemoryGuard;
  /** The store that other relays have their topics in; `undefined` if none may. */
  readonly links: Pick<LinksDoorContext, "store" | "maxEvent"> | undefined;
  /** Counts the bytes that clients have sent and that the relay holds. */
  readonly received: ReceiveBudget;
  /** The counts of other workers, for limits in all. */
  readonly elsewhere: Elsewhere;
  /** Refuses new subscribers while the relay is drained. */
  readonly draining: Draining;
  /** Counts what goes through the doors, and tells it. */
  readonly metrics: EndpointContext["metrics"] & {
    /** Counts what is delivered through a door. */
    delivery(door: "websocket" | "sse"): DeliveryCounts;
    /** Counts a connection that was cut as its client did not read. */
    connectionCut(reason: "slow"): void;
    /** Counts a refusal, by its code. */
    readonly refused: (code: string) => void;
  };
}

/** The runs of a gateway that are going on. */
export interface GoingRuns {
  /** The topics that the runs fill. */
  readonly topics: ReadonlySet<Topic>;
  /** Resolves when the runs are over. */
  readonly over: Promise<unknown>;
}

const logger = getLogger(["rivulet", "relay", "http"]);

/** The time that peers have to close in their turn, in milliseconds. */
const CLOSE_GRACE = 2_000;

function watchOf(interval: number, clock: Clock): Watch | undefined {
  return interval === Infinity ? undefined : new Watch(interval, clock);
}

/** The time that subscribers have to take what is there, when the relay closes, in milliseconds. */
const DELIVERY_GRACE = 1_000;

/** The ways into a relay: its HTTP server, and what stands behind that. */
export class Doors implements Disposable {
  /** The sessions of WebSockets. */
  readonly sockets: WebSocketDoor;
  /** The sessions of event streams. */
  readonly streams: EventStreamDoor;
  /** The sessions that make responses. */
  readonly responses: ResponsesDoor;
  /** The links of other relays, if there may be any. */
  readonly links: LinksDoor | undefined;
  readonly #pump = new Pump();
  readonly #stays: Stays;
  readonly #lists: TopicListStreams;
  readonly #heartbeat: Watch;
  readonly #slow: SlowReaders;
  readonly #expiries: Expiries;
  readonly #entrance: Entrance;
  readonly #server: HttpServer;
  readonly #draining: Draining;
  readonly #clock: Clock;
  readonly #counts: Readonly<Record<"websocket" | "sse", DeliveryCounts>>;
  readonly #descriptors: DescriptorBudget;
  readonly #maxConnections: {
    readonly asked: number;
    readonly possible: number;
  };

  /** Makes doors that are shut. */
  constructor(context: DoorsContext, options: DoorsOptions) {
    const { authority, draining, metrics } = context;
    const { rights, limits, delivery, clock } = options;
    this.#clock = clock;
    this.#counts = {
      websocket: metrics.delivery("websocket"),
      sse: metrics.delivery("sse"),
    };
    this.#draining = draining;
    this.#stays = new Stays(context.topics);
    this.#heartbeat = new Watch(delivery.heartbeat, clock);
    this.#slow = {
      watch: watchOf(delivery.slowTimeout, clock),
      acks: watchOf(delivery.ackTimeout, clock),
      then: delivery.onSlow,
    };
    this.#expiries = new Expiries(clock);
    const addresses = new ClientAddresses(options.trustedProxies);
    this.#entrance = new Entrance({
      authority,
      allowQueryToken: rights.allowQueryToken,
      origins: new Origins(options.origins, {
        isLocal: authority === OPEN_AUTHORITY && !rights.insecureOpen,
      }),
      warnings: new OriginWarnings(clock),
      addresses,
      intake: new BodyIntake({
        ...limits,
        received: context.received,
        elsewhere: context.elsewhere,
        clock,
      }),
      refused: metrics.refused,
    });
    const subscribers = {
      budget: context.budget,
      pump: this.#pump,
      stays: this.#stays,
      heartbeat: this.#heartbeat,
      slow: this.#slow,
      expiries: this.#expiries,
      clock,
    };
    const slowResponses = new SlowResponses(
      this.#slow.watch,
      ({ req }) => addresses.ofRequest(req).address,
      () => metrics.connectionCut("slow"),
    );
    this.streams = new EventStreamDoor({
      ...subscribers,
      slowResponses,
      counts: metrics.delivery("sse"),
      topics: context.topics,
      memory: context.memory,
      maxSubscriptions: limits.maxSubscriptions,
      refused: metrics.refused,
    });
    this.#lists = new TopicListStreams({
      topics: context.topics,
      budget: context.budget,
      heartbeat: delivery.heartbeat,
      expiries: this.#expiries,
      clock,
    });
    const { maxConnections } = limits;
    this.#descriptors = divideDescriptors(descriptorLimit());
    this.#maxConnections = {
      asked: maxConnections,
      possible: Math.min(maxConnections, this.#descriptors.connections),
    };
    const refused = new RefusedSockets(clock, this.#descriptors.lingering);
    this.sockets = new WebSocketDoor({
      ...context,
      ...limits,
      ...subscribers,
      awaitTopics: delivery.awaitTopics,
      counts: metrics.delivery("websocket"),
      refused: metrics.refused,
      refusedSockets: refused,
      entrance: this.#entrance,
    });
    this.responses = new ResponsesDoor({
      ...context,
      ...limits,
      ...subscribers,
      maxBody: context.bodyLimits.maxBytes,
      slowWatch: this.#slow.watch,
      refused: metrics.refused,
      onSlow: () => metrics.connectionCut("slow"),
      refusedSockets: refused,
      entrance: this.#entrance,
    });
    this.links = context.links && new LinksDoor({
      ...context.links,
      clock,
      draining,
      expiries: this.#expiries,
      refusedSockets: refused,
      entrance: this.#entrance,
    });
    this.#server = new HttpServer({
      request: createRequestHandler({
        ...context,
        slowResponses,
        lists: this.#lists,
        entrance: this.#entrance,
        awaitTopics: delivery.awaitTopics,
        publicMetrics: rights.publicMetrics,
        page: options.page,
        stream: (request) => this.stream(request),
        streamPrefix: (request) => this.streams.openPrefix(request),
        refused: (...refusal) => this.refused(...refusal),
      }),
      upgrade: (...upgrade) =>
        void (this.responses.handles(upgrade[0])
          ? this.responses.handle(...upgrade)
          : this.links?.handles(upgrade[0])
          ? this.links.handle(...upgrade)
          : this.sockets.handle(...upgrade)),
      refused: (...refusal) => this.#entrance.refusedUnread(...refusal),
    }, {
      ...limits,
      maxConnections: this.#maxConnections.possible,
      maxSockets: this.#descriptors.sockets,
      reusePort: options.reusePort,
      elsewhere: context.elsewhere,
      addresses,
      refused,
    });
  }

  /** The number of TCP connections, whatever they are for. */
  get tcpConnections(): number {
    return this.#server.connections;
  }

  /** The number of connections that are open, whatever for, and of subscriptions. */
  get counts(): Pick<RelayStatus, "connections" | "subscriptions"> {
    const { websocket, sse } = this.#counts;
    return {
      connections: {
        tcp: this.tcpConnections,
        websocket: this.sockets.sessions.size,
        sse: this.streams.sessions.size,
        lists: this.#lists.size,
        max: this.#maxConnections.possible,
      },
      subscriptions: {
        websocket: websocket.subscribed - websocket.unsubscribed,
        sse: sse.subscribed - sse.unsubscribed,
      },
    };
  }

  /** Answers a request with a topic's events; leaves it unanswered if its reader has all of them. */
  stream(request: StreamRequest): "streaming" | "at end" {
    return this.streams.open(request);
  }

  /** Takes note of a request that was refused. */
  refused(problem: Problem, incoming: IncomingMessage): void {
    this.#entrance.refused(problem, incoming);
  }

  /**
   * Opens the doors.
   *
   * @returns Rejects with the system's error where it cannot listen.
   */
  listen(host: string, port: number): Promise<Address> {
    const { asked, possible } = this.#maxConnections;
    if (possible < asked) {
      logger.warn(
        "The process may have {descriptors} file descriptors: the relay takes {possible} connections, and not {asked} (--max-connections). Raise the limit: ulimit -n, LimitNOFILE",
        { descriptors: this.#descriptors.descriptors, possible, asked },
      );
    }
    return this.#server.listen(host, port);
  }

  /**
   * Takes nothing more, delivers what was taken, and sends all subscribers away,
   * spread over some time. Those that follow runs leave when all runs are over.
   *
   * @param duration In milliseconds.
   * @param signal Ends it early.
   * @param runs The runs that are going on.
   */
  async drain(
    duration: number,
    signal: AbortSignal,
    runs: GoingRuns,
  ): Promise<void> {
    this.#draining.begin(duration);
    const { over } = runs;
    const { free = [], busy = [] } = Object.groupBy(
      this.#guests(),
      ({ subscriptions }) =>
        subscriptions.some(({ topic }) => runs.topics.has(topic))
          ? "busy"
          : "free",
    );
    await drain(free, {
      duration,
      hasOthers: this.#draining.hasOthers,
      clock: this.#clock,
      signal,
      busy: { guests: busy, over },
    });
  }

  /** Says goodbye to all, and shuts the doors; resolves when the last connection is closed. */
  async close(): Promise<void> {
    this.#draining.begin(0);
    const closed = this.#server.close();
    const guests = this.#guests();
    for (const guest of guests) guest.finish();
    await this.links?.[Symbol.asyncDispose]();
    const cancelStop = this.#clock.setTimeout(() => {
      for (const guest of guests) guest.stop();
    }, DELIVERY_GRACE);
    const cancel = this.#clock.setTimeout(
      () => this.#server.terminate(),
      CLOSE_GRACE,
    );
    await closed;
    cancelStop();
    cancel();
  }

  /** Stops what serves subscribers; to be called when the doors are shut. */
  [Symbol.dispose](): void {
    this.#pump[Symbol.dispose]();
    this.#stays[Symbol.dispose]();
    this.#heartbeat[Symbol.dispose]();
    this.#slow.watch?.[Symbol.dispose]();
    this.#slow.acks?.[Symbol.dispose]();
    this.#lists[Symbol.dispose]();
    this.#expiries[Symbol.dispose]();
    // Of long events, the rest has nobody to go to.
    slices.sweep();
  }

  #guests(): (Guest & Pick<StreamSession, "subscriptions">)[] {
    return [
      ...this.sockets.sessions,
      ...this.streams.sessions,
      ...this.#lists.guests,
      ...this.responses.sessions,
    ];
  }
}
