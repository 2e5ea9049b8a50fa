import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../problem.ts";
import type { Access, Right } from "../../rights/access.ts";
import type { TopicPrepareOptions } from "../../topics/registry.ts";
import { PAGE_PATHS, pageResponse } from "../page/page_door.ts";
import { ChatDoor, type ChatDoorContext } from "./chat/chat_door.ts";
import type { Call } from "./entrance.ts";
import { queryFlag } from "./topics/query_flag.ts";
import { TopicReader, type TopicReaderContext } from "./topics/topic_reader.ts";
import { TopicWriter, type TopicWriterContext } from "./topics/topic_writer.ts";

/** The context of the endpoints. */
export interface EndpointContext
  extends TopicReaderContext, TopicWriterContext, ChatDoorContext {
  /**
   * Returns why the relay is not to be sent more requests, if it is not. The query may
   * ask for more.
   */
  readonly readiness: (
    query: URLSearchParams,
  ) => Awaitable<Problem | undefined>;
  /** Returns why the relay does not work, if it does not. */
  readonly health: () => Awaitable<Problem | undefined>;
  /** Whether the relay's figures are for everybody. */
  readonly publicMetrics: boolean;
  /** Whether there is a page to look at the relay with. */
  readonly page: boolean;
  /** The relay's figures. */
  readonly metrics: {
    /** The type of the text. */
    readonly contentType: string;
    /** Writes the figures as they are now. */
    text(): Promise<string>;
  };
  /** Says how the relay is. */
  status(): object | Promise<object>;
}

/** A requirement on the caller. A right is for the topic of the path. */
export type Needs = "nothing" | "token" | "admin" | Right;

/** One verb at one path. */
export interface Endpoint {
  /** The path, as `URLPattern` has it. */
  readonly path: string;
  /** The method. */
  readonly method: string;
  /** The requirement on the caller. */
  readonly needs: Needs;
  /**
   * The purpose for which the topic in the path is prepared. Default: as it is.
   */
  readonly prepares?: ((call: Call) => TopicPrepareOptions) | undefined;
  /**
   * Returns the name of the topic, where it depends on the caller. Default: the part
   * `topic` of the path.
   *
   * @param access The rights of the caller.
   * @param part Returns a part of the path by its name.
   */
  topicOf?(access: Access, part: (name: string) => string): string;
  /**
   * Answers a call that may be answered.
   *
   * @param call The call.
   * @param name The name of the topic, or of what else the path is about.
   */
  answer(call: Call, name: string): Response | Promise<Response>;
}

type Awaitable<T> = T | Promise<T>;

const TOPIC = "/topics/:topic";

const CHAT = "/chat/:chat";

/** The path of all topics whose names begin alike: `/topics/agent:7:*`. */
const PREFIX = "/topics/:prefix\\*";

/** Says that all is well, or what is not. */
function okUnless(problem: Problem | undefined): Response {
  if (problem) throw problem;
  return Response.json({ status: "ok" });
}

/** Lists what the relay answers by itself (PROTOCOL.md, sections 3 and 4). */
export function listEndpoints(context: EndpointContext): readonly Endpoint[] {
  const { publicMetrics, page, metrics, readiness, health } = context;
  const reader = new TopicReader(context);
  const writer = new TopicWriter(context);
  const chats = new ChatDoor(context, reader);
  const ofChat: Endpoint["topicOf"] = (access, part) =>
    context.gateway.chats.topicOf(part("chat"), access, part("id"));
  return [
    ...(page ? PAGE_PATHS : []).map((path): Endpoint => ({
      path,
      method: "GET",
      needs: "nothing",
      answer: ({ request }) => pageResponse(path, request.headers),
    })),
    {
      path: "/healthz",
      method: "GET",
      needs: "nothing",
      answer: async () => okUnless(await health()),
    },
    {
      path: "/readyz",
      method: "GET",
      needs: "nothing",
      answer: async ({ url }) => okUnless(await readiness(url.searchParams)),
    },
    {
      path: "/metrics",
      method: "GET",
      needs: publicMetrics ? "nothing" : "admin",
      answer: async () =>
        new Response(await metrics.text(), {
          headers: {
            "Content-Type": metrics.contentType,
            "Cache-Control": "no-store",
          },
        }),
    },
    {
      path: "/status",
      method: "GET",
      needs: publicMetrics ? "nothing" : "admin",
      answer: async () =>
        Response.json(await context.status(), {
          headers: { "Cache-Control": "no-store" },
        }),
    },
    {
      path: "/ws",
      method: "GET",
      needs: "nothing",
      answer: () => {
        throw new Problem(
          STATUS_CODE.UpgradeRequired,
          "upgrade_required",
          "Expected the upgrade of a WebSocket: got a plain request",
          {},
          { Upgrade: "websocket", Connection: "Upgrade" },
        );
      },
    },
    {
      path: "/topics",
      method: "GET",
      needs: "token",
      answer: (call) => reader.list(call),
    },
    {
      path: PREFIX,
      method: "GET",
      needs: "token", // and to read a topic, without which it is left out
      topicOf: (_access, part) => part("prefix"),
      answer: (call, prefix) => reader.all(call, prefix),
    },
    {
      path: TOPIC,
      method: "GET",
      needs: "read",
      prepares: (call) => reader.prepares(call),
      answer: (call, topic) => reader.get(call, topic),
    },
    {
      path: TOPIC,
      method: "HEAD",
      needs: "read",
      prepares: () => ({ isFresh: true }),
      answer: (call, topic) => reader.head(call, topic),
    },
    {
      path: TOPIC,
      method: "PUT",
      needs: "write",
      prepares: ({ url: { searchParams } }) => ({
        makes: true,
        isFresh: true,
        renews: queryFlag(searchParams, "renew"),
      }),
      answer: (call, topic) => writer.put(call, topic),
    },
    {
      path: TOPIC,
      method: "POST",
      needs: "write",
      prepares: (call) => writer.prepares(call),
      answer: (call, topic) => writer.post(call, topic),
    },
    {
      path: TOPIC,
      method: "DELETE",
      needs: "write",
      // Readers are told of its end after the last event, wherever that was published.
      prepares: () => ({ isFresh: true }),
      answer: (call, topic) => writer.remove(call, topic),
    },
    {
      path: `${TOPIC}/info`,
      method: "GET",
      needs: "read",
      prepares: () => ({ isFresh: true }),
      answer: (call, topic) => reader.info(call, topic),
    },
    {
      path: `${TOPIC}/end`,
      method: "POST",
      needs: "write",
      prepares: () => ({ isFresh: true }),
      answer: (call, topic) => writer.end(call, topic),
    },
    {
      path: `${TOPIC}/cancel`,
      method: "POST",
      needs: "cancel",
      prepares: () => ({ isFresh: true }),
      answer: (call, topic) => writer.cancel(call, topic),
    },
    {
      path: CHAT,
      method: "POST",
      needs: "token", // and the right to write the topic, which the body names
      topicOf: (_access, part) => part("chat"),
      answer: (call, chat) => chats.turn(call, chat),
    },
    {
      path: `${CHAT}/:id`,
      method: "GET",
      needs: "read",
      topicOf: ofChat,
      prepares: (call) => reader.prepares(call),
      answer: (call, topic) => chats.read(call, topic),
    },
    {
      path: `${CHAT}/:id/stream`,
      method: "GET",
      needs: "read",
      topicOf: ofChat,
      prepares: () => ({ isFresh: true }),
      answer: (call, topic) => chats.running(call, topic),
    },
    {
      path: `${CHAT}/:id/stop`,
      method: "POST",
      needs: "cancel",
      topicOf: ofChat,
      prepares: () => ({ isFresh: true }),
      answer: (call, topic) => chats.stop(call, topic),
    },
  ];
}
